package observer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// standard is the memory of a chart whose baseline has mean 0 and standard deviation 1.
func standard(more ...float64) []float64 { return append([]float64{30, 0, 29}, more...) }

// TestChartsRunAsLongAsPublished compares average run lengths with the published ones of one-sided charts with a known
// baseline: 1/P(z > 3 − δ) for Shewhart's; Montgomery 2013, table 9.3 for CUSUM (465 and 10.4 in two-sided use);
// Lucas & Saccucci 1990 for EWMA (500 and 10.3 in two-sided use).
func TestChartsRunAsLongAsPublished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options []any
		memory  []float64
		shift   float64
		want    float64
	}{
		{"shewhart", nil, standard(), 0, 740.8},
		{"shewhart", nil, standard(), 1, 43.9},
		{"cusum", nil, standard(0, 0, 0), 0, 930},
		{"cusum", nil, standard(0, 0, 0), 1, 10.4},
		{"ewma", []any{"lambda", 0.25, "sigmas", 2.998}, standard(0, 1, 0), 0, 1000},
		{"ewma", []any{"lambda", 0.25, "sigmas", 2.998}, standard(0, 1, 0), 1, 10.5},
	} {
		d, random := detectorOf(t, c.name, Minimize, c.options...), rand.New(rand.NewPCG(1, 2))
		const runs = 1500
		total, memory := 0, d.fresh()
		for range runs {
			memory = append(memory[:0], c.memory...)
			for v := (verdict{}); !v.degraded; total++ {
				memory, v = d.update(memory, random.NormFloat64()+c.shift)
			}
		}
		if got := float64(total) / runs; math.Abs(got/c.want-1) > 0.1 {
			t.Errorf("%s, shift %v: runs for %v reports, want %v", c.name, c.shift, got, c.want)
		}
	}
}

func TestEwmaLimitsArePublished(t *testing.T) {
	t.Parallel()
	// Montgomery 2013, example 9.2: λ 0.1, L 2.7, mean 10 and σ 1 have the limits 10.27, 10.36 … 10.62.
	d := detectorOf(t, "ewma", Minimize, "lambda", 0.1, "sigmas", 2.7)
	memory := append(d.fresh(), 30, 10, 29, 0, 1, 0)
	for i, want := range map[int]float64{0: 0.27, 1: 0.363, 200: 0.619} {
		memory := append(d.fresh(), memory...)
		var v verdict
		for range i + 1 {
			memory, v = d.update(memory, 11)
		}
		if got := v.deviations / v.statistic; math.Abs(got-want) > 0.001 {
			t.Errorf("limit %d is %v, want %v", i, got, want)
		}
	}
}

// TestChartVerdicts is with warm_up 2 and a baseline of mean 0 and standard deviation 1.
func TestChartVerdicts(t *testing.T) {
	t.Parallel()
	half := math.Sqrt(0.5)
	nan := math.NaN()
	for name, c := range map[string]struct {
		detector string
		options  []any
		values   []float64
		want     []verdict
	}{
		"shewhart": {"shewhart", nil, []float64{1.5, 3, 4.5, -9}, []verdict{
			{false, 0, 1.5, 3, 0.5, 0}, {false, 0, 3, 3, 1, 0}, {true, 0, 4.5, 3, 1.5, 0}, {false, 0, -9, 3, 0, 0},
		}},
		"cusum": {"cusum", []any{"h", 2.0}, []float64{1, 1, 2, -3, 9, 0}, []verdict{
			{false, 0, 1, 2.5, 0.25, 1}, {false, 0, 1, 2, 0.5, 2}, {true, 0, 4. / 3, 1.5, 1.25, 3},
			{false, 0, 0, 0, 0, 0}, {true, 0, 9, 2.5, 2, 1}, {true, 0, 4.5, -1.5, 1.75, 2},
		}},
		"ewma": {"ewma", []any{"lambda", 0.5, "sigmas", 2.0}, []float64{1, 2.5, -4}, []verdict{
			{false, 0, 0.5, 2, 0.5, 1}, {true, 0, 1.5, 2*(math.Sqrt(5)/2) - 0.5, 3 / math.Sqrt(5), 2},
			{false, 0, -1.25, nan, 0, 0},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, goal := range []Goal{Minimize, Maximize} {
				d := detectorOf(t, c.detector, goal, append([]any{"warm_up", 2}, c.options...)...)
				values := append([]float64{-half, half}, c.values...)
				for i := range values {
					values[i] *= goal.sign()
				}
				all := verdicts(d, values)
				if all[0].degraded || all[1].degraded || !math.IsNaN(all[1].limit) {
					t.Errorf("%v: while warming up %+v", goal, all[:2])
				}
				for i, got := range all[2:] {
					if want := c.want[i]; !alikeVerdicts(got, want, goal) {
						t.Errorf("%v, value %d:\n%+v, want\n%+v", goal, i, got, want)
					}
				}
			}
		})
	}
}

