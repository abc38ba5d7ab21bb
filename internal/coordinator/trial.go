package coordinator

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// trialReport applies the report of a trial. What has ended is ignored, what never
// was is an error.
func (s *step) trialReport(m *model, r *wire.Report) error {
	if m.study == nil || m.study.Name() != r.Study {
		if s.finished(m, r.Study) {
			return nil
		}
		return &wire.FieldError{Field: "study", Value: strconv.Quote(r.Study), Problem: "is not a study of this model", Remedy: "start it on " + s.names.StudyCommand(m.id)}
	}
	m.study.Caused(s.as(r.RunID))
	effects, reason := m.study.Report(studyReport(r), s.now)
	if reason == study.UnknownTrial {
		return &wire.FieldError{Field: "trial", Value: strconv.Itoa(r.Trial), Problem: "was never suggested in study " + r.Study, Remedy: "report the trial of a config from " + s.names.TrialConfigs(m.id)}
	}
	if reason == study.Applied || reason == study.Heartbeat {
		s.changed = true
	}
	s.publish(m, effects, r.RunID)
	return nil
}

// finished tells whether the model had a study of that name.
func (s *step) finished(m *model, name string) bool { return m.finished[name].Name != "" }

func studyReport(r *wire.Report) study.Report {
	states := map[wire.ReportState]study.TrialState{wire.Running: study.Running, wire.Complete: study.Complete, wire.Failed: study.Failed}
	report := study.Report{
		Trial: r.Trial, Attempt: r.Attempt, State: states[r.State],
		Error: r.Error, DurationMS: r.DurationMS, RunID: r.RunID,
	}
	if r.HasStep {
		report.Step = &r.Step
	}
	if len(r.Metrics) > 0 {
		report.Metrics = func(name string) (float64, bool) {
			for _, x := range r.Metrics {
				if x.Name == name {
					return x.Value, true
				}
			}
			return 0, false
		}
	}
	return report
}

// tick lets time pass for a model's study.
func (s *step) tick(m *model) {
	s.now = m.advance(s.now)
	if m.study != nil {
		s.changed = true
		m.study.Caused(s.as(""))
		s.publish(m, m.study.Tick(s.now), "")
		if m.study == nil {
			return // a study more, because of a silence, would be too much for one commit: it comes with the next tick
		}
	}
	if f, told := m.policy.Monitor.Tick(m.monitor, s.now); told {
		s.changed = true
		s.retrain(m, f, s.now, m.newestVersion(), "")
	}
}

// publish turns what a study asks for into outputs.
func (s *step) publish(m *model, effects []study.Effect, runID string) {
	for _, e := range effects {
		s.changed = true
		switch e.Kind {
		case study.EffectSuggested:
			s.suggested(m, e, cmp.Or(e.Cause, new(s.as(runID))))
		case study.EffectStopped:
			id := wire.ID(s.now, fmt.Sprintf("%s/%s/%s/%d/%s", m.id, KindStop, m.study.Name(), e.Trial, e.Reason), s.sequence, e.Attempt)
			s.emit(KindStop, s.names.Stop(m.id, m.study.Name(), e.Trial), id, wire.Stop{
				ModelID: m.id, Study: m.study.Name(), Trial: e.Trial, Attempt: e.Attempt, Reason: e.Reason, Time: wire.Time(s.now),
			})
		case study.EffectFinished:
			s.summary(m, runID)
		}
	}
}

// as is the present cause.
func (s *step) as(runID string) study.Cause {
	return study.Cause{Sequence: s.sequence, RunID: runID, Trace: s.trace, At: s.now}
}

// suggested publishes the config of an attempt. Its id follows from what it is, for
// a slow strategy's answers have neither an input nor a time of their own.
func (s *step) suggested(m *model, e study.Effect, by *study.Cause) {
	trial := m.study.Trial(e.Trial)
	id := wire.ID(by.At, fmt.Sprintf("%s/%s/%s/%d", m.id, KindConfig, m.study.Name(), e.Trial), by.Sequence, e.Attempt)
	own := s.trace
	s.trace = by.Trace
	s.emit(KindConfig, s.names.TrialConfig(m.id, m.study.Name(), e.Trial), id, wire.Config{
		ModelID: m.id, Study: m.study.Name(), Trial: &e.Trial, Attempt: e.Attempt, Strategy: m.study.Strategy(),
		Config: trial.Config, IssuedAt: wire.Time(s.now), Sequence: by.Sequence, RunID: by.RunID,
	})
	s.trace = own
}

