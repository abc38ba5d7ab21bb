package pruner

import (
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

func TestPatience(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		goal     strategy.Goal
		reports  int
		minDelta float64
		values   []float64
		want     bool
	}{
		{strategy.Minimize, 1, 0, []float64{5}, false},
		{strategy.Minimize, 1, 0, []float64{5, 5}, true},
		{strategy.Minimize, 2, 0, []float64{5, 6}, false},
		{strategy.Minimize, 2, 0, []float64{5, 6, 7}, true},
		{strategy.Minimize, 2, 0, []float64{5, 6, 4}, false},
		{strategy.Minimize, 2, 0, []float64{5, 6, 4, 4, 4}, true},
		{strategy.Minimize, 2, 0.5, []float64{5, 4.5, 4.4}, false}, // 4.5 is no improvement by more than 0.5, 4.4 is
		{strategy.Minimize, 2, 0.5, []float64{5, 4.7, 4.5}, true},
		{strategy.Minimize, 2, 0.5, []float64{5, 4.8, 4.6, 4.4, 4.2}, true}, // 0.4 within the newest two
		{strategy.Minimize, 3, 0.5, []float64{5, 4.8, 4.6, 4.4, 4.2}, false},
		{strategy.Maximize, 2, 0, []float64{5, 6, 7, 8}, false},
		{strategy.Maximize, 2, 0, []float64{5, 4, 3}, true},
		{strategy.Maximize, 2, 0.5, []float64{5, 5.5, 5.4}, true},
		{strategy.Minimize, 2, 0, []float64{nan, nan}, true},
		{strategy.Minimize, 2, 0, []float64{nan, 5, nan}, false},
		{strategy.Minimize, 2, 0, []float64{5, -inf, -inf}, true},
		{strategy.Maximize, 3, 0, []float64{inf, inf, 5}, false},
	} {
		p := build(t, "patience", map[string]any{"patience": c.reports, "min_delta": c.minDelta})
		decide(t, p, request(c.goal, curve(0, 0, c.values...)), c.want)
	}
	p := build(t, "patience", map[string]any{"patience": 2})
	late := request(strategy.Minimize, curve(0, 0, 1, 1, 1))
	late.Step = 2 // judged by what was known then
	decide(t, p, late, false)
	reason := decide(t, p, request(strategy.Minimize, curve(0, 0, 1, 1, 1)), true)
	if want := "no improvement by more than 0 within 2 reports up to step 3"; reason != want {
		t.Errorf("%q, want %q", reason, want)
	}
}
