package strategy

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// evolution is the state of one run of CMA-ES: a normal distribution N(mean, σ²SCS) over the numeric axes,
// with S the diagonal matrix of spread, and probabilities of each categorical parameter's choices. It is not
// changed once built.
type evolution struct {
	offspring  int // new members per generation
	generation int

	mean, spread     []float64
	sigma            float64
	covariance       *mat.SymDense // C
	pathSigma, pathC []float64
	axes             *mat.Dense // eigenvectors of C, by column
	lengths          []float64  // square roots of its eigenvalues, ascending
	choices          [][]float64

	bests [][2]float64 // worth of the best member of each generation
	worst [2]float64   // of the last one
}

func newEvolution(dims int, sizes []int, offspring int, sigma float64) *evolution {
	e := &evolution{
		offspring: offspring, sigma: sigma, mean: slices.Repeat([]float64{0.5}, dims), spread: slices.Repeat([]float64{1}, dims),
		pathSigma: make([]float64, dims), pathC: make([]float64, dims),
	}
	e.resetCovariance()
	for _, n := range sizes {
		e.choices = append(e.choices, slices.Repeat([]float64{1 / float64(n)}, n))
	}
	return e
}

func (e *evolution) resetCovariance() {
	if n := len(e.mean); n > 0 {
		e.covariance = mat.NewSymDense(n, nil)
		for i := range n {
			e.covariance.SetSym(i, i, 1)
		}
		e.decompose()
	}
}

// decompose takes C apart. The eigenvalues of a matrix that rounding made indefinite are raised.
func (e *evolution) decompose() {
	var eigen mat.EigenSym
	if !eigen.Factorize(e.covariance, true) {
		e.resetCovariance()
		return
	}
	e.axes = new(mat.Dense)
	eigen.VectorsTo(e.axes)
	e.lengths = eigen.Values(nil)
	largest := e.lengths[len(e.lengths)-1]
	for i, value := range e.lengths {
		e.lengths[i] = math.Sqrt(max(value, 1e-15*largest))
	}
}

// draw samples a point (equations 38 to 40).
func (e *evolution) draw(random *rand.Rand) []float64 {
	z := make([]float64, len(e.mean))
	for i := range z {
		z[i] = random.NormFloat64()
	}
	x := slices.Clone(e.mean)
	for i := range x {
		step := 0.0
		for k, v := range z {
			step += e.axes.At(i, k) * e.lengths[k] * v
		}
		x[i] += e.sigma * e.spread[i] * step
	}
	return x
}

// whiten returns C^(-1/2) y.
func (e *evolution) whiten(y []float64) []float64 {
	white := make([]float64, len(y))
	for k, length := range e.lengths {
		along := 0.0
		for i, v := range y {
			along += e.axes.At(i, k) * v
		}
		for i := range white {
			white[i] += e.axes.At(i, k) * along / length
		}
	}
	return white
}

// deviation of the normal distribution along axis i, without its spread.
func (e *evolution) deviation(i int) float64 {
	return e.sigma * math.Sqrt(e.covariance.At(i, i))
}

// next returns the state after a generation of these members.
func (e *evolution) next(members []member, axes []cmaAxis) *evolution {
	f := *e
	f.generation++
	members = slices.SortedStableFunc(slices.Values(members), compareMembers)
	f.bests, f.worst = append(slices.Clone(e.bests), members[0].worth), members[len(members)-1].worth
	r := newRates(len(e.mean), len(members))
	r.share(members)
	f.choices = make([][]float64, len(e.choices))
	for c, q := range e.choices {
		f.choices[c] = r.learnChoice(q, c, members)
	}
	if len(e.mean) > 0 {
		f.move(e, r, members)
		f.decompose()
		f.keepMargin(axes)
	}
	return &f
}

// move learns the normal distribution from members sorted by worth. Steps y are in units of σS.
func (e *evolution) move(old *evolution, r rates, members []member) {
	n := float64(len(e.mean))
	steps, lengths := old.steps(members)
	step := make([]float64, len(e.mean)) // equation 41
	for k, y := range steps {
		floats.AddScaled(step, max(r.weights[k], 0), y)
	}
	e.mean = slices.Clone(old.mean)
	for i, y := range step { // equation 42
		e.mean[i] += old.sigma * old.spread[i] * y
	}
	e.pathSigma = path(old.pathSigma, r.cumulateSigma, r.effective, old.whiten(step)) // equation 43
	travelled := floats.Norm(e.pathSigma, 2)
	e.sigma = min(1, old.sigma*math.Exp(min(1, r.cumulateSigma/r.damping*(travelled/r.expected-1)))) // equation 44
	// Equation 45: the path of C stalls while σ is far too small.
	stationary := math.Sqrt(1 - math.Pow(1-r.cumulateSigma, 2*float64(e.generation)))
	missing := r.cumulateC * (2 - r.cumulateC)
	if travelled/stationary < (1.4+2/(n+1))*r.expected {
		e.pathC, missing = path(old.pathC, r.cumulateC, r.effective, step), 0
	} else {
		e.pathC = path(old.pathC, r.cumulateC, 0, step)
	}
	e.covariance = mat.NewSymDense(len(step), nil) // equations 46 and 47
	e.covariance.ScaleSym(1-r.rankOne*(1-missing)-r.rankMu*floats.Sum(r.weights), old.covariance)
	e.covariance.SymRankOne(e.covariance, r.rankOne, mat.NewVecDense(len(step), e.pathC))
	for k, y := range steps {
		weight := r.rankMu * r.weights[k]
		if weight < 0 {
			weight *= n / max(lengths[k]*lengths[k], 1e-10)
		}
		e.covariance.SymRankOne(e.covariance, weight, mat.NewVecDense(len(y), y))
	}
}

// path cumulates steps.
func path(old []float64, rate, effective float64, step []float64) []float64 {
	p := slices.Clone(old)
	floats.Scale(1-rate, p)
	floats.AddScaled(p, math.Sqrt(rate*(2-rate)*effective), step)
	return p
}

// steps returns how far members are from the mean, in units of σS, and the lengths of these steps in
// units of C. Longer ones than chance makes, of enqueued trials say, are shortened (Hansen 2011,
// equation 3). A parameter that does not exist makes no step: sampled values only add noise.
func (e *evolution) steps(members []member) (steps [][]float64, lengths []float64) {
	n := float64(len(e.mean))
	longest := math.Sqrt(n) + 2*n/(n+2)
	for _, m := range members {
		y := make([]float64, len(e.mean))
		for i, x := range m.point {
			if !math.IsNaN(x) {
				y[i] = (x - e.mean[i]) / (e.sigma * e.spread[i])
			}
		}
		length := floats.Norm(e.whiten(y), 2)
		if length > longest {
			floats.Scale(longest/length, y)
			length = longest
		}
		steps, lengths = append(steps, y), append(lengths, length)
	}
	return steps, lengths
}