// summary publishes the outcome of a study that has ended and, if it found
// something better, the event that says so.
func (s *step) summary(m *model, runID string) {
	sum := m.study.Summary(s.now, encodedSize)
	out := wire.Summary{
		ModelID: m.id, Study: sum.Name, Strategy: sum.Strategy, Reason: sum.Reason, Counts: wire.Counts{},
		Trials: make([]wire.TrialResult, len(sum.Trials)), StartedAt: wire.Time(sum.StartedAt), FinishedAt: wire.Time(sum.FinishedAt),
		BestTrial: bestTrial(sum.Best), Explanation: sum.Explanation,
	}
	for state, n := range sum.Counts {
		out.Counts[string(state)] = n
	}
	for i := range sum.Trials {
		out.Trials[i] = trialResult(&sum.Trials[i])
	}
	s.emit(KindSummary, s.names.Summary(m.id, sum.Name), "", out)
	s.improved(m, sum, runID)
	if failure := m.study.State().Error; failure != "" {
		s.note(true, failure, "study %s of model %s ended: its strategy failed", sum.Name, m.id)
	}
	finished := m.study.Finished(encodedSize)
	m.ended = append(m.ended, endedStudy{m.study, finished})
	m.know(sum.Name, finished)
	m.study = nil
	if sum.Best == nil {
		s.note(true, "", "study %s of model %s ended (%s) without a complete trial", sum.Name, m.id, sum.Reason)
	}
}

func (s *step) improved(m *model, sum study.Summary, runID string) {
	d := m.study.Definition()
	if sum.Best == nil || !study.Beats(d.Goal, *sum.Best.Value, d.Baseline) {
		return
	}
	reason := fmt.Sprintf("Study %s found %s %.6g in trial %d", sum.Name, d.Metric, *sum.Best.Value, sum.Best.Number)
	if d.Baseline != nil {
		reason += fmt.Sprintf(", better than the baseline %.6g", *d.Baseline)
	}
	id := wire.ID(s.now, m.id, s.sequence, len(s.outputs))
	s.emitRetrain(wire.Retrain{
		ID: id, ModelID: m.id, Trigger: "improved", Reason: reason, Metric: d.Metric, Value: sum.Best.Value, Reference: d.Baseline,
		Config: m.config, BestTrial: bestTrial(sum.Best), Study: sum.Name, RunID: runID, Time: wire.Time(s.now), Sequence: s.sequence,
	})
}

func bestTrial(t *study.Trial) *wire.BestTrial {
	if t == nil {
		return nil
	}
	return &wire.BestTrial{Trial: t.Number, Config: t.Config, Value: *t.Value, DurationMS: t.DurationMS}
}

func trialResult(t *study.Trial) wire.TrialResult {
	return wire.TrialResult{Trial: t.Number, Config: t.Config, Value: t.Value, State: string(t.State), DurationMS: t.DurationMS, Attempts: t.Attempt}
}

// encodedSize is what a trial adds to a summary, in bytes.
func encodedSize(t study.Trial) int {
	body, err := wire.MarshalState(trialResult(&t))
	if err != nil {
		return 1 << 20 // leave out what cannot be encoded
	}
	return len(body)
}

// due is when time alone changes the model next; zero: never.
func (m *model) due() time.Time {
	due := m.policy.Monitor.Due(m.monitor)
	if m.study != nil {
		due = sooner(due, m.study.Due())
	}
	return due
}

// sooner is the earlier of two times that may be zero, which is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// wakes is when whoever reads the model from the bucket has to look at it: a
// strategy that was asked has to be asked again.
func (m *model) wakes() time.Time {
	if m.study.Asking() {
		return m.study.State().Now
	}
	return m.study.Due()
}
