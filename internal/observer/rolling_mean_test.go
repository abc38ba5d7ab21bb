package observer

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func rollingSpec(goal Goal, options map[string]any) Spec {
	return Spec{Metric: "loss", Detector: "rolling_mean", Goal: goal, Options: options}
}

func TestRollingMeanFiresAt(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	window := func(n int, more ...any) map[string]any {
		options := map[string]any{"window": n, "threshold": 0.05}
		for i := 0; i < len(more); i += 2 {
			options[more[i].(string)] = more[i+1]
		}
		return options
	}
	for name, c := range map[string]struct {
		goal    Goal
		options map[string]any
		values  []float64
		want    []int
	}{
		"not before the window is full":          {Minimize, window(4), []float64{1, 1, 1, 9}, nil},
		"once the window is full":                {Minimize, window(4), []float64{1, 1, 1, 1, 9}, []int{4}},
		"the value judged is not in the mean":    {Minimize, window(2), []float64{1, 1, 1.06}, []int{2}},
		"exactly the threshold is not more":      {Minimize, window(2, "threshold", 0.5), []float64{2, 2, 3}, nil},
		"just above the threshold is":            {Minimize, window(2, "threshold", 0.5), []float64{2, 2, 3.0001}, []int{2}},
		"threshold 0 fires at any rise":          {Minimize, window(2, "threshold", 0), []float64{2, 2, 2.0001}, []int{2}},
		"lower is worse when maximized":          {Maximize, window(2), []float64{0.9, 0.9, 0.99, 0.8}, []int{3}},
		"a negative mean: by its size":           {Minimize, window(2), []float64{-1, -1, -0.96, -0.9}, []int{3}},
		"mean 0 never":                           {Minimize, window(2), []float64{1, -1, 100}, nil},
		"quiet until healthy, then again":        {Minimize, window(2), []float64{1, 1, 2, 4, 8, 1, 1, 1, 2}, []int{2, 8}},
		"bad values enter the window":            {Minimize, window(2), []float64{1, 1, 2, 2, 2}, []int{2}},
		"include_current: from the first report": {Minimize, window(4, "include_current", true), []float64{1, 2}, []int{1}},
		"include_current: the last window only":  {Minimize, window(2, "include_current", true), []float64{9, 1, 1, 1.2}, []int{3}},
		"include_current: one value is its mean": {Minimize, window(2, "include_current", true), []float64{5}, nil},
		"1e308 does not overflow":                {Minimize, window(2), []float64{1e308, 1e308, 1.04e308, 1.7e308}, []int{3}},
		"from -1e308 to 1e308":                   {Minimize, window(2), []float64{-1e308, -1e308, 1e308}, []int{2}},
		"1e308 leaves no rounding behind":        {Minimize, window(2), []float64{1e308, 1, 1, 1.04, 1.2}, []int{4}},
		"NaN from the first report":              {Minimize, window(4), []float64{nan, nan, inf, 1, nan}, []int{0, 4}},
		"NaN within a warning is told too":       {Minimize, window(2), []float64{1, 1, 2, nan, nan, 9, inf, 1, nan}, []int{2, 3, 8}},
		"NaN is not in the window":               {Minimize, window(2), []float64{1, nan, 1, 2}, []int{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := monitorOf(t, rollingSpec(c.goal, c.options))
			if got := positions(m, m.NewState(), c.values); !slices.Equal(got, c.want) {
				t.Errorf("%v fires at %v, want %v", c.values, got, c.want)
			}
		})
	}
}

// TestMeanIsExact compares with arbitrary precision. The error is bounded by the largest value, as of any plain sum.
func TestMeanIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(anyFinite, 1, 50).Draw(t, "values")
		exact, largest := new(big.Float).SetPrec(4000), 0.0
		for _, v := range values {
			exact.Add(exact, big.NewFloat(v))
			largest = max(largest, math.Abs(v))
		}
		want, _ := exact.Quo(exact, big.NewFloat(float64(len(values)))).Float64()
		got := mean(values)
		if !finite(got) || math.Abs(got/2-want/2) > 1e-14*largest+5e-324 {
			t.Fatalf("mean %v, want %v", got, want)
		}
	})
}

func TestConstantIsItsOwnMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		constant := anyFinite.Draw(t, "constant")
		values := slices.Repeat([]float64{constant}, rapid.IntRange(1, 200).Draw(t, "n"))
		if got := mean(values); got != constant {
			t.Fatalf("mean of %d times %v is %v", len(values), constant, got)
		}
	})
}

func TestRollingMeanAgreesWithItsDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.IntRange(2, 6).Draw(t, "window")
		threshold := rapid.SampledFrom([]float64{0, 0.05, 0.5, 3}).Draw(t, "threshold")
		include := rapid.Bool().Draw(t, "include_current")
		values := rapid.SliceOfN(rapid.Float64Range(-3, 3), 0, 40).Draw(t, "values")
		d := monitorOf(t, rollingSpec(Minimize, map[string]any{
			"window": window, "threshold": threshold, "include_current": include,
		})).rules[0].detector
		memory := d.fresh()
		for i, value := range values {
			end := i
			if include {
				end++
			}
			want := false
			if part := values[max(0, end-window):end]; include || len(part) == window {
				m := mean(part)
				want = m != 0 && value-m > threshold*math.Abs(m)
			}
			var v verdict
			if memory, v = d.update(memory, value); v.degraded != want {
				t.Fatalf("value %d of %v: degraded %v, want %v", i, values, v.degraded, want)
			}
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	for name, window := range map[string]int{"window=20": 20, "window=1000": 1000} {
		b.Run(name, func(b *testing.B) {
			m := monitorOf(b, rollingSpec(Minimize, map[string]any{"window": window}))
			st := m.NewState()
			metrics := []Metric{{"accuracy", 0.9}, {"f1_score", 0.8}, {"loss", 0}}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				metrics[2].Value = 1 + 0.01*float64(i%3)
				m.Observe(st, Report{Metrics: metrics})
			}
		})
	}
}
