package strategy

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// tpeTurn says how one of the two models is made. Widths are those of Scott's rule, the deviation of the
// good configs times n^(-1/(d+4)), but not below the floor, a fraction of 1/min(100, n+2): "magic clip".
type tpeTurn struct {
	candidates  int
	uniformGood float64 // weight of the uniform part, in configs
	uniformBad  float64
	floor       float64
	binFloor    float64 // least width on a discrete axis, in bins
	equalWidths bool    // bad configs have the widths of good ones, else the least ones
}

// tpeTurns are, by trial, the model that explores and the one that exploits. The values were found by
// trying some on test functions and tables of trainings.
var tpeTurns = [2]tpeTurn{
	{candidates: 200, uniformGood: 1, uniformBad: 1, floor: 1},
	{candidates: 64, uniformGood: 0.3, uniformBad: 3, floor: 0.5, binFloor: 0.5, equalWidths: true},
}

// propose returns candidates for the parameters of the group, the most promising ones first.
func (g *tpeGroup) propose(points []tpePoint, turn tpeTurn, random *rand.Rand) [][]float64 {
	goodKernels, badKernels := g.split(points)
	goodWidths := g.widths(goodKernels, turn)
	badWidths := g.leastWidths(len(badKernels.x), turn)
	if turn.equalWidths {
		for j, a := range g.axes {
			if !a.categorical {
				badWidths[j] = max(badWidths[j], goodWidths[j])
			}
		}
	}
	good := newParzen(g.axes, goodKernels, goodWidths, turn.uniformGood)
	bad := newParzen(g.axes, badKernels, badWidths, turn.uniformBad)
	return rank(good, bad, turn.candidates, random)
}

// widths of kernels that are good.
func (g *tpeGroup) widths(k kernels, turn tpeTurn) []float64 {
	widths := g.leastWidths(len(k.x), turn)
	scott := math.Pow(float64(max(len(k.x), 1)), -1/float64(len(g.axes)+4))
	for j, a := range g.axes {
		if !a.categorical {
			widths[j] = min(max(widths[j], scott*deviation(k, j)), 1)
		}
	}
	return widths
}

// leastWidths for n kernels: Gaussian deviations, and of categorical axes the probability that one
// observation more, spread over all values, gives to the others.
func (g *tpeGroup) leastWidths(n int, turn tpeTurn) []float64 {
	widths := make([]float64, len(g.axes))
	for j, a := range g.axes {
		if levels := float64(a.levels); a.categorical {
			widths[j] = (levels - 1) / (float64(n+1) + levels)
			continue
		} else if a.levels > 0 {
			widths[j] = turn.binFloor / levels
		}
		widths[j] = max(widths[j], turn.floor/min(100, float64(n+2)))
	}
	return widths
}

// deviation is the weighted standard deviation of axis j.
func deviation(k kernels, j int) float64 {
	weight, mean, squares := 0.0, 0.0, 0.0
	for i, x := range k.x {
		weight += k.weights[i]
		off := x[j] - mean
		mean += off * k.weights[i] / weight
		squares += k.weights[i] * off * (x[j] - mean)
	}
	if weight == 0 || squares < 0 { // equal values, and rounding
		return 0
	}
	return math.Sqrt(squares / weight)
}

type tpeCandidate struct {
	x     []float64
	good  float64 // log density
	most  float64 // upper bound of the score
	score float64 // log of good by bad; NaN: not worth computing
}

// rank draws candidates from the good density and sorts them by their ratio of densities. The bad one
// costs most. It has a lower bound, so that candidates are skipped that cannot be the best; they come
// after the others, by their bounds.
func rank(good, bad *parzen, n int, random *rand.Rand) [][]float64 {
	var memory parzenMemory
	candidates := make([]tpeCandidate, n)
	for i := range candidates {
		x := good.sample(random)
		log := good.density(x, &memory)
		candidates[i] = tpeCandidate{x, log, log - bad.base(x), math.NaN()}
	}
	slices.SortStableFunc(candidates, func(a, b tpeCandidate) int { return cmp.Compare(b.most, a.most) })
	best := math.Inf(-1)
	for i := range candidates {
		c := &candidates[i]
		if c.most <= best {
			break
		}
		c.score = c.good - bad.density(c.x, &memory)
		best = max(best, c.score)
	}
	slices.SortStableFunc(candidates, func(a, b tpeCandidate) int { return cmp.Compare(b.score, a.score) })
	ranked := make([][]float64, n)
	for i, c := range candidates {
		ranked[i] = c.x
	}
	return ranked
}
