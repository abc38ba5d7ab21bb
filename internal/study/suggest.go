package study

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

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
}

// Why an attempt is stopped.
const (
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
		config, err := s.nextConfig()
		switch {
		case errors.Is(err, strategy.ErrExhausted):
			s.state.Exhausted = true
		case err == nil:
			effects = append(effects, s.open(config, now))
		case len(effects) > 0:
			// Ending now would stop what this very step suggests, and outgrow
			// one commit; Due asks for another step, which meets the error first.
			return effects
		default:
			s.state.Error = err.Error()
			return s.end(EndFailing, now, nil)
		}
	}
	if len(s.state.Open) == 0 && s.state.Next == s.definition.MaxTrials {
		return s.end(EndMaxTrials, now, effects)
	}
	if len(s.state.Open) == 0 {
		return s.end(EndExhausted, now, effects)
	}
	return effects
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
	return len(s.state.Open) < s.definition.Parallelism && (!s.state.Exhausted || s.enqueued() > 0)
}

// enqueued counts the enqueued configs that are not trials yet.
func (s *Study) enqueued() int {
	return len(s.definition.Enqueue) - s.state.Taken + len(s.state.Queue)
}

func (s *Study) open(config map[string]any, now time.Time) Effect {
	trial := &Trial{Number: s.state.Next, Attempt: 1, State: Waiting, Config: config, CreatedAt: now}
	s.state.Next++
	s.state.Open = append(s.state.Open, trial.Number)
	s.state.Counts[Waiting]++
	s.trials = append(s.trials, trial)
	s.history = append(s.history, trial.seen())
	s.changed[trial.Number] = true
	return Effect{Kind: EffectSuggested, Trial: trial.Number, Attempt: 1}
}

func (s *Study) nextConfig() (map[string]any, error) {
	if s.enqueued() > 0 {
		return s.completed(s.takeEnqueued())
	}
	config, err := s.propose()
	if err == nil {
		s.state.Proposed++
	}
	return config, err
}

func (s *Study) takeEnqueued() map[string]any {
	if s.state.Taken < len(s.definition.Enqueue) {
		s.state.Taken++
		return s.definition.Enqueue[s.state.Taken-1]
	}
	config := s.state.Queue[0]
	s.state.Queue = s.state.Queue[1:]
	return config
}

// completed proposes what an enqueued config leaves out; without a proposal it
// is sampled.
func (s *Study) completed(fixed map[string]any) (map[string]any, error) {
	space := s.definition.Space
	var proposed map[string]any
	if space.Check(fixed) != nil {
		proposed, _ = s.propose()
	}
	random := rand.New(rand.NewPCG(s.state.Seed, uint64(s.state.Next)))
	if config, err := space.Complete(fixed, proposed, random); err == nil {
		return config, nil
	}
	return s.definition.accept(fixed)
}

// propose asks the strategy, whose panic is an error: a fault in it ends one
// study, not the worker.
func (s *Study) propose() (config map[string]any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("strategy %s: panic: %v", s.state.Strategy, cause)
		}
	}()
	history := s.history[:len(s.history):len(s.history)]
	return s.strategy.Suggest(strategy.Request{
		Number: s.state.Next, Index: s.state.Proposed, Seed: s.state.Seed,
		Goal: s.definition.Goal, Base: s.state.Base, History: history,
	})
}

// Enqueue puts a config before what the strategy proposes; parameters may be
// missing. An error says why it will not be tried.
func (s *Study) Enqueue(config map[string]any, now time.Time) ([]Effect, error) {
	now = s.clock(now)
	config = normalConfig(config)
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
	if estimate(queue) > maxQueueBytes {
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
