package study

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/visutility/retune/internal/strategy"
)

// A Cause is what a step follows from; zero: time.
type Cause struct {
	Sequence uint64    `msgpack:"seq,omitempty" json:"sequence,omitempty"` // of the input
	RunID    string    `msgpack:"run,omitempty" json:"run_id,omitempty"`
	Trace    string    `msgpack:"trace,omitempty" json:"trace,omitempty"` // traceparent
	At       time.Time `msgpack:"at,omitempty" json:"at,omitzero"`
}

// An Ask is a trial that waits for a slow strategy. Its number is reserved, and
// what the strategy may know is fixed when it is asked: the trials of lower
// numbers, and of them the results of the first Closed that ended. So the answer
// does not depend on when, or by which worker, it is computed.
type Ask struct {
	Number int            `msgpack:"number" json:"number"`
	Index  int            `msgpack:"index" json:"index"`           // configs proposed before; see completion
	Closed int            `msgpack:"closed" json:"closed"`         // trials ended before
	Fixed  map[string]any `msgpack:"fixed" json:"fixed,omitempty"` // parameters of an enqueued config
	Cause  Cause          `msgpack:"cause" json:"cause"`
}

// A Question is an Ask with all that it takes to answer it.
type Question struct {
	Number   int
	strategy strategy.Strategy
	name     string
	request  strategy.Request
}

// An Answer is what a strategy proposed for the trial of a Question.
type Answer struct {
	Number      int
	config      map[string]any
	explanation string
	err         error
}

// Caused says what the next event follows from.
func (s *Study) Caused(by Cause) { s.cause = by }

// Asking reports whether the strategy has to be asked.
func (s *Study) Asking() bool { return len(s.state.Asks) > 0 }

// Question is the one to be answered next; false: there is none. Answering it is
// slow, touches nothing of the study and may be done by another goroutine.
func (s *Study) Question() (Question, bool) {
	if len(s.state.Asks) == 0 {
		return Question{}, false
	}
	ask := s.state.Asks[0]
	history, base := s.historyAt(ask)
	return Question{Number: ask.Number, strategy: s.strategy, name: s.state.Strategy,
		request: s.request(ask.Number, ask.Index, history, base)}, true
}

// Answer computes the answer. A panic of the strategy is an error of its: a fault
// in it ends one study, not the worker.
func (q Question) Answer() (a Answer) {
	a.Number = q.Number
	defer func() {
		if cause := recover(); cause != nil {
			a.err = fmt.Errorf("strategy %s: panic: %v", q.name, cause)
		}
	}()
	a.config, a.err = q.strategy.Suggest(q.request)
	a.explanation = strategy.Explain(q.strategy, q.request)
	return a
}

// Answer opens the trial that was asked for. One that is not waited for, because
// the study has ended or it was answered before, changes nothing.
func (s *Study) Answer(a Answer, now time.Time) []Effect {
	if s.Ended() || len(s.state.Asks) == 0 || s.state.Asks[0].Number != a.Number {
		return nil
	}
	now = s.clock(now)
	if s.bound(now) != "" {
		return s.fill(now, nil)
	}
	ask := s.state.Asks[0]
	if a.err != nil && ask.Fixed == nil {
		return s.unanswered(a.err, now)
	}
	config := a.config
	if ask.Fixed != nil {
		var err error
		if config, err = s.completed(ask.Fixed, a.config, ask.Number); err != nil {
			return s.unanswered(err, now)
		}
	}
	s.state.Asks = slices.Delete(s.state.Asks, 0, 1)
	if a.explanation != "" {
		s.state.Explanation = a.explanation
	}
	effect := s.open(ask.Number, config, now)
	effect.Cause = &ask.Cause
	return s.fill(now, []Effect{effect})
}

// unanswered gives up the asks that a strategy has no answer to.
func (s *Study) unanswered(err error, now time.Time) []Effect {
	if !errors.Is(err, strategy.ErrExhausted) {
		s.state.Error = err.Error()
		return s.end(EndFailing, now, nil)
	}
	s.state.Exhausted = true
	given := map[int]bool{}
	for _, ask := range s.state.Asks {
		given[ask.Number] = ask.Fixed == nil
	}
	s.state.Asks = slices.DeleteFunc(s.state.Asks, func(a Ask) bool { return a.Fixed == nil })
	s.giveBack(given)
	return s.fill(now, nil)
}

// giveBack frees the last numbers, as far as they were reserved for nothing.
func (s *Study) giveBack(numbers map[int]bool) {
	for numbers[s.state.Next-1] {
		s.state.Next--
		s.state.Proposed--
		s.trials, s.curves = s.trials[:s.state.Next], s.curves[:s.state.Next]
	}
}

// ask reserves the number of a trial.
func (s *Study) ask(fixed map[string]any) {
	a := Ask{Number: s.reserve(), Index: s.state.Proposed, Closed: s.state.Closed, Fixed: fixed, Cause: s.cause}
	if fixed != nil {
		a.Index = completion(a.Number)
	} else {
		s.state.Proposed++
	}
	s.state.Asks = append(s.state.Asks, a)
}

// historyAt is what a strategy may know for an ask, and the config of the trial
// that had completed last.
func (s *Study) historyAt(ask Ask) (history []strategy.Trial, base map[string]any) {
	last := 0
	for _, trial := range s.trials[:ask.Number] {
		if trial == nil {
			continue
		}
		seen := trial.seen()
		if trial.Order > ask.Closed {
			seen = strategy.Trial{Number: seen.Number, Config: seen.Config, State: strategy.Pending}
		}
		if seen.State == strategy.Complete && trial.Order > last {
			last, base = trial.Order, trial.Config
		}
		history = append(history, seen)
	}
	return history, base
}

func (s *Study) request(number, index int, history []strategy.Trial, base map[string]any) strategy.Request {
	return strategy.Request{
		Number: number, Index: index, Seed: s.state.Seed, Goal: s.definition.Goal, Base: base, History: history,
		MaxTrials: s.definition.MaxTrials, Parallelism: s.definition.Parallelism, Prior: s.prior,
	}
}
