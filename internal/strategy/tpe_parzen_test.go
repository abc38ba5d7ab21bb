package strategy

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// drawParzen generates a density over one axis of each kind.
func drawParzen(t *rapid.T) *parzen {
	space, err := ParseSpace(tree{
		"category":   tree{"type": "categorical", "choices": []any{"a", "b", "c"}},
		"continuous": tree{"type": "float", "low": 0, "high": 1},
		"log":        tree{"type": "int", "low": 1, "high": 9, "log": true},
		"stepped":    tree{"values": []any{1, 2, 5, 6, 7}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newTPE(nil, space)
	g := s.(*tpe).groups[0]
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	var k kernels
	for range rapid.IntRange(0, 6).Draw(t, "kernels") {
		k.add(s.(*tpe).cube.encode(space.Sample(random)), rapid.Float64Range(0.1, 3).Draw(t, "weight"))
	}
	widths := make([]float64, len(g.axes))
	for j := range widths {
		widths[j] = rapid.Float64Range(0.02, 0.9).Draw(t, "width")
	}
	return newParzen(g.axes, k, widths, rapid.Float64Range(0.1, 2).Draw(t, "uniform"))
}

// The densities of all bins, and of a fine grid of the continuous axis, sum to one.
func TestParzenSumsToOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawParzen(t)
		const grid = 400
		var memory parzenMemory
		sum := 0.0
		for c := range 3 {
			for l := range 9 {
				for s := range 5 {
					for i := 0; i < grid; i += 4 {
						x := []float64{p.axes[0].centre(c), (float64(i) + 2) / grid, p.axes[2].centre(l), p.axes[3].centre(s)}
						sum += math.Exp(p.density(x, &memory)) * 4 / grid
					}
				}
			}
		}
		if math.Abs(sum-1) > 2e-3 {
			t.Fatalf("the sum is %v", sum)
		}
	})
}

// Samples fall into bins as often as the density says.
func TestParzenSamplesItsDensity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawParzen(t)
		random := rand.New(rand.NewPCG(9, 9))
		const n = 4000
		counts := [5]float64{}
		for range n {
			counts[p.axes[3].level(p.sample(random)[3])]++
		}
		marginal := newParzen(p.axes[3:], kernels{last(p.centres), weightsOf(p)}, p.widths[3:], math.Exp(p.uniform))
		for level := range counts {
			want := math.Exp(marginal.density([]float64{p.axes[3].centre(level)}, &parzenMemory{}))
			if math.Abs(counts[level]/n-want) > 0.045 {
				t.Fatalf("bin %d: %v of samples, want %v", level, counts[level]/n, want)
			}
		}
	})
}

func last(centres [][]float64) (x [][]float64) {
	for _, c := range centres {
		x = append(x, c[3:])
	}
	return x
}

func weightsOf(p *parzen) (weights []float64) {
	before := 0.0
	for _, sum := range p.cumulated {
		weights = append(weights, sum-before)
		before = sum
	}
	return weights
}

// Skipping candidates must not change the winner.
func TestRankFindsTheBest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		good, bad := drawParzen(t), drawParzen(t)
		seed := rapid.Uint64().Draw(t, "candidates")
		ranked := rank(good, bad, 30, rand.New(rand.NewPCG(seed, 1)))
		var memory parzenMemory
		score := func(x []float64) float64 { return good.density(x, &memory) - bad.density(x, &memory) }
		for _, x := range ranked {
			if score(x) > score(ranked[0])+1e-6 {
				t.Fatalf("%v has %v, the first %v", x, score(x), score(ranked[0]))
			}
		}
	})
}

func TestLogMass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ low, high, centre, width, want float64 }{
		{0, 1, 0.5, 0.01, 0},
		{-1, 1, 0, 1, math.Log(0.6826894921370859)},
		{0.1, 0.2, 0, 0.01, math.Log(7.619853024160527e-24)},
		{-0.2, -0.1, 0, 0.01, math.Log(7.619853024160527e-24)},
		{0.9, 1, 0, 0.001, -300},
	} {
		if got := logMass(c.low, c.high, c.centre, c.width); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}
