// Package observer decides, from the metrics a model reports, when the model has degraded.
package observer

import (
	"fmt"
	"math"
)

// Metric is one named number of a report. Names are unique within a report; the value may be NaN or infinite.
type Metric struct {
	Name  string
	Value float64
}

// Severity says how bad a finding is. The empty Severity means healthy.
type Severity string

const (
	// Warning is a metric that a detector judges worse than its reference.
	Warning Severity = "warning"
	// Critical is a metric that is NaN or infinite: the model has broken down.
	Critical Severity = "critical"
)

// Finding is the beginning of an episode: a metric was healthy and now is not.
type Finding struct {
	Metric    string
	Detector  string   // its name in worker.yaml
	Severity  Severity // Warning or Critical
	Reason    string   // one sentence: `Loss degraded 12.34% vs. rolling mean`
	Value     float64  // as reported; NaN or infinite exactly when Severity is Critical
	Reference float64  // what Value was judged against; NaN when Severity is Critical
}

// Monitor is a compiled list of specs. It is immutable, and shared by all models with that list.
type Monitor struct {
	watches []watch
}

// maxSpecs bounds the findings of one report.
const maxSpecs = 50

// maxRemembered bounds the values that a state holds: 180 KB stored.
const maxRemembered = 20_000

// watch is one compiled spec.
type watch struct {
	metric   string
	name     string // of the detector
	against  string // what the detector compares with, for the reason
	detector detector
	hash     string
}

// State is what a monitor remembers of one model. The zero State is a fresh one.
// It belongs to the monitor that observed it first: between monitors it travels by Snapshot and Restore.
type State struct {
	cells []cell // one per watch, in their order; empty until the first report
}

type cell struct {
	memory  []float64
	episode Severity // the worst that was said in the running episode; empty: none runs
}

// New compiles specs. Errors name the spec by its index: `monitor[1].window: …`.
func New(specs []Spec) (*Monitor, error) {
	if len(specs) > maxSpecs {
		return nil, fmt.Errorf("monitor: %d entries: give at most %d", len(specs), maxSpecs)
	}
	m := &Monitor{watches: make([]watch, len(specs))}
	seen, remembered := make(map[string]int, len(specs)), 0
	for i, spec := range specs {
		w, err := compile(fmt.Sprintf("monitor[%d]", i), spec)
		if err != nil {
			return nil, err
		}
		if first, twice := seen[w.hash]; twice {
			return nil, fmt.Errorf("monitor[%d]: says the same as monitor[%d]: remove one of them", i, first)
		}
		seen[w.hash], m.watches[i] = i, w
		if remembered += cap(w.detector.fresh()); remembered > maxRemembered {
			return nil, fmt.Errorf("monitor[%d]: with it a model's state holds %d values: at most %d: give smaller windows", i, remembered, maxRemembered)
		}
	}
	return m, nil
}

// NewState returns the state of a model that has reported nothing.
func (m *Monitor) NewState() *State { return &State{cells: m.fresh()} }

func (m *Monitor) fresh() []cell {
	cells := make([]cell, len(m.watches))
	for i := range cells {
		cells[i].memory = m.watches[i].detector.fresh()
	}
	return cells
}

// Observe feeds one report to the detectors and returns the episodes that it begins, in the order of the specs.
// A metric the report lacks changes nothing. A nil state is judged as a fresh one and forgotten.
func (m *Monitor) Observe(st *State, metrics []Metric) []Finding {
	if st == nil {
		st = new(State)
	}
	if len(st.cells) == 0 {
		st.cells = m.fresh()
	}
	var findings []Finding
	for i := range m.watches {
		w := &m.watches[i]
		value, reported := lookup(metrics, w.metric)
		if !reported {
			continue
		}
		if finding, begun := w.observe(&st.cells[i], value); begun {
			findings = append(findings, finding)
		}
	}
	return findings
}

// Rebase forgets the old version of a model: its values are no baseline for the new one, and its episodes are over.
func (m *Monitor) Rebase(st *State) {
	if st != nil {
		st.cells = m.fresh()
	}
}

func lookup(metrics []Metric, name string) (float64, bool) {
	for i := range metrics {
		if metrics[i].Name == name {
			return metrics[i].Value, true
		}
	}
	return 0, false
}

// observe judges a value and speaks at the rising edge of an episode, and once more when a warning turns critical.
// A critical episode stays critical until a healthy value, so that a metric flickering between NaN and bad is told once.
func (w *watch) observe(c *cell, value float64) (Finding, bool) {
	severity, reference := w.judge(c, value)
	if severity == "" {
		c.episode = ""
		return Finding{}, false
	}
	if c.episode == Critical || c.episode == severity {
		return Finding{}, false
	}
	c.episode = severity
	return Finding{
		Metric:    w.metric,
		Detector:  w.name,
		Severity:  severity,
		Reason:    w.reason(value, reference),
		Value:     value,
		Reference: reference,
	}, true
}

// judge shows finite values alone to the detector: a NaN in its memory would silence it for good.
func (w *watch) judge(c *cell, value float64) (severity Severity, reference float64) {
	if !finite(value) {
		return Critical, math.NaN()
	}
	var v verdict
	c.memory, v = w.detector.update(c.memory, value)
	if v.degraded {
		severity = Warning
	}
	return severity, v.reference
}

func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }
