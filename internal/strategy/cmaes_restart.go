package strategy

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const initialSigma = 1. / 6 // of the cube's edge

// begin starts in the middle of the cube, or where earlier studies ended.
func (s *cmaes) begin(prior []member) *evolution {
	offspring := 3
	if d := len(s.axes) + len(s.categories); d > 1 {
		offspring += int(1.5 * math.Log(float64(d)))
	}
	e := newEvolution(len(s.axes), s.sizes(), offspring, initialSigma)
	if len(prior) > 0 {
		e.warmStart(prior)
		e.keepMargin(s.axes)
	}
	return e
}

// restart begins anywhere, with twice the members.
func (s *cmaes) restart(old *evolution, seed uint64, trials int) *evolution {
	random := rand.New(rand.NewPCG(seed, mix(uint64(trials))))
	e := newEvolution(len(s.axes), s.sizes(), 2*old.offspring, initialSigma)
	for i := range e.mean {
		e.mean[i] = random.Float64()
	}
	return e
}

// sizes of the categorical parameters.
func (s *cmaes) sizes() []int {
	sizes := make([]int, len(s.categories))
	for c, position := range s.categories {
		sizes[c] = int(s.cube.levels(position))
	}
	return sizes
}

const (
	trusted = 0.1 // γ: part of the earlier trials that is good
	blur    = 0.1 // α: deviation around each of them
)

// warmStart takes the distribution of the good ones among earlier trials (Nomura et al. 2021, section 4).
func (e *evolution) warmStart(prior []member) {
	good := slices.SortedStableFunc(slices.Values(prior), compareMembers)
	good = good[:int(math.Ceil(trusted*float64(len(good))))]
	for i := range e.mean {
		sum, n := 0.0, 0.0
		for _, m := range good {
			if x := m.point[i]; !math.IsNaN(x) {
				sum, n = sum+x, n+1
			}
		}
		if n > 0 {
			e.mean[i] = sum / n
		}
	}
	for c, q := range e.choices {
		for _, m := range good {
			if m.choice[c] >= 0 {
				q[m.choice[c]]++
			}
		}
		floats.Scale(1/floats.Sum(q), q)
	}
	if len(e.mean) > 0 {
		e.embrace(good)
	}
}

// embrace sets σ²C to the covariance of the members around the mean, blurred. |C| is 1.
func (e *evolution) embrace(good []member) {
	n := len(e.mean)
	e.covariance.ScaleSym(blur*blur, e.covariance)
	for _, m := range good {
		away := make([]float64, n)
		for i, x := range m.point {
			if !math.IsNaN(x) {
				away[i] = x - e.mean[i]
			}
		}
		e.covariance.SymRankOne(e.covariance, 1/float64(len(good)), mat.NewVecDense(n, away))
	}
	e.decompose()
	logarithm := 0.0
	for _, length := range e.lengths {
		logarithm += math.Log(length) / float64(n)
	}
	e.sigma = math.Exp(logarithm)
	e.covariance.ScaleSym(1/(e.sigma*e.sigma), e.covariance)
	floats.Scale(1/e.sigma, e.lengths)
}

const (
	tinyStep = 1e-9  // of continuous axes, in the cube
	tinyBin  = 0.1   // of discrete axes, as a part of the bin
	flat     = 1e-12 // relative difference of values
	maxRatio = 1e7   // of the longest to the shortest axis of C
)

// stagnant reports whether a restart is due: the steps are too small, C is degenerate, or values have
// not differed for many generations (tolX, condition and tolFun of Hansen 2009).
func (e *evolution) stagnant(axes []cmaAxis) bool {
	if len(axes) == 0 {
		return false
	}
	if e.lengths[len(e.lengths)-1] > maxRatio*e.lengths[0] || e.flat() {
		return true
	}
	for i, a := range axes {
		least := tinyStep
		if a.discrete != nil {
			low, high := a.bin(e.mean[i])
			least = max(least, tinyBin*(high-low))
		}
		if e.deviation(i) > least {
			return false
		}
	}
	return true
}

func (e *evolution) flat() bool {
	n := 10 + 30*len(e.mean)/(e.offspring+elites)
	if len(e.bests) < n {
		return false
	}
	recent := append(slices.Clone(e.bests[len(e.bests)-n:]), e.worst)
	low, high := math.Inf(1), math.Inf(-1)
	for _, worth := range recent {
		if worth[0] != recent[0][0] {
			return false
		}
		low, high = min(low, worth[1]), max(high, worth[1])
	}
	return high-low <= flat*max(math.Abs(low), math.Abs(high))
}
