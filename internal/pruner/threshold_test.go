package pruner

import (
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

func TestThreshold(t *testing.T) {
	t.Parallel()
	both := map[string]any{"lower": -1.0, "upper": 2.0}
	lower, upper := map[string]any{"lower": -1.0}, map[string]any{"upper": 2.0}
	warm := map[string]any{"upper": 2.0, "n_warmup_steps": 2, "interval_steps": 2}
	for _, c := range []struct {
		options map[string]any
		values  []float64
		want    bool
	}{
		{both, []float64{-1}, false},
		{both, []float64{2}, false},
		{both, []float64{-1.1}, true},
		{both, []float64{2.1}, true},
		{both, []float64{3, 1}, false}, // only the latest value counts
		{both, []float64{nan}, true},
		{both, []float64{-inf}, true},
		{lower, []float64{inf}, false},
		{lower, []float64{-2}, true},
		{upper, []float64{-inf}, false},
		{upper, []float64{inf}, true},
		{warm, []float64{3}, false},
		{warm, []float64{3, 3}, true},
		{warm, []float64{3, 3, 3}, false},
		{warm, []float64{3, 3, 3, 3}, true},
		{warm, []float64{nan}, false},
	} {
		for _, goal := range []strategy.Goal{strategy.Minimize, strategy.Maximize} {
			decide(t, build(t, "threshold", c.options), request(goal, curve(0, 0, c.values...)), c.want)
		}
	}
	reason := decide(t, build(t, "threshold", both), request(strategy.Minimize, curve(0, 0, 2.5)), true)
	if want := "2.5 at step 1 is above the bound 2"; reason != want {
		t.Errorf("%q, want %q", reason, want)
	}
}
