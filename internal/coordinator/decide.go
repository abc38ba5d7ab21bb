package coordinator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

var errNewerSchema = errors.New("state was written by a newer version")

// report applies a report to a model. An error is the reason of a dead letter; the
// model may have changed all the same (its monitor saw a report that its tuner
// could not answer).
func (s *step) report(m *model, r *wire.Report) error {
	s.now = m.advance(s.now)
	if r.Study != "" {
		return s.trialReport(m, r)
	}
	s.changed = true
	m.reports++
	if r.State == wire.Failed {
		m.failed++
		m.policy.Monitor.Alive(m.monitor, s.now)
		return nil
	}
	if r.Config != nil {
		m.config = r.Config
	}
	tuned := s.tune(m, r)
	s.monitor(m, r)
	return tuned
}

// tune answers a live report with the next live config.
func (s *step) tune(m *model, r *wire.Report) error {
	if r.Config == nil || m.policy.Tuner == nil || m.study != nil {
		return nil
	}
	base, err := r.ConfigMap()
	if err != nil {
		return err
	}
	t := m.policy.Tuner
	config, err := suggest(t.Strategy, func() strategy.Request {
		m.learn(base, r)
		return strategy.Request{
			Number: int(m.number), Index: int(m.number), Seed: wire.Seed(m.id, s.sequence, "live"), Base: base, Memory: m.memory,
		}
	})
	if errors.Is(err, strategy.ErrExhausted) {
		return nil // a grid that has been through has no next config
	}
	if err != nil {
		return fmt.Errorf("strategy %s: %w", t.Name, err)
	}
	number := m.number
	m.number++
	s.emit(KindConfig, s.names.LiveConfig(m.id), "", wire.Config{
		ModelID: m.id, Number: &number, Strategy: t.Name, Config: config,
		IssuedAt: wire.Time(s.now), Sequence: s.sequence, RunID: r.RunID,
	})
	return nil
}

// learn shows the result of a live config to a strategy that learns.
func (m *model) learn(config map[string]any, r *wire.Report) {
	learner, ok := m.policy.Tuner.Strategy.(strategy.Learner)
	if !ok {
		return
	}
	metric, goal, _ := strategy.Objective(learner)
	for _, x := range r.Metrics {
		if x.Name == metric {
			m.memory = learner.Learn(m.memory, goal, config, x.Value)
			return
		}
	}
}

// suggest keeps a strategy that panics from taking the worker along.
func suggest(s strategy.Strategy, request func() strategy.Request) (config map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.Suggest(request())
}

// monitor shows a live report to the model's detectors.
func (s *step) monitor(m *model, r *wire.Report) {
	report := m.observed(r, s.metrics, s.now)
	s.metrics = report.Metrics
	late := m.policy.Monitor.Condition(m.monitor).Late
	f, told := m.policy.Monitor.Observe(m.monitor, report)
	s.late = m.policy.Monitor.Condition(m.monitor).Late > late
	if told {
		s.retrain(m, f, reportTime(r, s.now), m.version(r), r.RunID)
	}
}

// retrain says that a model should be retrained, because of what was measured at a
// time, of a version and in a run.
func (s *step) retrain(m *model, f observer.Finding, at time.Time, version, runID string) {
	id := wire.ID(s.now, m.id, s.sequence, len(s.outputs))
	event := wire.Retrain{
		ID: id, ModelID: m.id, Trigger: string(f.Trigger), Reason: f.Reason, Severity: string(f.Severity),
		Metric: f.Metric, Detector: f.Detector, Value: &f.Value, Config: m.config, Deviations: f.Deviations,
		Reports: f.Reports, Version: version, RunID: runID, Time: wire.Time(at), Sequence: s.sequence,
	}
	if !math.IsNaN(f.Reference) {
		event.Reference = &f.Reference
	}
	if !f.Since.IsZero() {
		event.Since = wire.Time(f.Since)
	}
	s.emitRetrain(event)
	s.searchAgain(m, id)
}

// searchAgain starts the study that the policy wants after a retrain event, with the
// config in force as its first trial, unless one runs. A name made of the event's id
// was never used.
func (s *step) searchAgain(m *model, event string) {
	if m.policy.Study == nil || m.study != nil || s.unsearched {
		return
	}
	tree := maps.Clone(m.policy.Study)
	if inForce := s.inForce(m); inForce != nil {
		first, _ := tree["enqueue"].([]any)
		tree["enqueue"] = append([]any{inForce}, first...)
	}
	name := "retrain-" + event
	before := *s
	err := guard(func() error {
		d, err := study.Parse(tree)
		if err != nil {
			return err
		}
		return s.begin(m, d, name)
	})
	if err = cmp.Or(err, s.err); err != nil {
		*s, m.study, m.informed = before, nil, false // the event itself must not be lost
		s.note(true, err.Error(), "model %s: on_retrain.study cannot be started", m.id)
		return
	}
	s.retrained = true
	s.note(false, "", "model %s: study %s started, because of retrain event %s", m.id, name, event)
}

// inForce is the config in force, moved into the space of the policy's study.
func (s *step) inForce(m *model) map[string]any {
	if m.config == nil {
		return nil
	}
	config, err := m.config.Map()
	if err != nil {
		return nil
	}
	d, err := study.Parse(m.policy.Study)
	if err != nil {
		return nil
	}
	return d.Fit(config)
}

// version that a report is of: what it says, else the newest known.
func (m *model) version(r *wire.Report) string { return cmp.Or(r.Version, m.newestVersion()) }

func (m *model) newestVersion() string {
	if len(m.versions) == 0 {
		return ""
	}
	return m.versions[len(m.versions)-1]
}

// reportTime is when the trainer measured; by default when it was stored, and never after that.
func reportTime(r *wire.Report, stored time.Time) time.Time {
	if r.Time.IsZero() || r.Time.After(stored) {
		return stored
	}
	return r.Time
}
