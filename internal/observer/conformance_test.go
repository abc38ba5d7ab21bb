package observer

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestConformance holds every registered detector, with its default options, to what the monitor builds on.
// A new detector joins by standing in kinds.
func TestConformance(t *testing.T) {
	t.Parallel()
	properties := map[string]func(*testing.T, string){
		"a constant stream is healthy":                  constantIsHealthy,
		"a jump for the worse is told, once":            jumpIsToldOnce,
		"a jump for the better is not told":             improvementIsQuiet,
		"maximize judges the mirrored stream alike":     goalsMirror,
		"memory stays finite, bounded and fits":         memoryStaysSound,
		"what is not finite leaves the memory alone":    notFiniteLeavesMemory,
		"findings are well formed":                      findingsAreWellFormed,
		"a restored state goes on as the original":      restoredGoesOn,
		"models do not touch each other":                modelsAreApart,
		"rebase leaves nothing":                         rebaseLeavesNothing,
		"an unknown option is refused":                  unknownOptionIsRefused,
		"fresh memory is empty or finite, and fits":     freshIsSound,
		"a snapshot does not change with its state":     snapshotIsACopy,
		"an episode is over only after a healthy value": episodesHaveEdges,
		"a damaged snapshot starts the detector afresh": damageIsDropped,
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		for what, property := range properties {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				property(t, name)
			})
		}
	}
}

// TestConformanceAllocations is apart because counting allocations forbids parallel tests.
func TestConformanceAllocations(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		m := monitorOf(t, specFor(name, Minimize))
		report := Report{Metrics: []Metric{{"accuracy", 0.5}, {"loss", 1}}}
		short := m.NewState()
		m.Observe(short, report)
		states := make([]*State, 0, 12)
		for len(states) < cap(states) {
			states = append(states, m.NewState(), m.Restore(m.Snapshot(short)))
		}
		next := 0
		fill := func() {
			for range 500 {
				m.Observe(states[next], report)
			}
			next++
		}
		if n := testing.AllocsPerRun(len(states)-1, fill); n != 0 {
			t.Errorf("%s allocates %v times in 500 reports without a finding", name, n)
		}
	}
}

// specFor is a spec with the options that a detector cannot do without.
func specFor(name string, goal Goal) Spec {
	spec := Spec{Metric: "loss", Detector: name, Goal: goal}
	if name == "threshold" {
		spec.Options = map[string]any{"limit": 5 * goal.sign()}
	}
	return spec
}

// ofErrors is for detectors of values in 0 … 1.
func ofErrors(name string) bool { return slices.Contains([]string{"ddm", "hddm_a", "hddm_w"}, name) }

func constantIsHealthy(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, anyGoal.Draw(t, "goal")))
		value := anyFinite.Draw(t, "constant")
		if name == "threshold" && math.Abs(value) > 5 {
			t.Skip("worse than the limit, or the same for the other goal")
		}
		st := m.NewState()
		for i := range 300 {
			if f := feed(m, st, value); f != nil {
				t.Fatalf("value %d of constant %v: %+v", i, value, f)
			}
		}
	})
}

// jumped is a stream around 1 that jumps to around 1 × factor in the middle; for what sees errors, of a tenth that are.
func jumped(name string, factor float64) []float64 {
	values := make([]float64, 400)
	for i := range values {
		if ofErrors(name) {
			values[i] = 0
			if i*7919%10 == 0 || i >= 200 && i*7919%10 < int(factor) {
				values[i] = 1
			}
			continue
		}
		values[i] = 1 + 0.001*float64(i*7919%13-6)
		if i >= 200 {
			values[i] *= factor
		}
	}
	return values
}

func jumpIsToldOnce(t *testing.T, name string) {
	m := monitorOf(t, specFor(name, Minimize))
	told := positions(m, m.NewState(), jumped(name, 10))
	if len(told) != 1 || told[0] < 200 || told[0] > 300 {
		t.Errorf("a jump at 200 is told at %v, want once, within 100 values", told)
	}
}

func improvementIsQuiet(t *testing.T, name string) {
	m := monitorOf(t, specFor(name, Minimize))
	if told := positions(m, m.NewState(), jumped(name, 0.1)); told != nil {
		t.Errorf("an improvement at 200 is told at %v", told)
	}
}

func goalsMirror(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		values := anyStream.Draw(t, "values")
		mirrored := slices.Clone(values)
		for i := range mirrored {
			if ofErrors(name) { // in 256ths, as 1−x is exact then
				values[i] = math.Round(min(max(values[i], 0), 1)*256) / 256
				mirrored[i] = 1 - values[i]
			} else {
				mirrored[i] = -mirrored[i]
			}
		}
		low := monitorOf(t, specFor(name, Minimize))
		high := monitorOf(t, specFor(name, Maximize))
		want, got := positions(low, low.NewState(), values), positions(high, high.NewState(), mirrored)
		if !slices.Equal(want, got) {
			t.Fatalf("minimize fires at %v, maximize of the mirrored at %v", want, got)
		}
	})
}

func memoryStaysSound(t *testing.T, name string) {
	const most = 4096 // float64s: 32 KiB a model
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, Minimize))
		st := m.NewState()
		for i, value := range anyStream.Draw(t, "values") {
			feed(m, st, value)
			memory := st.cells[0].memory
			if len(memory) > most || slices.ContainsFunc(memory, notFiniteValue) || !m.rules[0].detector.fits(memory) {
				t.Fatalf("after value %d (%v) the memory is %v", i, value, memory)
			}
		}
	})
}

