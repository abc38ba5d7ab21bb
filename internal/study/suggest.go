package study

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/visutility/retune/internal/pruner"
	"github.com/visutility/retune/internal/strategy"
)

// An EffectKind says what an effect asks for.
type EffectKind int8

// The kinds of effects.
const (
	EffectSuggested EffectKind = iota // publish the config of the trial
	EffectStopped                     // publish a stop of the attempt
	EffectFinished                    // publish the summary; the last effect of a study
)

// An Effect is something to publish. One step makes at most 256 of a kind, and
// with the records it changed they are below 600.
type Effect struct {
	Kind    EffectKind
	Trial   int    // none for EffectFinished
	Attempt int    // none for EffectFinished
	Reason  string // none for EffectSuggested
	Cause   *Cause // of a config that was asked for before; nil: the present event
}

// Why an attempt is stopped.
const (
	StopPruned     = "pruned"
	StopTimedOut   = "timed_out"
	StopStudyEnded = "study_ended"
)

// Why a study finishes.
const (
	EndMaxTrials   = "max_trials"
	EndMaxDuration = "max_duration"
	EndExhausted   = "exhausted"
	EndStopped     = "stopped"
	EndFailing     = "failing"
)

// maxFailedInRow ends a study whose trials keep failing.
const maxFailedInRow = 10

// maxQueueBytes bounds the configs that wait in the state of a study, estimated.
const maxQueueBytes = 128 << 10

// Fill proposes trials until as many are open as the study wants, and ends the
// study when a bound is reached.
func (s *Study) Fill(now time.Time) []Effect {
	return s.fill(s.clock(now), nil)
}

func (s *Study) fill(now time.Time, effects []Effect) []Effect {
	if s.Ended() {
		return effects
	}
	if reason := s.bound(now); reason != "" {
		return s.end(reason, now, effects)
	}
	for s.room() {
		opened, err := s.propose(now)
		effects = append(effects, opened...)
		switch {
		case errors.Is(err, strategy.ErrExhausted):
			s.state.Exhausted = true
		case err == nil:
		case len(effects) > 0:
			// Ending now would stop what this very step suggests, and outgrow
			// one commit; Due asks for another step, which meets the error first.
			return effects
		default:
			s.state.Error = err.Error()
			return s.end(EndFailing, now, nil)
		}
	}
	if s.occupied() > 0 {
		return effects
	}
	if s.state.Next == s.definition.MaxTrials && !s.state.Exhausted {
		return s.end(EndMaxTrials, now, effects)
	}
	return s.end(EndExhausted, now, effects)
}

// bound names the reason that ends the study whatever is still open.
func (s *Study) bound(now time.Time) string {
	if s.state.FailedInRow >= maxFailedInRow {
		return EndFailing
	}
	if limit := s.definition.MaxDuration; limit > 0 && now.Sub(s.state.StartedAt) >= limit {
		return EndMaxDuration
	}
	return ""
}

// room reports whether one more trial may be proposed.
func (s *Study) room() bool {
	if s.state.Next == s.definition.MaxTrials && s.definition.MaxTrials > 0 {
		return false
	}
	return s.occupied() < s.definition.Parallelism && (!s.state.Exhausted || s.enqueued() > 0)
}

// occupied counts the places that are taken: by trials and by those asked for.
func (s *Study) occupied() int { return len(s.state.Open) + len(s.state.Asks) }

// enqueued counts the enqueued configs that are not trials yet.
func (s *Study) enqueued() int {
	return len(s.definition.Enqueue) - s.state.Taken + len(s.state.Queue)
}

// reserve takes the next number of a trial.
func (s *Study) reserve() int {
	s.state.Next++
	s.trials = append(s.trials, nil)
	s.curves = append(s.curves, pruner.Curve{})
	return s.state.Next - 1
}

func (s *Study) open(number int, config map[string]any, now time.Time) Effect {
	trial := &Trial{Number: number, Attempt: 1, State: Waiting, Config: config, CreatedAt: now}
	i, _ := slices.BinarySearch(s.state.Open, number)
	s.state.Open = slices.Insert(s.state.Open, i, number)
	s.state.Counts[Waiting]++
	s.trials[number], s.curves[number] = trial, trial.curve()
	s.remember(trial)
	s.changed[number] = true
	return Effect{Kind: EffectSuggested, Trial: number, Attempt: 1}
}

