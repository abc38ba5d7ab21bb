package observer

import (
	"math"
	"math/bits"
	"time"
)

// rule is one compiled Spec.
type rule struct {
	spec     Spec
	against  string   // what the detector compares with, for the reason
	detector detector // for a metric that is named, or whose smaller values are better
	mirrored detector // for a main metric whose larger values are better
	window   uint64   // a bit for each of the reports that confirm looks at
	base     string   // hash of what is watched, and how
	hash     string   // base, and of a second such rule its number
}

// cell is what a rule remembers of one model.
type cell struct {
	memory  []float64
	metric  string   // the main metric, once there is one
	holds   Severity // the rule's severity while it holds, Critical after a value that is not finite
	recent  uint64   // whether the latest reports were degraded; the newest is bit 0
	since   instant  // beginning of the change that the detector sees; 0: it sees none, or begins it at a report long ago
	latest  instant  // the newest report with the metric
	held    instant  // since when enough of the latest reports were degraded; 0: they are not
	reports int32    // that the change lasts
	healthy int32    // reports in a row, while the rule holds
}

// symptom is a degraded metric in a report.
type symptom struct {
	rule     *rule
	severity Severity // of the rule; empty while it does not hold
	metric   string
	value    float64
	verdict  verdict
	since    instant
}

// observe judges the rule's metric, if it was reported.
func (r *rule) observe(c *cell, metrics []Metric, now instant) (symptom, bool) {
	metric, detector := r.watched(c, metrics)
	value, reported := lookup(metrics, metric)
	if !reported || metric == "" {
		return symptom{}, false
	}
	// Finite values alone are shown to the detector: a NaN in its memory would silence it for good.
	v := verdict{degraded: true, reference: math.NaN(), reports: int(c.reports) + 1}
	if finite(value) {
		c.memory, v = detector.update(c.memory, value)
	}
	c.count(&v, now)
	c.settle(r, v.degraded, finite(value), now)
	s := symptom{metric: metric, value: value, verdict: v, since: c.since}
	switch {
	case !finite(value):
		s.severity = Critical
	case v.degraded && c.holds != "":
		s.severity = r.spec.Severity
	}
	return s, true
}

// watched is the metric that the rule is about, for a model, and its detector.
func (r *rule) watched(c *cell, metrics []Metric) (string, detector) {
	if r.spec.Metric != "" {
		return r.spec.Metric, r.detector
	}
	if c.metric == "" {
		c.metric = mainMetric(metrics)
	}
	if r.goalOf(c.metric) == Maximize {
		return c.metric, r.mirrored
	}
	return c.metric, r.detector
}

// goalOf is the goal for a metric that the rule watches.
func (r *rule) goalOf(metric string) Goal {
	if r.spec.Metric != "" {
		return r.spec.Goal
	}
	goal, _ := goalOf(metric)
	return goal
}

// count follows how long the change lasts: as the detector estimates, else as many reports in a row as are degraded.
func (c *cell) count(v *verdict, now instant) {
	if v.reports == 0 && v.degraded {
		v.reports = int(c.reports) + 1
	}
	switch {
	case v.reports == 0:
		c.since = 0
	case v.reports == 1:
		c.since = now
	case v.reports == 2:
		c.since = c.latest
	case v.reports != int(c.reports)+1:
		c.since = 0
	}
	c.latest = now
	c.reports = int32(min(v.reports, math.MaxInt32))
}

// settle decides whether the rule holds after a report. A value that is not finite leaves nothing to wait for.
func (c *cell) settle(r *rule, degraded, isFinite bool, now instant) {
	c.recent <<= 1
	c.healthy++
	if degraded {
		c.recent |= 1
		c.healthy = 0
	}
	enough := bits.OnesCount64(c.recent&r.window) >= r.spec.Confirm.Reports
	switch {
	case !enough:
		c.held = 0
	case c.held == 0:
		c.held = now
	}
	switch {
	case !isFinite:
		c.holds = Critical
	case c.holds == "" && degraded && enough && now.since(c.held) >= r.spec.For:
		c.holds = r.spec.Severity
	case c.holds != "" && !enough && int(c.healthy) >= r.spec.Recover:
		c.holds = ""
	}
	if c.holds == "" {
		c.healthy = 0
	}
}

// finding is what a symptom that leads to an event says.
func (s *symptom) finding() Finding {
	return Finding{
		Trigger: Degraded, Severity: s.severity, Metric: s.metric, Detector: s.rule.spec.Detector,
		Reason: s.reason(), Value: s.value, Reference: s.verdict.reference, Deviations: s.verdict.deviations,
		Reports: s.verdict.reports, Since: s.since.orZero(),
	}
}

func staleFinding(last, now time.Time, after time.Duration) Finding {
	return Finding{
		Trigger: Stale, Severity: Warning, Reason: staleReason(last, now), Value: now.Sub(last).Seconds(),
		Reference: after.Seconds(), Since: last,
	}
}
