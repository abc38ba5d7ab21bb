package coordinator

import (
	"errors"
	"fmt"
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
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
	config, err := suggest(t.Strategy, strategy.Request{
		Number: int(m.number), Index: int(m.number), Seed: wire.Seed(m.id, s.sequence, "live"), Base: base,
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

// suggest keeps a strategy that panics from taking the worker along.
func suggest(s strategy.Strategy, r strategy.Request) (config map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.Suggest(r)
}

// monitor shows a live report to the model's detectors.
func (s *step) monitor(m *model, r *wire.Report) {
	if m.see(r.Version) {
		m.policy.Monitor.Rebase(m.monitor)
	}
	s.metrics = s.metrics[:0]
	for _, x := range r.Metrics {
		s.metrics = append(s.metrics, observer.Metric(x))
	}
	for _, f := range m.policy.Monitor.Observe(m.monitor, s.metrics) {
		s.retrain(m, r, f)
	}
}

func (s *step) retrain(m *model, r *wire.Report, f observer.Finding) {
	id := wire.ID(s.now, m.id, s.sequence, len(s.outputs))
	value, reference := f.Value, f.Reference
	event := wire.Retrain{
		ID: id, ModelID: m.id, Trigger: "degraded", Reason: f.Reason, Severity: string(f.Severity),
		Metric: f.Metric, Detector: f.Detector, Value: &value, Config: m.config,
		Version: m.version(r), RunID: r.RunID, Time: wire.Time(reportTime(r, s.now)), Sequence: s.sequence,
	}
	if f.Severity != observer.Critical {
		event.Reference = &reference
	}
	s.emit(KindRetrain, s.names.Retrain(m.id, id), id, event)
}

// version that a report is of: what it says, else the newest known.
func (m *model) version(r *wire.Report) string {
	if r.Version == "" && len(m.versions) > 0 {
		return m.versions[len(m.versions)-1]
	}
	return r.Version
}

// reportTime is when the trainer measured; by default when it was stored.
func reportTime(r *wire.Report, stored time.Time) time.Time {
	if r.Time.IsZero() {
		return stored
	}
	return r.Time
}
