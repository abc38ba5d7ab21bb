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

// TestLocalKeepsItsBest: in a study, whose values are taken once, the best config is not forgotten.
func TestLocalKeepsItsBest(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "local", nil, mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})).(local)
	r := Request{History: []Trial{{Config: map[string]any{"x": 0.9}, State: Complete}}}
	for i := range 2 * longSilence {
		r.History = append(r.History, Trial{Number: i + 1, Config: map[string]any{"x": 0.1}, Value: 10, State: Complete})
	}
	if m := s.replay(r); m.Best["x"] != 0.9 {
		t.Errorf("%+v", m)
	}
}

// TestTPEFailuresAge: of many bad trials the newest count, failed or not.
func TestTPEFailuresAge(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "tpe", nil, mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})).(*tpe)
	var points []tpePoint
	for i := range 3 * mostBad {
		p := tpePoint{x: []float64{0.1}, state: Failed}
		if i >= 2*mostBad {
			p = tpePoint{x: []float64{0.9}, value: float64(i), state: Complete}
		}
		points = append(points, p)
	}
	points[2*mostBad+5].state = Pending
	_, bad := s.groups[0].split(points)
	failed := 0
	for _, x := range bad.x {
		if x[0] == 0.1 {
			failed++
		}
	}
	if n := len(bad.x); n != mostBad || failed > mostMistaken {
		t.Errorf("%d of %d bad points are the failures of long ago", failed, n)
	}
}

const mostMistaken = mostGood // as many as are good make room for older ones

func TestAutoChanges(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "auto", nil, mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})).(auto)
	for n, want := range map[int]Strategy{autoResults - 1: s.gp, autoResults: s.tpe} {
		if got, why := s.choose(Request{History: make([]Trial, n)}); got != want {
			t.Errorf("trial %d: %s", n, why)
		}
	}
}
