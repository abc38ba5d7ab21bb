// Package observer decides, from the metrics a model reports, when the model should be retrained.
package observer

import (
	"fmt"
	"math"
	"time"
)

// Metric is one named number of a report. Names are unique within a report; the value may be NaN or infinite.
type Metric struct {
	Name  string
	Value float64
}

// Report is what a model tells of itself at one time.
type Report struct {
	Metrics []Metric
	Time    time.Time // when it was measured; zero: when it was stored
	Stored  time.Time // when it reached the worker, which tells a late report and a clock that is ahead; zero: Time
}

// Severity says how bad a finding is. The empty Severity means healthy.
type Severity string

const (
	// Warning is a metric that a detector judges worse than its reference, unless its rule says otherwise.
	Warning Severity = "warning"
	// Critical is a metric that is NaN or infinite, or one that its rule calls so.
	Critical Severity = "critical"
)

// worse tells whether s is a worse severity than other.
func (s Severity) worse(other Severity) bool {
	return s != other && (s == Critical || other == "")
}

// Trigger says what kind of finding it is.
type Trigger string

const (
	// Degraded is a model whose metrics got worse.
	Degraded Trigger = "degraded"
	// Stale is a model that reports no more.
	Stale Trigger = "stale"
)

// Finding says that a model should be retrained, and why.
type Finding struct {
	Trigger    Trigger
	Severity   Severity
	Metric     string    // empty when stale
	Detector   string    // its name in worker.yaml; empty when stale
	Reason     string    // a sentence: `Loss degraded 12.34% vs. rolling mean`
	Value      float64   // as reported, NaN and infinite included; when stale, the seconds of silence
	Reference  float64   // what Value was judged against; NaN when Value is not finite
	Deviations float64   // how many standard deviations the level is worse than the reference; 0: the detector knows none
	Reports    int       // how many of the latest reports with the metric, this one included, the change lasts
	Since      time.Time // of the first of them, zero if that is not known; when stale, of the last report
}

// Monitor is a compiled Policy. It is immutable, and shared by all models with that policy.
type Monitor struct {
	rules  []rule
	need   int // rules that must hold
	policy Policy
}

const (
	maxRules      = 50     // of one monitor
	maxRemembered = 20_000 // values that a state holds: 180 KB stored
)

// State is what a monitor remembers of one model. The zero State is a fresh one.
// It belongs to the monitor that observed it first: between monitors it travels by Snapshot and Restore.
type State struct {
	cells   []cell // one per rule, in their order; empty until the first report
	episode episode
}

// New compiles a policy. Errors name the rule by its index: `monitor[1].window: …`.
func New(p Policy) (*Monitor, error) { return compile(p, "monitor") }

// compile reports mistakes in rules as standing in a list at path.
func compile(p Policy, path string) (*Monitor, error) {
	if len(p.Rules) > maxRules {
		return nil, fmt.Errorf("%s: %d rules: give at most %d", path, len(p.Rules), maxRules)
	}
	m := &Monitor{rules: make([]rule, len(p.Rules)), policy: p, need: max(p.Need, 1)}
	if m.need > max(len(p.Rules), 1) {
		return nil, fmt.Errorf("%s: %d rules must hold, of %d: lower the number or add rules", path, m.need, len(p.Rules))
	}
	hashes, remembered := make(map[string]int, len(p.Rules)), 0
	for i, spec := range p.Rules {
		at := fmt.Sprintf("%s[%d]", path, i)
		r, err := spec.compile(at)
		if err != nil {
			return nil, err
		}
		if first := indexSame(m.rules[:i], r); first >= 0 {
			return nil, fmt.Errorf("%s: says the same as %s[%d]: remove one of them", at, path, first)
		}
		if hashes[r.hash]++; hashes[r.hash] > 1 {
			r.hash = fmt.Sprintf("%s#%d", r.hash, hashes[r.hash])
		}
		m.rules[i] = r
		if remembered += cap(r.detector.fresh()); remembered > maxRemembered {
			return nil, fmt.Errorf("%s: with it a model's state holds %d values: at most %d: give smaller windows", at, remembered, maxRemembered)
		}
	}
	return m, nil
}

// NewState returns the state of a model that has reported nothing.
func (m *Monitor) NewState() *State { return &State{cells: m.fresh()} }

func (m *Monitor) fresh() []cell {
	cells := make([]cell, len(m.rules))
	for i := range cells {
		cells[i].memory = m.rules[i].detector.fresh()
	}
	return cells
}

// Observe judges one report. There is a finding when an episode begins, when it gets worse, and when it is time to
// repeat it. A metric that the report lacks changes nothing: what is missing has not recovered. A nil state is judged
// as a fresh one and forgotten.
func (m *Monitor) Observe(st *State, r Report) (Finding, bool) {
	if st == nil {
		st = new(State)
	}
	if len(st.cells) == 0 {
		st.cells = m.fresh()
	}
	now, late := st.episode.arrive(r, m.policy.LateAfter)
	if late {
		return Finding{}, false
	}
	var lead symptom
	holding := 0
	for i := range m.rules {
		s, reported := m.rules[i].observe(&st.cells[i], r.Metrics, now)
		if reported && s.severity.worse(lead.severity) {
			lead, lead.rule = s, &m.rules[i]
		}
		if st.cells[i].holds != "" {
			holding++
		}
	}
	if !st.episode.goesOn(holding >= m.need, now) || !st.episode.speaks(lead.severity, now, &m.policy) {
		return Finding{}, false
	}
	return lead.finding(), true
}

// Alive notes a report without metrics to judge: the model is not silent.
func (m *Monitor) Alive(st *State, stored time.Time) {
	st.episode.arrived, st.episode.silent = toInstant(stored), false
}

// Due is when a model turns stale if nothing comes, or its silence is to be repeated; zero: never.
func (m *Monitor) Due(st *State) time.Time {
	if m.policy.StaleAfter <= 0 || st == nil || st.episode.arrived == 0 {
		return time.Time{}
	}
	e := &st.episode
	switch {
	case e.silent && m.policy.Repeat > 0:
		return e.missed.time().Add(m.policy.Repeat)
	case e.silent:
		return time.Time{}
	}
	due := e.arrived.time().Add(m.policy.StaleAfter)
	if quiet := e.missed.time().Add(m.policy.CoolDown); e.missed != 0 && quiet.After(due) {
		return quiet
	}
	return due
}

// WatchesSilence tells whether models can turn stale.
func (m *Monitor) WatchesSilence() bool { return m.policy.StaleAfter > 0 }

// DueAfter is Due of a stored model; nil is one that has not reported.
func (m *Monitor) DueAfter(e *EpisodeSnapshot) time.Time {
	return m.Due(&State{episode: e.restore()})
}

// Tick lets time pass for a model that may be silent. now is on the clock that stores reports.
func (m *Monitor) Tick(st *State, now time.Time) (Finding, bool) {
	due := m.Due(st)
	if due.IsZero() || now.Before(due) {
		return Finding{}, false
	}
	e := &st.episode
	e.silent, e.missed = true, toInstant(now)
	return staleFinding(e.arrived.time(), now, m.policy.StaleAfter), true
}

// Rebase forgets the old version of a model: its values are no baseline for the new one, and its episode is over.
func (m *Monitor) Rebase(st *State) {
	if st != nil {
		st.cells = m.fresh()
		before := st.episode
		st.episode = episode{arrived: before.arrived, silent: before.silent}
		if before.silent {
			st.episode.missed = before.missed
		}
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

func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }
