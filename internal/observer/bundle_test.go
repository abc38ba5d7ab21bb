package observer

import (
	"fmt"
	"math"

	"pgregory.net/rapid"
)

var (
	anyGoal   = rapid.SampledFrom([]Goal{Minimize, Maximize})
	anyFinite = rapid.OneOf(
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e308, -1e308, math.MaxFloat64, -math.MaxFloat64, 5e-324}),
		rapid.Float64(),
		rapid.Float64Range(-2, 2),
	)
	// anyStream is mostly tame, so that windows fill and episodes begin and end, with every kind of wildness between.
	anyStream = rapid.SliceOfN(rapid.OneOf(
		rapid.Just(1.0),
		rapid.Float64Range(0.9, 1.2),
		rapid.Float64Range(-2, 2),
		anyFinite,
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}),
	), 0, 80)
)

type fataler interface {
	Helper()
	Fatal(...any)
}

func monitorOf(t fataler, specs ...Spec) *Monitor {
	t.Helper()
	m, err := New(Policy{Rules: specs})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func feed(m *Monitor, st *State, value float64) []Finding {
	return observe(m, st, Metric{"loss", value})
}

func observe(m *Monitor, st *State, metrics ...Metric) []Finding {
	if f, told := m.Observe(st, Report{Metrics: metrics}); told {
		return []Finding{f}
	}
	return nil
}

// positions are those of the values with a finding.
func positions(m *Monitor, st *State, values []float64) (told []int) {
	for i, value := range values {
		if feed(m, st, value) != nil {
			told = append(told, i)
		}
	}
	return told
}

// alike compares as text, in which NaN equals NaN.
func alike(a, b []Finding) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func notFiniteValue(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
