package study

import (
	"fmt"
	"slices"
	"time"
)

// A Report is what a trainer says of one attempt.
type Report struct {
	Trial      int
	Attempt    int                               // 0: the current one
	Step       *int64                            // of an intermediate report
	State      TrialState                        // Running, Complete or Failed
	Metrics    func(name string) (float64, bool) // nil: none, the report is a heartbeat if running
	Error      string
	DurationMS int64
	RunID      string
}

// A Reason names what a report did, or why it did nothing.
type Reason string

// The reasons. Only after Applied and Heartbeat has anything changed.
const (
	Applied      Reason = "applied"
	Heartbeat    Reason = "heartbeat"     // applied: the attempt is alive, nothing else is new
	RepeatedStep Reason = "repeated_step" // the step was reported before
	OldAttempt   Reason = "old_attempt"   // not the current attempt
	TrialEnded   Reason = "trial_ended"
	UnknownTrial Reason = "unknown_trial" // never proposed
	StudyEnded   Reason = "study_ended"
)

// Report applies a report and proposes what it makes room for. A final report
// counts also when its step was reported before, and one that is late counts as
// long as no Tick has ended its attempt: what was measured is kept.
func (s *Study) Report(r Report, now time.Time) ([]Effect, Reason) {
	now = s.clock(now)
	if reason := s.ignored(r); reason != "" {
		return nil, reason
	}
	trial := s.trials[r.Trial]
	reason := Applied
	if r.State == Running && (r.Step == nil || r.Metrics == nil) {
		reason = Heartbeat
	} else if r.State == Running && !trial.Steps.Add(*r.Step) {
		return nil, RepeatedStep
	}
	s.touch(trial, r, now)
	switch r.State {
	case Running:
		return s.fill(now, s.judge(trial, r, now)), reason
	case Complete:
		s.complete(trial, r, now)
		return s.fill(now, nil), reason
	default:
		return s.fill(now, s.retry(trial, Failed, r.Error, now)), reason
	}
}

// ignored names why a report does not concern an open attempt.
func (s *Study) ignored(r Report) Reason {
	trial := s.Trial(r.Trial)
	switch {
	case r.Trial < 0 || r.Trial >= s.state.Next || s.asked(r.Trial):
		return UnknownTrial
	case s.Ended():
		return StudyEnded
	case trial == nil || !trial.Open():
		return TrialEnded
	case r.Attempt != 0 && r.Attempt != trial.Attempt:
		return OldAttempt
	}
	return ""
}

// asked reports whether the number waits for the strategy.
func (s *Study) asked(number int) bool {
	return slices.ContainsFunc(s.state.Asks, func(a Ask) bool { return a.Number == number })
}

// touch notes that the attempt is alive, and since when.
func (s *Study) touch(trial *Trial, r Report, now time.Time) {
	if trial.State == Waiting {
		trial.StartedAt = now
		s.move(trial, Running)
	}
	trial.ReportedAt = now
	if r.DurationMS > 0 {
		trial.DurationMS = r.DurationMS
	}
	if r.RunID != "" {
		trial.RunID = r.RunID
	}
	s.changed[trial.Number] = true
}

// complete ends a trial by its result. A diverged training is a result too, a
// bad one: another attempt would diverge again.
func (s *Study) complete(trial *Trial, r Report, now time.Time) {
	metric := s.definition.Metric
	value, ok := 0.0, false
	if r.Metrics != nil {
		value, ok = r.Metrics(metric)
	}
	switch {
	case !ok:
		trial.Error = fmt.Sprintf("the final report has no metric %s", metric)
		s.close(trial, Failed, now)
	case !finite(value):
		trial.Error = fmt.Sprintf("the metric %s is %v", metric, value)
		s.close(trial, Failed, now)
	default:
		trial.Value, trial.Error = &value, ""
		s.close(trial, Complete, now)
		s.state.Base = trial.Config
		if s.better(trial, s.state.Best) {
			s.state.Best = trial
		}
	}
}

// better reports whether a complete trial beats another, or there is no other;
// of equals the lower number wins.
func (s *Study) better(a, b *Trial) bool {
	if b == nil || *a.Value == *b.Value {
		return b == nil || a.Number < b.Number
	}
	return s.definition.Goal.Better(*a.Value, *b.Value)
}

// retry gives a trial another attempt, or ends it when none is left or the
// study is over.
func (s *Study) retry(trial *Trial, state TrialState, cause string, now time.Time) []Effect {
	trial.Error = cause
	if trial.Attempt > s.definition.Retries || s.bound(now) != "" {
		s.close(trial, state, now)
		return nil
	}
	s.move(trial, Waiting)
	*trial = Trial{Number: trial.Number, Attempt: trial.Attempt + 1, State: Waiting,
		Config: trial.Config, Error: cause, CreatedAt: trial.CreatedAt}
	s.curves[trial.Number] = trial.curve()
	return []Effect{{Kind: EffectSuggested, Trial: trial.Number, Attempt: trial.Attempt}}
}
