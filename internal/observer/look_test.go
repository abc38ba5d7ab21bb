package observer

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestLookChangesNothing looks at every report before it is observed.
func TestLookChangesNothing(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := monitorOf(t, specFor(name, Minimize), Spec{Detector: "rolling_mean", Confirm: Confirm{2, 3}})
			rapid.Check(t, func(t *rapid.T) {
				st, blind := m.NewState(), m.NewState()
				for i, v := range rapid.SliceOfN(rapid.Float64Range(-3, 3), 1, 120).Draw(t, "values") {
					r := Report{Metrics: []Metric{{"loss", v}}, Time: time.UnixMilli(int64(i) * 1000)}
					before := m.Snapshot(st)
					views := m.Look(st, r)
					if !reflect.DeepEqual(before, m.Snapshot(st)) {
						t.Fatalf("report %d changed the state", i)
					}
					f, told := m.Observe(st, r)
					g, toldBlind := m.Observe(blind, r)
					if told != toldBlind || f.Reason != g.Reason {
						t.Fatalf("report %d: %+v, without a look %+v", i, f, g)
					}
					for k, view := range views {
						if degraded := st.cells[k].recent&1 == 1; view.Rule != k || view.Degraded != degraded || view.Metric != "loss" || view.Value != v {
							t.Fatalf("report %d: %+v, degraded is %t", i, view, degraded)
						}
					}
				}
			})
		})
	}
}

func TestLookTells(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, Spec{Metric: "loss", Detector: "rolling_mean", Options: map[string]any{"window": 2.0, "threshold": 0.5}})
	st := m.NewState()
	look := func(v float64) View {
		r := Report{Metrics: []Metric{{"loss", v}, {"other", 1}}}
		views := m.Look(st, r)
		m.Observe(st, r)
		return views[0]
	}
	if v := look(2); !math.IsNaN(v.Reference) || !math.IsNaN(v.Limit) || v.Statistic != 0 {
		t.Errorf("warming up: %+v", v)
	}
	look(2)
	if v := look(2.5); v != (View{Detector: "rolling_mean", Metric: "loss", Value: 2.5, Reference: 2, Limit: 3, Statistic: 0.5}) {
		t.Errorf("%+v", v)
	}
	if v := look(math.NaN()); !v.Degraded || !math.IsNaN(v.Limit) || !math.IsNaN(v.Reference) {
		t.Errorf("not finite: %+v", v)
	}
	if views := m.Look(st, Report{Metrics: []Metric{{"accuracy", 1}}}); len(views) != 0 {
		t.Errorf("without the metric: %+v", views)
	}
	if views := m.Look(new(State), Report{Metrics: []Metric{{"loss", 1}}}); len(views) != 1 {
		t.Errorf("of a fresh state: %+v", views)
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	m, err := New(Policy{
		Rules:    []Spec{{Metric: "loss", Detector: "threshold", Options: map[string]any{"limit": 1.0}}},
		CoolDown: time.Hour, LateAfter: time.Minute, StaleAfter: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	st := new(State)
	at := func(minutes int, v float64) Condition {
		m.Observe(st, Report{Metrics: []Metric{{"loss", v}}, Time: time.UnixMilli(1e12).Add(time.Duration(minutes) * time.Minute)})
		return m.Condition(st)
	}
	for i, c := range []struct {
		minutes int
		value   float64
		want    Condition
	}{
		{0, 0, Condition{}}, {10, 2, Condition{Degraded: true, Told: true}}, {11, 0, Condition{}},
		{12, 2, Condition{Degraded: true}}, {5, 2, Condition{Degraded: true, Late: 1}},
	} {
		if got := at(c.minutes, c.value); got != c.want {
			t.Errorf("report %d: %+v, wanted %+v", i, got, c.want)
		}
	}
	m.Tick(st, time.UnixMilli(1e12).Add(3*time.Hour))
	if !m.Condition(st).Silent {
		t.Error("not silent")
	}
}
