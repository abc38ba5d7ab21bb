package observer

import (
	"slices"
	"time"
)

// Stored is the stored form of what a monitor remembers of one model.
type Stored struct {
	Rules   []Snapshot
	Episode *EpisodeSnapshot // nil: nothing but a fresh one
}

// Snapshot is what one rule remembers of one model. Times are to the millisecond.
type Snapshot struct {
	// Hash is metric/detector/hash of goal and options.
	Hash string `msgpack:"hash" json:"hash"`
	// Metric is the main metric, of a rule that names none.
	Metric string `msgpack:"metric,omitempty" json:"metric,omitempty"`
	// Holds is the severity while the rule holds.
	Holds Severity `msgpack:"episode,omitempty" json:"episode,omitempty"`
	// Values is the detector's memory, all finite; for rolling_mean the window, the oldest value first.
	Values []float64 `msgpack:"values,omitempty" json:"values,omitempty"`
	// Recent has a bit for each of the latest reports, the newest the lowest: it was degraded.
	Recent uint64 `msgpack:"recent,omitempty" json:"recent,omitempty"`
	// Since is when the change began that the detector sees, and Reports how many reports it lasts.
	Since   *time.Time `msgpack:"since,omitempty" json:"since,omitempty"`
	Reports int32      `msgpack:"reports,omitempty" json:"reports,omitempty"`
	// Held is since when enough of the latest reports are degraded.
	// Latest is the time of the newest report with the metric.
	Latest *time.Time `msgpack:"latest,omitempty" json:"latest,omitempty"`
	Held   *time.Time `msgpack:"held,omitempty" json:"held,omitempty"`
	// Healthy counts the healthy reports in a row while the rule holds.
	Healthy int32 `msgpack:"healthy,omitempty" json:"healthy,omitempty"`
}

// EpisodeSnapshot is what a monitor remembers of one model beside its rules.
type EpisodeSnapshot struct {
	Runs     bool       `msgpack:"runs,omitempty" json:"runs,omitempty"`
	Severity Severity   `msgpack:"severity,omitempty" json:"severity,omitempty"` // the worst that was told of it
	Told     *time.Time `msgpack:"told,omitempty" json:"told,omitempty"`         // when something was told last
	Said     Severity   `msgpack:"said,omitempty" json:"said,omitempty"`         // how bad that was
	Newest   *time.Time `msgpack:"newest,omitempty" json:"newest,omitempty"`     // time of the newest report judged
	Arrived  *time.Time `msgpack:"arrived,omitempty" json:"arrived,omitempty"`   // when the last report was stored
	Silent   bool       `msgpack:"silent,omitempty" json:"silent,omitempty"`     // that the model is stale was told
	Missed   *time.Time `msgpack:"missed,omitempty" json:"missed,omitempty"`     // when that was told last
	Late     uint64     `msgpack:"late,omitempty" json:"late,omitempty"`         // reports too old to be judged
}

// Snapshot copies what is worth storing of a state; rules that remember nothing are left out.
func (m *Monitor) Snapshot(st *State) (s Stored) {
	if st == nil {
		return s
	}
	for i, c := range st.cells {
		if len(c.memory) == 0 && c.recent == 0 && c.reports == 0 && c.holds == "" && c.metric == "" {
			continue
		}
		s.Rules = append(s.Rules, Snapshot{
			Hash: m.rules[i].hash, Metric: c.metric, Holds: c.holds, Values: slices.Clone(c.memory),
			Recent: c.recent & m.rules[i].window, Since: stored(c.since), Reports: c.reports, Latest: stored(c.latest), Held: stored(c.held), Healthy: c.healthy,
		})
	}
	if e := st.episode; e != (episode{}) {
		s.Episode = &EpisodeSnapshot{
			Runs: e.runs, Severity: e.severity, Told: stored(e.told), Said: e.said, Newest: stored(e.newest), Arrived: stored(e.arrived),
			Silent: e.silent, Missed: stored(e.missed), Late: e.late,
		}
	}
	return s
}

func stored(i instant) *time.Time {
	if i == 0 {
		return nil
	}
	return new(i.time())
}

func restored(t *time.Time) instant {
	if t == nil {
		return 0
	}
	return toInstant(*t)
}

// Restore makes a state of what was stored, whatever the order of its rules. What is of a rule that m has not, or is
// damaged, is dropped: that rule starts afresh.
func (m *Monitor) Restore(s Stored) *State {
	st := m.NewState()
	holding := 0
	var worst Severity
	for _, from := range s.Rules {
		i := slices.IndexFunc(m.rules, func(r rule) bool { return r.hash == from.Hash })
		if i < 0 || !from.sound() || !m.rules[i].detector.fits(from.Values) {
			continue
		}
		// Into the fresh array, which has the room that update counts on.
		st.cells[i] = cell{
			memory: append(st.cells[i].memory[:0], from.Values...), metric: from.Metric, holds: from.Holds, recent: from.Recent,
			since: restored(from.Since), reports: from.Reports, latest: restored(from.Latest), held: restored(from.Held), healthy: from.Healthy,
		}
		if from.Holds != "" {
			holding++
			if from.Holds.worse(worst) {
				worst = from.Holds
			}
		}
	}
	st.episode = s.Episode.restore()
	if s.Episode == nil && holding >= m.need {
		st.episode = episode{runs: true, severity: worst} // stored before episodes were of models
	}
	return st
}

func (e *EpisodeSnapshot) restore() episode {
	if e == nil || !known(e.Severity) || !known(e.Said) {
		return episode{}
	}
	return episode{
		runs: e.Runs, severity: e.Severity, told: restored(e.Told), said: e.Said, newest: restored(e.Newest), arrived: restored(e.Arrived),
		silent: e.Silent, missed: restored(e.Missed), late: e.Late,
	}
}

func (s Snapshot) sound() bool {
	return known(s.Holds) && s.Reports >= 0 && s.Healthy >= 0 && len(s.Metric) <= 1024 &&
		!slices.ContainsFunc(s.Values, func(x float64) bool { return !finite(x) })
}

func known(s Severity) bool { return s == "" || s == Warning || s == Critical }
