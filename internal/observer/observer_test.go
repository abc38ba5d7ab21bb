package observer

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"testing"
)

func TestFindingSaysWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		metric           string
		goal             Goal
		reference, value float64
		want             string
		severity         Severity
	}{
		{"loss", Minimize, 1, 1.12344, "Loss degraded 12.34% vs. rolling mean", Warning},
		{"f1_score", Maximize, 0.8, 0.6, "F1_score degraded 25.00% vs. rolling mean", Warning},
		{"éval", Minimize, -2, -1, "Éval degraded 50.00% vs. rolling mean", Warning},
		{"\xff", Minimize, 1, 2, "\xff degraded 100.00% vs. rolling mean", Warning},
		{"loss", Minimize, -1e308, 1e308, "Loss degraded 200.00% vs. rolling mean", Warning},
		{"loss", Minimize, 1e-10, 1e10, "Loss degraded 1e+22% vs. rolling mean", Warning},
		{"loss", Minimize, 1e-300, 1e300, "Loss degraded 1.8e+308% vs. rolling mean", Warning},
		{"loss", Minimize, 1, math.NaN(), "Loss is not finite (NaN)", Critical},
		{"loss", Minimize, 1, math.Inf(1), "Loss is not finite (Infinity)", Critical},
		{"loss", Minimize, 1, math.Inf(-1), "Loss is not finite (-Infinity)", Critical},
	} {
		m := monitorOf(t, Spec{Metric: c.metric, Detector: "rolling_mean", Goal: c.goal, Options: map[string]any{"window": 2}})
		st := m.NewState()
		var got []Finding
		for _, value := range []float64{c.reference, c.reference, c.value} {
			got = m.Observe(st, []Metric{{c.metric, value}})
		}
		reference := c.reference
		if c.severity == Critical {
			reference = math.NaN()
		}
		want := []Finding{{c.metric, "rolling_mean", c.severity, c.want, c.value, reference}}
		if !alike(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestFindingsComeInTheOrderOfTheSpecs(t *testing.T) {
	t.Parallel()
	m := monitorOf(t,
		Spec{Metric: "f1", Detector: "rolling_mean", Goal: Maximize},
		Spec{Metric: "loss", Detector: "rolling_mean"},
		Spec{Metric: "absent", Detector: "rolling_mean"},
		Spec{Metric: "loss", Detector: "rolling_mean", Options: map[string]any{"window": 2}})
	got := m.Observe(m.NewState(), []Metric{{"loss", math.NaN()}, {"unwatched", math.NaN()}, {"f1", math.Inf(1)}})
	var metrics []string
	for _, f := range got {
		metrics = append(metrics, f.Metric)
	}
	if want := []string{"f1", "loss", "loss"}; !reflect.DeepEqual(metrics, want) {
		t.Errorf("findings of %v, want %v", metrics, want)
	}
}

func TestMissingMetricChangesNothing(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, rollingSpec(Minimize, map[string]any{"window": 2}))
	st := m.NewState()
	positions(m, st, []float64{1, 1, 2})
	before := fmt.Sprint(m.Snapshot(st))
	if got := m.Observe(st, []Metric{{"accuracy", math.NaN()}}); got != nil {
		t.Errorf("a report without the metric is told as %+v", got)
	}
	if after := fmt.Sprint(m.Snapshot(st)); after != before {
		t.Errorf("a report without the metric changed %s to %s", before, after)
	}
	if got := feed(m, st, 3); got != nil {
		t.Errorf("it also ended the episode: %+v", got)
	}
}

func TestZeroAndNilStatesAreFresh(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, rollingSpec(Minimize, map[string]any{"window": 2}))
	var zero State
	if got := positions(m, &zero, []float64{1, 1, 2}); len(got) != 1 {
		t.Errorf("a zero state fires at %v", got)
	}
	if got := feed(m, nil, math.NaN()); len(got) != 1 {
		t.Errorf("a nil state finds %+v", got)
	}
	m.Rebase(nil)
	if got := append(m.Snapshot(nil), m.Snapshot(&State{})...); got != nil {
		t.Errorf("nothing remembered, yet stored: %+v", got)
	}
}

func TestRebaseClosesTheEpisode(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, rollingSpec(Minimize, map[string]any{"window": 2}))
	st := m.NewState()
	positions(m, st, []float64{1, 1, 2})
	m.Rebase(st)
	if got := positions(m, st, []float64{4, 4, 8}); len(got) != 1 || got[0] != 2 {
		t.Errorf("after Rebase it fires at %v, want at 2", got)
	}
}

func TestSnapshotIsReadable(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, rollingSpec(Minimize, map[string]any{"window": 3}), Spec{Metric: "f1", Detector: "rolling_mean"})
	st := m.NewState()
	positions(m, st, []float64{1, 2, 0.5, 0.25, 7})
	got, err := json.Marshal(m.Snapshot(st))
	if err != nil {
		t.Fatal(err)
	}
	// The hash is stored by running workers: a change of it makes every model start afresh.
	want := `[{"hash":"loss/rolling_mean/99c010910e0eaa8b","episode":"warning","values":[0.5,0.25,7]}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestUnchangedSpecsKeepTheirMemory moves a state to a monitor with a spec added, one changed, and the order reversed.
func TestUnchangedSpecsKeepTheirMemory(t *testing.T) {
	t.Parallel()
	loss := rollingSpec(Minimize, map[string]any{"window": 2})
	f1 := Spec{Metric: "f1", Detector: "rolling_mean", Goal: Maximize}
	old := monitorOf(t, loss, f1)
	st := old.NewState()
	old.Observe(st, []Metric{{"loss", 1}, {"f1", 0.5}})
	old.Observe(st, []Metric{{"loss", 2}, {"f1", math.NaN()}})

	written := f1
	written.Options = map[string]any{"window": 20.0, "threshold": 0.05, "include_current": false}
	changed := rollingSpec(Minimize, map[string]any{"window": 3})
	got := monitorOf(t, Spec{Metric: "new", Detector: "rolling_mean"}, written, changed, loss)
	cells := got.Restore(old.Snapshot(st)).cells
	want := []cell{{memory: []float64{}}, {memory: []float64{0.5}, episode: Critical}, {memory: []float64{}}, {memory: []float64{1, 2}, episode: Warning}}
	want[3].episode = "" // the window was not full: never judged
	if !reflect.DeepEqual(cells, want) {
		t.Errorf("got  %+v\nwant %+v", cells, want)
	}
	if flipped := monitorOf(t, Spec{Metric: "f1", Detector: "rolling_mean"}); flipped.Snapshot(flipped.Restore(old.Snapshot(st))) != nil {
		t.Error("memory survived a change of goal")
	}
}

// TestHeapOfAState is not parallel, as it reads the heap of the whole process.
func TestHeapOfAState(t *testing.T) {
	const models, most = 20_000, 400
	m := monitorOf(t, rollingSpec(Minimize, nil))
	states := make([]*State, models)
	before := heap()
	for i := range states {
		states[i] = m.NewState()
		for range 25 {
			feed(m, states[i], 1)
		}
	}
	each := float64(heap()-before) / models
	runtime.KeepAlive(states)
	t.Logf("%.0f bytes of heap a model", each)
	if each > most {
		t.Errorf("a state holds %.0f bytes of heap, want at most %d", each, most)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
