package observer

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
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
			got = observe(m, st, Metric{c.metric, value})
		}
		reference := c.reference
		if c.severity == Critical {
			reference = math.NaN()
		}
		want := []Finding{{
			Trigger: Degraded, Severity: c.severity, Metric: c.metric, Detector: "rolling_mean", Reason: c.want, Value: c.value,
			Reference: reference, Reports: 1, Since: time.Time{}.UTC(),
		}}
		if !alike(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

// TestOneFindingAReport has the worst severity first, then the order of the rules.
func TestOneFindingAReport(t *testing.T) {
	t.Parallel()
	m := monitorOf(t,
		Spec{Metric: "f1", Detector: "rolling_mean", Goal: Maximize},
		Spec{Metric: "loss", Detector: "rolling_mean", Options: map[string]any{"window": 2}},
		Spec{Metric: "error", Detector: "rolling_mean", Severity: Critical, Options: map[string]any{"window": 2}},
		Spec{Metric: "mae", Detector: "rolling_mean", Options: map[string]any{"window": 2}})
	for _, c := range []struct{ name, want string }{
		{"loss", "loss"}, {"error", "error"}, {"mae", "mae"}, {"loss mae", "loss"}, {"loss error mae", "error"},
	} {
		st := m.NewState()
		for range 2 {
			observe(m, st, Metric{"loss", 1}, Metric{"error", 1}, Metric{"mae", 1})
		}
		var report []Metric
		for _, name := range strings.Fields(c.name) {
			report = append(report, Metric{name, 2})
		}
		if got := observe(m, st, report...); len(got) != 1 || got[0].Metric != c.want {
			t.Errorf("%s: %+v, want one of %s", c.name, got, c.want)
		}
	}
}

func TestMissingMetricChangesNothing(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, rollingSpec(Minimize, map[string]any{"window": 2}))
	st := m.NewState()
	positions(m, st, []float64{1, 1, 2})
	before := fmt.Sprint(st.cells, st.episode)
	if got := observe(m, st, Metric{"accuracy", math.NaN()}); got != nil {
		t.Errorf("a report without the metric is told as %+v", got)
	}
	if after := fmt.Sprint(st.cells, st.episode); after != before {
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
	for _, st := range []*State{nil, {}, m.NewState()} {
		if got := m.Snapshot(st); got.Rules != nil || got.Episode != nil {
			t.Errorf("nothing remembered, yet stored: %+v", got)
		}
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
	got, err := json.Marshal(m.Snapshot(st).Rules)
	if err != nil {
		t.Fatal(err)
	}
	// The hash is stored by running workers: a change of it makes every model start afresh.
	want := `[{"hash":"loss/rolling_mean/99c010910e0eaa8b","episode":"warning","values":[0.5,0.25,7],"recent":1,"since":"0001-01-01T00:00:00Z","reports":1,"latest":"0001-01-01T00:00:00Z","held":"0001-01-01T00:00:00Z"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestUnchangedRulesKeepTheirMemory moves a state to a monitor with a rule added, one changed, and the order reversed.
func TestUnchangedRulesKeepTheirMemory(t *testing.T) {
	t.Parallel()
	loss := rollingSpec(Minimize, map[string]any{"window": 2})
	f1 := Spec{Metric: "f1", Detector: "rolling_mean", Goal: Maximize}
	old := monitorOf(t, loss, f1)
	st := old.NewState()
	observe(old, st, Metric{"loss", 1}, Metric{"f1", 0.5})
	observe(old, st, Metric{"loss", 2}, Metric{"f1", math.NaN()})

	written := f1
	written.Options = map[string]any{"window": 20.0, "threshold": 0.05, "include_current": false}
	written.For, written.Recover = time.Hour, 3 // when a rule holds is no matter of its memory
	changed := rollingSpec(Minimize, map[string]any{"window": 3})
	m := monitorOf(t, Spec{Metric: "new", Detector: "rolling_mean"}, written, changed, loss)
	got := m.Restore(old.Snapshot(st))
	for i, want := range [][]float64{{}, {0.5}, {}, {1, 2}} {
		if !slices.Equal(got.cells[i].memory, want) {
			t.Errorf("rule %d remembers %v, want %v", i, got.cells[i].memory, want)
		}
	}
	if got.cells[1].holds != Critical || got.episode != st.episode {
		t.Errorf("the episode is lost: %+v, %+v", got.cells[1], got.episode)
	}
	if flipped := monitorOf(t, Spec{Metric: "f1", Detector: "rolling_mean"}); flipped.Snapshot(flipped.Restore(old.Snapshot(st))).Rules != nil {
		t.Error("memory survived a change of goal")
	}
}

// TestEpisodesStoredPerRule reads what was stored before episodes were of models.
func TestEpisodesStoredPerRule(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, rollingSpec(Minimize, map[string]any{"window": 2}))
	st := m.Restore(Stored{Rules: []Snapshot{{Hash: m.rules[0].hash, Holds: Warning, Values: []float64{1, 2}}}})
	if got := positions(m, st, []float64{9, 1, 1, 9}); !slices.Equal(got, []int{3}) {
		t.Errorf("told at %v, want at 3: the first belongs to the episode that runs", got)
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
