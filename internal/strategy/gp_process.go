package strategy

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// process is a Gaussian process conditioned on results.
type process struct {
	coordinates
	parameters kernelParameters
	weights    []float64 // of the axes' squared differences
	singles    []*additive
	columns    [][]float64 // by axis: the values of all points
	factor     triangle
	targets    []float64
	mean       float64
	alpha      []float64 // K⁻¹(targets − mean)
}

func newProcess(c coordinates, p kernelParameters) *process {
	g := &process{coordinates: c, parameters: p, columns: make([][]float64, c.axes())}
	for i, scale := range p.scales {
		g.weights = append(g.weights, 1/(scale*scale))
		g.singles = append(g.singles, newAdditive(c.nominal[i], p.single[i]))
	}
	return g
}

func (g *process) variance() float64 { return g.parameters.variance + g.parameters.additive }

// condition adds a point with a noise variance. A point too close to others gets more noise.
func (g *process) condition(x []float64, noise float64) {
	n := len(g.factor)
	for {
		row := make([]float64, n+1)
		g.covariances(x, row[:n], nil)
		row[n] = g.variance() + noise
		if g.factor.grow(row) {
			break
		}
		noise = 10*noise + 1e-10*g.parameters.variance
	}
	for f := range g.columns {
		g.columns[f] = append(g.columns[f], x[f])
		g.singles[f].push(x[f])
	}
}

// learn sets the values of all points.
func (g *process) learn(targets []float64) {
	g.targets = targets
	g.mean = 0
	if tune.Mean {
		ones := make([]float64, len(targets))
		for i := range ones {
			ones[i] = 1
		}
		a := append([]float64(nil), targets...)
		g.factor.forward(a)
		g.factor.forward(ones)
		g.mean = floats.Dot(a, ones) / (floats.Dot(ones, ones) + 1/tune.MeanVar)
	}
	g.alpha = append([]float64(nil), targets...)
	floats.AddConst(-g.mean, g.alpha)
	g.factor.forward(g.alpha)
	g.factor.backward(g.alpha)
}

// covariances fills k with the covariance of x and each point, and slope, if there is one, with its
// derivative by the squared distance.
func (g *process) covariances(x, k, slope []float64) {
	clear(k)
	for f, column := range g.columns {
		w, v := g.weights[f], x[f]
		for j, other := range column[:len(k)] {
			k[j] += w * g.squared(f, v, other)
		}
	}
	for j, squared := range k {
		value, derivative := matern(squared)
		k[j] = g.parameters.variance * value
		if slope != nil {
			slope[j] = g.parameters.variance * derivative
		}
	}
	if g.parameters.additive == 0 {
		return
	}
	share := g.parameters.additive / float64(g.axes())
	for f, single := range g.singles {
		single.accumulate(share, x[f], k)
	}
}

// view is scratch space for predictions; one for each goroutine.
type view struct {
	*process
	k, slope, weighted []float64
}

func newView(g *process) *view {
	n := len(g.factor)
	return &view{g, make([]float64, n), make([]float64, n), make([]float64, n)}
}

// predict returns mean and standard deviation of the function at x.
func (v *view) predict(x []float64) (mean, deviation float64) {
	v.covariances(x, v.k, nil)
	return v.moments()
}

func (v *view) moments() (mean, deviation float64) {
	mean = v.mean + floats.Dot(v.k, v.alpha)
	v.factor.forward(v.k)
	return mean, v.spread(floats.Dot(v.k, v.k))
}

func (v *view) spread(explained float64) float64 {
	return math.Sqrt(max(v.variance()-explained, 1e-14*v.variance()))
}

// slopes also fills the derivatives of both by the given features, which are numbers.
func (v *view) slopes(x []float64, along []int, byMean, byDeviation []float64) (mean, deviation float64) {
	v.covariances(x, v.k, v.slope)
	mean, deviation = v.moments()
	v.factor.backward(v.k) // K⁻¹k
	for j := range v.k {
		v.k[j] /= -deviation
		v.weighted[j] = v.k[j] * v.slope[j]
		v.slope[j] *= v.alpha[j]
	}
	share := v.parameters.additive / float64(v.axes())
	for i, f := range along {
		m, s := 0.0, 0.0
		for j, other := range v.columns[f] {
			d := x[f] - other
			if d != d {
				d = x[f] - 0.5
			}
			m += v.slope[j] * d
			s += v.weighted[j] * d
		}
		byMean[i], byDeviation[i] = 2*v.weights[f]*m, 2*v.weights[f]*s
		if share > 0 {
			m, s = v.singles[f].along(x[f], v.alpha, v.k)
			byMean[i] += share * m
			byDeviation[i] += share * s
		}
	}
	return mean, deviation
}