// propose opens the next trial, or asks a slow strategy for it.
func (s *Study) propose(now time.Time) ([]Effect, error) {
	var config map[string]any
	var err error
	switch fixed := s.takeEnqueued(); {
	case fixed != nil && s.slow && s.definition.Space.Check(fixed) != nil, fixed == nil && s.slow:
		s.ask(fixed)
		return nil, nil
	case fixed != nil:
		var proposed map[string]any
		if s.definition.Space.Check(fixed) != nil {
			proposed, _ = s.suggest(completion(s.state.Next))
		}
		config, err = s.completed(fixed, proposed, s.state.Next)
	default:
		if config, err = s.suggest(s.state.Proposed); err == nil {
			s.state.Proposed++
		}
	}
	if err != nil {
		return nil, err
	}
	return []Effect{s.open(s.reserve(), config, now)}, nil
}

// completion is the index of the config that completes the one enqueued for a trial. The same index would complete
// all alike, and one of a proposal to come would spoil that; the first trial has the best guess there is.
func completion(number int) int {
	if number == 0 {
		return 0
	}
	return 1<<30 + number
}

// suggest asks a strategy that answers at once for the config of an index.
func (s *Study) suggest(index int) (map[string]any, error) {
	history := s.history[:len(s.history):len(s.history)]
	q := Question{Number: s.state.Next, strategy: s.strategy, name: s.state.Strategy,
		request: s.request(s.state.Next, index, history, s.state.Base)}
	a := q.Answer()
	if a.explanation != "" {
		s.state.Explanation = a.explanation
	}
	return a.config, a.err
}

// takeEnqueued returns nil when no config is enqueued.
func (s *Study) takeEnqueued() map[string]any {
	if s.enqueued() == 0 {
		return nil
	}
	if s.state.Taken < len(s.definition.Enqueue) {
		s.state.Taken++
		return s.definition.Enqueue[s.state.Taken-1]
	}
	config := s.state.Queue[0]
	s.state.Queue = s.state.Queue[1:]
	return config
}

// completed is an enqueued config with what it leaves out taken from a proposal, else sampled: also when that was
// tried before.
func (s *Study) completed(fixed, proposed map[string]any, number int) (map[string]any, error) {
	space, random := s.definition.Space, rand.New(rand.NewPCG(s.state.Seed, uint64(number)))
	config, err := space.Complete(fixed, proposed, random)
	tries := acceptTries
	if space.Check(fixed) == nil {
		tries = 0 // it leaves out nothing
	}
	for ; tries > 0 && (err != nil || s.tried(config, number)); tries-- {
		config, err = space.Complete(fixed, nil, random)
	}
	if err != nil {
		return s.definition.accept(fixed)
	}
	return config, nil
}

// tried reports whether a trial of a lower number has the config.
func (s *Study) tried(config map[string]any, number int) bool {
	return slices.ContainsFunc(s.trials[:number], func(t *Trial) bool { return t != nil && maps.Equal(t.Config, config) })
}

// Enqueue puts a config before what the strategy proposes; parameters may be
// missing. An error says why it will not be tried.
func (s *Study) Enqueue(config map[string]any, now time.Time) ([]Effect, error) {
	now = s.clock(now)
	config = NormalConfig(config)
	if s.Ended() {
		return nil, fmt.Errorf("study %s has ended: start another with this config in enqueue", s.state.Name)
	}
	if limit := s.definition.MaxTrials; limit > 0 && s.state.Next+s.enqueued() >= limit {
		return nil, fmt.Errorf("max_trials of study %s is %d and none is left: start another study", s.state.Name, limit)
	}
	if _, err := s.definition.accept(config); err != nil {
		return nil, err
	}
	queue := append(s.state.Queue, config)
	asked := make([]map[string]any, 0, len(s.state.Asks))
	for _, ask := range s.state.Asks {
		asked = append(asked, ask.Fixed)
	}
	if estimate(queue)+estimate(asked) > maxQueueBytes {
		return nil, fmt.Errorf("the queue of study %s holds %d configs and is full: wait until some have run",
			s.state.Name, len(s.state.Queue))
	}
	s.state.Queue = queue
	return s.fill(now, nil), nil
}

// estimate bounds the encoded size of configs, in bytes.
func estimate(configs []map[string]any) int {
	total := 0
	for _, config := range configs {
		for name, value := range config {
			text, _ := value.(string)
			total += len(name) + len(text) + 16
		}
	}
	return total
}
