package pruner

import (
	"math"
	"slices"
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

// TestMedian: five trials had 1 … 5 at step 1, so the median is 3.
func TestMedian(t *testing.T) {
	t.Parallel()
	p := build(t, "median", nil)
	others := complete(5, 1, 4, 2, 3)
	for value, want := range map[float64]bool{0: false, 2.9: false, 3: false, 3.1: true, 6: true} {
		decide(t, p, request(strategy.Minimize, curve(5, 0, value), others...), want)
	}
	for value, want := range map[float64]bool{0: true, 2.9: true, 3: false, 3.1: false, 6: false} {
		decide(t, p, request(strategy.Maximize, curve(5, 0, value), others...), want)
	}
	reason := decide(t, p, request(strategy.Maximize, curve(5, 0, 2.5), others...), true)
	if want := "the best value up to step 1, 2.5, is worse than 3, the median of 5 trials there"; reason != want {
		t.Errorf("%q, want %q", reason, want)
	}
}

// TestMedianTakesTheBest: a trial that was good before is judged by that.
func TestMedianTakesTheBest(t *testing.T) {
	t.Parallel()
	p := build(t, "median", map[string]any{"n_startup_trials": 1})
	other := curve(0, strategy.Complete, 5, 4, 3)
	decide(t, p, request(strategy.Minimize, curve(1, 0, 6, 2, 9), other), false)
	decide(t, p, request(strategy.Minimize, curve(1, 0, nan, 6, 3.5), other), true)
	late := request(strategy.Minimize, curve(1, 0, 6, 9, 1), other)
	late.Step = 2 // a report that comes late is judged by what was known then
	decide(t, p, late, true)
}

// TestStartup: n_startup_trials counts complete trials only.
func TestStartup(t *testing.T) {
	t.Parallel()
	p := build(t, "median", nil)
	others := append(complete(1, 1, 1, 1), curve(4, strategy.Pruned, 1), curve(5, strategy.Failed, 1), curve(6, strategy.Pending, 1))
	decide(t, p, request(strategy.Minimize, curve(7, 0, 2), others...), false)
	decide(t, p, request(strategy.Minimize, curve(7, 0, 2), append(others, curve(8, strategy.Complete, 1))...), true)
	none := build(t, "median", map[string]any{"n_startup_trials": 0})
	decide(t, none, request(strategy.Minimize, curve(7, 0, 2)), false)
	decide(t, none, request(strategy.Minimize, curve(7, 0, 2), curve(4, strategy.Pending, 1)), true)
}

// TestWhoCounts: at step 2 the values are 1 (complete), 2 (complete, its last at step 1), 3 (pruned
// there), 4 (running); those pruned or running before it, failed ones and NaN are left out.
func TestWhoCounts(t *testing.T) {
	t.Parallel()
	others := []Curve{
		curve(0, strategy.Complete, 9, 1), curve(1, strategy.Complete, 2), curve(2, strategy.Pruned, 9, 3),
		curve(3, strategy.Pending, 9, 4, 9), curve(4, strategy.Pruned, 0), curve(5, strategy.Pending, 0),
		curve(6, strategy.Failed, 0, 0), curve(7, strategy.Complete, 0, nan), {Number: 8, State: strategy.Complete},
		sparse(9, strategy.Complete, 3, 0),
	}
	got := lossesAt(request(strategy.Minimize, curve(10, 0, 0, 0), others...))
	if slices.Sort(got); !slices.Equal(got, []float64{1, 2, 3, 4}) {
		t.Errorf("losses at step 2: %v", got)
	}
	p := build(t, "median", map[string]any{"n_startup_trials": 1, "n_min_trials": 4})
	decide(t, p, request(strategy.Minimize, curve(10, 0, 9, 2.6), others...), true) // the median is 2.5
	p = build(t, "median", map[string]any{"n_startup_trials": 1, "n_min_trials": 5})
	decide(t, p, request(strategy.Minimize, curve(10, 0, 9, 2.6), others...), false)
}

// TestPercentile: of 1 … 5 the best quarter ends at 2, of maximised ones at 4.
func TestPercentile(t *testing.T) {
	t.Parallel()
	p := build(t, "percentile", map[string]any{"percentile": 25.0})
	others := complete(1, 2, 3, 4, 5)
	decide(t, p, request(strategy.Minimize, curve(5, 0, 2), others...), false)
	reason := decide(t, p, request(strategy.Minimize, curve(5, 0, 2.1), others...), true)
	if want := "the best value up to step 1, 2.1, is worse than 2, the 25 % percentile of 5 trials there"; reason != want {
		t.Errorf("%q, want %q", reason, want)
	}
	decide(t, p, request(strategy.Maximize, curve(5, 0, 4), others...), false)
	decide(t, p, request(strategy.Maximize, curve(5, 0, 3.9), others...), true)
	for percent, bar := range map[float64]float64{0: 1, 10: 1.4, 50: 3, 100: 5} {
		p := build(t, "percentile", map[string]any{"percentile": percent})
		decide(t, p, request(strategy.Minimize, curve(5, 0, bar), others...), false)
		decide(t, p, request(strategy.Minimize, curve(5, 0, bar+1e-9), others...), true)
	}
}

// TestPace: with 2 steps of warm-up and an interval of 3 a bad trial is judged at 2, 5, 8, …, or, where
// it has not reported there, at its next report.
func TestPace(t *testing.T) {
	t.Parallel()
	p := build(t, "median", map[string]any{"n_startup_trials": 1, "n_warmup_steps": 2, "interval_steps": 3})
	other := Curve{State: strategy.Complete, Points: []Point{{0, 0}}}
	judged := func(steps ...int64) (at []int64) {
		trial := Curve{Number: 1}
		for _, step := range steps {
			trial.Points = append(trial.Points, Point{step, 1})
			if _, prune := p.Prune(request(strategy.Minimize, trial, other)); prune {
				at = append(at, step)
			}
		}
		return at
	}
	for _, c := range []struct{ steps, want []int64 }{
		{[]int64{0, 1, 2, 3, 4, 5, 6, 7, 8}, []int64{2, 5, 8}},
		{[]int64{1, 3, 4, 6, 7, 10, 20, 21}, []int64{3, 6, 10, 20}},
		{[]int64{1<<62 + 1, 1<<62 + 2}, []int64{1<<62 + 1}}, // 2 + a multiple of 3
	} {
		if got := judged(c.steps...); !slices.Equal(got, c.want) {
			t.Errorf("steps %v: judged at %v, want %v", c.steps, got, c.want)
		}
	}
}

// TestNotFinite: NaN prunes from the warm-up on, without others too; infinite is the worst value
// whatever its sign, of the trial and of others.
func TestNotFinite(t *testing.T) {
	t.Parallel()
	p := build(t, "median", map[string]any{"n_warmup_steps": 2})
	decide(t, p, request(strategy.Minimize, curve(0, 0, nan)), false)
	decide(t, p, request(strategy.Minimize, curve(0, 0, 1, nan)), true)
	p = build(t, "median", nil)
	for _, x := range []float64{inf, -inf} {
		for _, goal := range []strategy.Goal{strategy.Minimize, strategy.Maximize} {
			decide(t, p, request(goal, curve(5, 0, x), complete(1, 2, 3, 4, 5)...), true)
			decide(t, p, request(goal, curve(5, 0, x), complete(x, x, x, x, 1)...), false)
			decide(t, p, request(goal, curve(5, 0, 7), complete(x, -x, x, 7, 7)...), false)
		}
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		losses  []float64
		q, want float64
	}{
		{[]float64{7}, 0.3, 7},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{4, 1, 3, 2}, 0, 1},
		{[]float64{4, 1, 3, 2}, 1, 4},
		{[]float64{4, 1, 3, 2}, 0.9, 3.7},
		{[]float64{1e308, -1e308}, 0.5, 0},
		{[]float64{inf, 1}, 0.01, inf},
		{[]float64{inf, 1, inf}, 0, 1},
		{[]float64{inf, inf}, 0.5, inf},
		{[]float64{0.33, 0.33, 0.33}, 0.385, 0.33}, // rounding must not leave the minimum
	} {
		if got := quantile(slices.Clone(c.losses), c.q); math.Abs(got-c.want) > 1e-12 && got != c.want || got < slices.Min(c.losses) {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.losses, c.q, got, c.want)
		}
	}
}
