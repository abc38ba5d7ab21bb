package study

import (
	"fmt"
	"slices"
	"time"
)

// maxTimeouts bounds the trials one step times out: a stop, a record, and for
// a replacement a config and a record each have to fit one atomic commit.
const maxTimeouts = 128

// Stop ends the study and its open trials.
func (s *Study) Stop(now time.Time) []Effect {
	now = s.clock(now)
	if s.Ended() {
		return nil
	}
	return s.end(EndStopped, now, nil)
}

// Tick ends what has run out of time. When more than one step can hold has,
// Due stays in the past until further ticks have done the rest.
func (s *Study) Tick(now time.Time) []Effect {
	now = s.clock(now)
	if s.Ended() {
		return nil
	}
	var effects []Effect
	if s.bound(now) == "" {
		effects = s.expire(now)
	}
	return s.fill(now, effects)
}

func (s *Study) expire(now time.Time) []Effect {
	var effects []Effect
	expired := 0
	for _, number := range slices.Clone(s.state.Open) {
		trial := s.trials[number]
		deadline := s.deadline(trial)
		if deadline.IsZero() || deadline.After(now) || expired == maxTimeouts {
			continue
		}
		expired++
		effects = append(effects, stop(trial, StopTimedOut))
		cause := fmt.Sprintf("no report within %s", s.definition.TrialTimeout)
		effects = append(effects, s.retry(trial, TimedOut, cause, now)...)
	}
	return effects
}

// deadline of an attempt; zero: none, nobody may have taken it up yet.
func (s *Study) deadline(trial *Trial) time.Time {
	if trial.State != Running || s.definition.TrialTimeout == 0 {
		return time.Time{}
	}
	return trial.ReportedAt.Add(s.definition.TrialTimeout)
}

// Due is when Tick next has something to do; zero: never.
func (s *Study) Due() time.Time {
	if s.Ended() {
		return time.Time{}
	}
	if s.room() || s.occupied() == 0 {
		return s.state.Now
	}
	var due time.Time
	if s.definition.MaxDuration > 0 {
		due = s.state.StartedAt.Add(s.definition.MaxDuration)
	}
	for _, number := range s.state.Open {
		deadline := s.deadline(s.trials[number])
		if !deadline.IsZero() && (due.IsZero() || deadline.Before(due)) {
			due = deadline
		}
	}
	return due
}

// end stops what is open and finishes the study.
func (s *Study) end(reason string, now time.Time, effects []Effect) []Effect {
	for _, number := range slices.Clone(s.state.Open) {
		trial := s.trials[number]
		effects = append(effects, stop(trial, StopStudyEnded))
		s.close(trial, Stopped, now)
	}
	s.state.Asks = nil
	s.state.Reason, s.state.EndedAt = reason, now
	return append(effects, Effect{Kind: EffectFinished, Reason: reason})
}

func stop(trial *Trial, reason string) Effect {
	return Effect{Kind: EffectStopped, Trial: trial.Number, Attempt: trial.Attempt, Reason: reason}
}

// close ends a trial for good. Timed out and stopped trials say nothing of the
// config, so they neither count as failures in a row nor break the row.
func (s *Study) close(trial *Trial, state TrialState, now time.Time) {
	s.move(trial, state)
	s.state.Closed++
	trial.Order = s.state.Closed
	trial.EndedAt, trial.Steps = now, nil
	if trial.DurationMS == 0 && !trial.StartedAt.IsZero() {
		trial.DurationMS = now.Sub(trial.StartedAt).Milliseconds()
	}
	if i, found := slices.BinarySearch(s.state.Open, trial.Number); found {
		s.state.Open = slices.Delete(s.state.Open, i, i+1)
	}
	switch state {
	case Failed:
		s.state.FailedInRow++
	case Complete, Pruned:
		s.state.FailedInRow = 0
	}
	s.remember(trial)
	s.curves[trial.Number] = trial.curve()
}
