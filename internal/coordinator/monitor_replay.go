package coordinator

import (
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// Replay shows what was stored of one model to a monitor, by the rules of a worker. It does nothing else that a worker
// does: no tuner, no study, no output.
type Replay struct {
	model   *model
	metrics []observer.Metric // scratch
}

// NewReplay begins with a model of which nothing is known.
func NewReplay(monitor *observer.Monitor) *Replay {
	return &Replay{model: newModel("", &Policy{Monitor: monitor})}
}

// Monitor is the monitor that watches a model.
func (c *Config) Monitor(model string) *observer.Monitor { return c.policy(model).Monitor }

// Meet takes note of the version that a report bears, as Report does, too.
func (r *Replay) Meet(report *wire.Report) {
	if report.State != wire.Failed && r.model.see(report.Version) {
		r.monitor().Rebase(r.model.monitor)
	}
}

// Report applies a live report. look may be nil; it is called before the report is judged, with what each rule thinks
// of it.
func (r *Replay) Report(report *wire.Report, stored time.Time, look func([]observer.View)) (observer.Finding, bool) {
	now := r.model.advance(stored)
	if report.State == wire.Failed {
		r.monitor().Alive(r.model.monitor, now)
		return observer.Finding{}, false
	}
	observed := r.model.observed(report, r.metrics, now)
	r.metrics = observed.Metrics
	if look != nil {
		look(r.monitor().Look(r.model.monitor, observed))
	}
	return r.monitor().Observe(r.model.monitor, observed)
}

// Command applies what a study command does to the monitor.
func (r *Replay) Command(c *wire.Command, stored time.Time) {
	now := r.model.advance(stored)
	switch c.Op {
	case "baseline":
		r.monitor().Rebase(r.model.monitor)
	case "forget":
		r.model = newModel("", r.model.policy)
		r.model.now = now
	}
}

// Due is when time alone would be told next; zero: never.
func (r *Replay) Due() time.Time { return r.monitor().Due(r.model.monitor) }

// Tick lets time pass.
func (r *Replay) Tick(now time.Time) (observer.Finding, bool) {
	return r.monitor().Tick(r.model.monitor, r.model.advance(now))
}

// Condition is how the monitor sees the model now.
func (r *Replay) Condition() observer.Condition { return r.monitor().Condition(r.model.monitor) }

func (r *Replay) monitor() *observer.Monitor { return r.model.policy.Monitor }

// observed is a live report as the model's monitor takes it, which begins anew with a new version of the model.
// The metrics are written over scratch.
func (m *model) observed(r *wire.Report, scratch []observer.Metric, now time.Time) observer.Report {
	if m.see(r.Version) {
		m.policy.Monitor.Rebase(m.monitor)
	}
	scratch = scratch[:0]
	for _, x := range r.Metrics {
		scratch = append(scratch, observer.Metric(x))
	}
	return observer.Report{Metrics: scratch, Time: r.Time, Stored: now}
}
