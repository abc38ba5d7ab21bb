package strategy

import (
	"math"
	"math/rand/v2"
)

// tpeAxis is one coordinate as the kernels see it.
type tpeAxis struct {
	categorical bool
	levels      int       // 0: continuous
	edges       []float64 // of the bins, levels+1
}

// mostLevels bounds the tables of bin masses. An axis with more values is as good as continuous.
const mostLevels = 128

func newTPEAxis(p *parameter, levels uint64) tpeAxis {
	a := tpeAxis{categorical: p.Kind == Categorical}
	if levels == 0 || levels > mostLevels && !a.categorical {
		return a
	}
	a.levels = int(levels)
	a.edges = make([]float64, levels+1)
	low, high, log := logarithmic(p.axis.(discrete))
	for k := range a.edges {
		a.edges[k] = float64(k) / float64(levels)
		if log {
			a.edges[k] = fraction(math.Log(p.Low-0.5+float64(k)), low, high)
		}
	}
	return a
}

// level returns the bin of x.
func (a *tpeAxis) level(x float64) int {
	low, high := 0, a.levels-1
	for low < high {
		middle := (low + high + 1) / 2
		if x >= a.edges[middle] {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

func (a *tpeAxis) centre(level int) float64 { return (a.edges[level] + a.edges[level+1]) / 2 }

// snap moves x to the middle of its bin.
func (a *tpeAxis) snap(x float64) float64 {
	if a.levels == 0 {
		return x
	}
	return a.centre(a.level(x))
}

// logWidth is the logarithm of the uniform probability of a bin; 0, that of a density, if continuous.
func (a *tpeAxis) logWidth(level int) float64 { return math.Log(a.edges[level+1] - a.edges[level]) }

// draw samples the kernel around x: a Gaussian within [0,1]; of a categorical axis another value with
// probability width.
func (a *tpeAxis) draw(x, width float64, random *rand.Rand) float64 {
	if a.categorical {
		if random.Float64() >= width {
			return x
		}
		other := random.IntN(a.levels - 1)
		if other >= a.level(x) {
			other++
		}
		return a.centre(other)
	}
	for { // x lies within [0,1] and the width is at most 1: one draw in three does
		if y := x + width*random.NormFloat64(); y >= 0 && y <= 1 {
			return a.snap(y)
		}
	}
}

// logMass is the logarithm of the probability that a Gaussian gives to an interval.
func logMass(low, high, centre, width float64) float64 {
	low, high = (low-centre)/width, (high-centre)/width
	if low < -6 && high > 6 {
		return 0
	}
	if low > 0 { // the upper tail, by symmetry: 1 - x would lose it
		low, high = -high, -low
	}
	mass := (math.Erfc(-high/math.Sqrt2) - math.Erfc(-low/math.Sqrt2)) / 2
	return max(math.Log(mass), -300)
}

// tail is the probability that a Gaussian exceeds z deviations, to 4 digits of what it leaves.
func tail(z float64) float64 {
	if z > 4 {
		return 0
	}
	return math.Erfc(z/math.Sqrt2) / 2
}