func notFiniteLeavesMemory(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, Minimize))
		clean, mixed := m.NewState(), m.NewState()
		for _, value := range anyStream.Draw(t, "values") {
			feed(m, mixed, value)
			if finite(value) {
				feed(m, clean, value)
			}
		}
		if !slices.Equal(clean.cells[0].memory, mixed.cells[0].memory) {
			t.Fatalf("memory %v, without the non-finite values %v", mixed.cells[0].memory, clean.cells[0].memory)
		}
	})
}

func findingsAreWellFormed(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, anyGoal.Draw(t, "goal")))
		st := m.NewState()
		for _, value := range anyStream.Draw(t, "values") {
			for _, f := range feed(m, st, value) {
				checkFinding(t, f, name, value)
			}
		}
	})
}

func checkFinding(t *rapid.T, f Finding, name string, value float64) {
	same := f.Value == value || math.IsNaN(value)
	if f.Metric != "loss" || f.Detector != name || !same || len(f.Reason) > 300 {
		t.Fatalf("finding %+v of value %v", f, value)
	}
	want := fmt.Sprintf("Loss is not finite (%s)", notFinite(value))
	if !finite(value) && (f.Severity != Critical || f.Reason != want || !math.IsNaN(f.Reference)) {
		t.Fatalf("finding %+v of value %v", f, value)
	}
	if finite(value) && (f.Severity != Warning || !finite(f.Reference)) {
		t.Fatalf("finding %+v of value %v", f, value)
	}
}

func restoredGoesOn(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, Minimize))
		original, stored := m.NewState(), m.NewState()
		for i, value := range anyStream.Draw(t, "values") {
			want := feed(m, original, value)
			stored = m.Restore(m.Snapshot(stored))
			if got := feed(m, stored, value); !alike(want, got) {
				t.Fatalf("value %d (%v): %+v, restored before it %+v", i, value, want, got)
			}
		}
	})
}

func modelsAreApart(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, Minimize))
		alone, beside, other := m.NewState(), m.NewState(), m.NewState()
		for _, value := range anyStream.Draw(t, "values") {
			want := feed(m, alone, value)
			feed(m, other, 3-2*value)
			if got := feed(m, beside, value); !alike(want, got) {
				t.Fatalf("alone %+v, beside another model %+v", want, got)
			}
		}
	})
}

func rebaseLeavesNothing(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, Minimize))
		st := m.NewState()
		positions(m, st, anyStream.Draw(t, "before"))
		m.Rebase(st)
		st.episode.arrived = 0 // a new version does not make a model silent
		if fresh := m.NewState(); !reflect.DeepEqual(st, fresh) {
			t.Fatalf("after Rebase %+v, fresh %+v", st, fresh)
		}
	})
}

func unknownOptionIsRefused(t *testing.T, name string) {
	if _, err := New(Policy{Rules: []Spec{{Metric: "loss", Detector: name, Options: map[string]any{"no_such": 1}}}}); err == nil {
		t.Error("option no_such is accepted")
	}
}

func freshIsSound(t *testing.T, name string) {
	m := monitorOf(t, specFor(name, Minimize))
	memory := m.NewState().cells[0].memory
	if slices.ContainsFunc(memory, notFiniteValue) || !m.rules[0].detector.fits(memory) {
		t.Errorf("fresh memory %v", memory)
	}
}

func snapshotIsACopy(t *testing.T, name string) {
	m := monitorOf(t, specFor(name, Minimize))
	st := m.NewState()
	positions(m, st, jumped(name, 10)[:250])
	taken := m.Snapshot(st)
	want := fmt.Sprint(taken)
	positions(m, st, jumped(name, 0.1))
	if got := fmt.Sprint(taken); got != want {
		t.Errorf("a snapshot changed from %s to %s", want, got)
	}
}

// episodesHaveEdges compares with the plain rule: told at a change for the worse of (healthy, warning, critical),
// where a critical episode stays so until a healthy value.
func episodesHaveEdges(t *testing.T, name string) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitorOf(t, specFor(name, Minimize))
		st, d := m.NewState(), m.rules[0].detector
		memory, episode := d.fresh(), 0
		for i, value := range anyStream.Draw(t, "values") {
			level, v := 2, verdict{}
			if finite(value) {
				level = 0
				if memory, v = d.update(memory, value); v.degraded {
					level = 1
				}
			}
			if told := feed(m, st, value) != nil; told != (level > episode) {
				t.Fatalf("value %d (%v), level %d in episode %d: told %v", i, value, level, episode, told)
			}
			if episode = max(episode, level); level == 0 {
				episode = 0
			}
		}
	})
}

func damageIsDropped(t *testing.T, name string) {
	m := monitorOf(t, specFor(name, Minimize))
	hash := m.rules[0].hash
	for what, damaged := range map[string]Snapshot{
		"NaN":             {Hash: hash, Values: []float64{1, math.NaN()}},
		"infinite":        {Hash: hash, Values: []float64{math.Inf(-1)}},
		"too long":        {Hash: hash, Values: make([]float64, 1_000_000)},
		"unknown episode": {Hash: hash, Holds: "fatal"},
		"another spec":    {Hash: hash + "0", Values: []float64{1}, Holds: Warning},
	} {
		if got := m.Restore(Stored{Rules: []Snapshot{damaged}}); !reflect.DeepEqual(got, m.NewState()) {
			t.Errorf("%s: restored as %+v", what, got)
		}
	}
}
