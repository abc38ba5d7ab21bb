package observer

import (
	"math"
	"slices"
)

// View is what one rule of a monitor thinks of one report. A number that there is none of is NaN.
type View struct {
	Rule      int // its index in the policy
	Detector  string
	Metric    string
	Value     float64
	Reference float64 // what the value is compared with
	Limit     float64 // the value at which the report is or would be too bad
	Statistic float64 // what is compared with a threshold, as a share of it: 1 and more is degraded
	Degraded  bool
}

// Look tells what Observe is about to make of a report, rule by rule, and changes nothing: not of a late report, and
// not of rules whose metric the report lacks. It costs as much as Observe and copies of what the detectors remember.
func (m *Monitor) Look(st *State, r Report) []View {
	cells := st.cells
	if len(cells) == 0 {
		cells = m.fresh()
	}
	arriving := st.episode
	now, late := arriving.arrive(r, m.policy.LateAfter)
	if late {
		return nil
	}
	views := make([]View, 0, len(m.rules))
	for i := range m.rules {
		c := cells[i]
		c.memory = append(m.rules[i].detector.fresh()[:0], c.memory...)
		if s, reported := m.rules[i].observe(&c, r.Metrics, now); reported {
			views = append(views, m.rules[i].view(i, &s))
		}
	}
	return slices.Clip(views)
}

func (r *rule) view(index int, s *symptom) View {
	v := View{
		Rule: index, Detector: r.spec.Detector, Metric: s.metric, Value: s.value, Degraded: s.verdict.degraded,
		Reference: s.verdict.reference, Limit: s.verdict.limit, Statistic: s.verdict.statistic,
	}
	if !finite(s.value) {
		v.Reference, v.Limit, v.Statistic = math.NaN(), math.NaN(), math.NaN()
		return v
	}
	if v.Reference == 0 && math.IsNaN(v.Limit) && !v.Degraded {
		v.Reference = math.NaN() // a detector that is warming up, or knows none while all is well
	}
	if room := r.goalOf(s.metric).worse(v.Limit, v.Reference); v.Statistic == 0 && room > 0 {
		v.Statistic = share(r.goalOf(s.metric).worse(s.value, v.Reference), room)
	}
	return v
}

// Condition is how a monitor sees a model now.
type Condition struct {
	Degraded bool   // an episode runs
	Told     bool   // and an event was made of it
	Silent   bool   // the model is stale, and an event was made of it
	Late     uint64 // reports too old to be judged, of this version of the model
}

// Condition is what the reports so far have led to.
func (m *Monitor) Condition(st *State) Condition {
	e := &st.episode
	return Condition{Degraded: e.runs, Told: e.runs && e.severity != "", Silent: e.silent, Late: e.late}
}
