package strategy

import (
	"fmt"
	"testing"
)

// TestFiniteBranch: an infinite space may have configs without a continuous parameter; these are not proposed again
// either, not even where they are the best or pending.
func TestFiniteBranch(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"model": tree{"type": "categorical", "choices": []any{"linear", "forest"}},
		"share": tree{"type": "float", "low": 0, "high": 1, "when": tree{"model": []any{"forest"}}},
	})
	loss := func(c map[string]any) float64 { return float64(len(c)) }
	for _, name := range []string{"auto", "tpe", "cmaes", "sobol", "random", "local"} {
		for _, parallel := range []int{1, 8} {
			history := playStudy(t, mustNew(t, name, nil, space), Request{Seed: 3}, 40, parallel, loss)
			if n := repeated(history); n > 0 {
				t.Errorf("%s, %d at once: %d of 40 configs were repeated", name, parallel, n)
			}
		}
	}
}

// TestLocalAtABound: steps that end at the bound where the best config is are taken again.
func TestLocalAtABound(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})
	loss := func(c map[string]any) float64 { return c["x"].(float64) }
	history := playStudy(t, mustNew(t, "local", nil, space), Request{Seed: 3}, 60, 1, loss)
	if n := repeated(history); n > 0 || smallest(history) > 0 {
		t.Errorf("%d of 60 configs were repeated; the best is %v", n, smallest(history))
	}
}

func repeated(history []Trial) (n int) {
	seen := map[string]bool{}
	for _, trial := range history {
		key := fmt.Sprint(trial.Config)
		if seen[key] {
			n++
		}
		seen[key] = true
	}
	return n
}