// alikeVerdicts takes a limit that is NaN in want for any.
func alikeVerdicts(got, want verdict, goal Goal) bool {
	return got.degraded == want.degraded && got.reports == want.reports &&
		near(got.reference, goal.sign()*want.reference) && near(got.deviations, want.deviations) &&
		near(got.statistic, want.statistic) && (math.IsNaN(want.limit) || near(got.limit, goal.sign()*want.limit))
}

func TestConstantBaselineHasAFloor(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shewhart", "cusum", "ewma"} {
		for _, level := range []float64{0, 0.1, -1e6, 1e139, 5e-324} {
			d := detectorOf(t, name, Minimize)
			values := slices.Repeat([]float64{level}, 1000)
			for i := range values {
				if i%2 == 0 {
					values[i] *= 1 + 1e-15 // rounding
				}
			}
			values = append(values, level+math.Abs(level)*1e-3+1e-3)
			if first, _ := degradedAt(verdicts(d, values)); first != 1000 {
				t.Errorf("%s at level %v fires at %d, want at 1000", name, level, first)
			}
		}
	}
}

func TestCusumEndsSoonAfterALongBadTime(t *testing.T) {
	t.Parallel()
	values := append([]float64{-1, 1}, slices.Repeat([]float64{20}, 1000)...)
	values = append(values, slices.Repeat([]float64{0}, 100)...)
	_, last := degradedAt(verdicts(detectorOf(t, "cusum", Minimize, "warm_up", 2), values))
	if last < 1002 || last > 1012 {
		t.Errorf("degraded until %d, the last bad value being at 1001", last)
	}
}

func TestThresholdAndBestFireAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		detector string
		goal     Goal
		options  []any
		values   []float64
		want     []int
	}{
		"threshold: worse than":         {"threshold", Minimize, []any{"limit", 2}, []float64{1, 2, 2.1, 9, -9}, []int{2, 3}},
		"threshold: lower is worse":     {"threshold", Maximize, []any{"limit", 0.8}, []float64{0.9, 0.8, 0.7, 1}, []int{2}},
		"threshold: the smallest step":  {"threshold", Minimize, []any{"limit", 0}, []float64{0, 5e-324}, []int{1}},
		"threshold: the largest":        {"threshold", Maximize, []any{"limit", 1e308}, []float64{-1e308, 1e308}, []int{0}},
		"best: not before it is full":   {"best", Minimize, []any{"window", 3}, []float64{1, 1, 9, 9}, []int{3}},
		"best: a mean":                  {"best", Minimize, []any{"window", 2, "threshold", 0.5}, []float64{2, 2, 3.9, 2.1, 4}, []int{4}},
		"best: exactly is not more":     {"best", Minimize, []any{"window", 1, "threshold", 0.5}, []float64{2, 3, 3.01}, []int{2}},
		"best: is never forgotten":      {"best", Minimize, []any{"window", 1}, []float64{9, 1, 1.04, 1.06, 1.08, 1}, []int{3, 4}},
		"best: higher is better":        {"best", Maximize, []any{"window", 1}, []float64{0.5, 0.9, 0.88, 0.8}, []int{3}},
		"best: of 0, anything is worse": {"best", Minimize, []any{"window", 1}, []float64{0, 0, 1e-9}, []int{2}},
		"best: negative":                {"best", Minimize, []any{"window", 1}, []float64{-1, -0.96, -0.94}, []int{2}},
		"best: extremes":                {"best", Minimize, []any{"window", 1}, []float64{-1e308, 1e308, -1e308}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []int
			for i, v := range verdicts(detectorOf(t, c.detector, c.goal, c.options...), c.values) {
				if v.degraded {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("fires at %v, want %v", got, c.want)
			}
		})
	}
}
