package strategy

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// process is a Gaussian process conditioned on results.
type process struct {
	coordinates
	parameters kernelParameters
	weights    []float64   // by axis: of the squared differences
	columns    [][]float64 // by axis: the values of all points
	singles    []*additive
	factor     triangle
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

// condition adds a point with a noise variance, with more if it is too close to others.
func (g *process) condition(x []float64, noise float64) {
	for n := len(g.factor); len(g.factor) == n; noise = 10*noise + 1e-10*g.variance() {
		row := make([]float64, n+1)
		g.covariances(x, row[:n], nil)
		row[n] = g.variance() + noise
		g.factor.grow(row)
	}
	for i := range g.columns {
		g.columns[i] = append(g.columns[i], x[i])
		g.singles[i].push(x[i])
	}
}

// learn sets the values of all points.
func (g *process) learn(targets []float64) { g.mean, g.alpha = g.factor.residual(targets) }

// residual returns the most probable mean of targets, which is 0 give or take 1, and K⁻¹(targets − mean).
func (l triangle) residual(targets []float64) (mean float64, alpha []float64) {
	alpha = slices.Clone(targets)
	ones := slices.Repeat([]float64{1}, len(targets))
	l.forward(alpha)
	l.forward(ones)
	mean = floats.Dot(alpha, ones) / (1 + floats.Dot(ones, ones))
	floats.AddScaled(alpha, -mean, ones)
	l.backward(alpha)
	return mean, alpha
}

// covariances fills k with the covariance of x and each of the first len(k) points, and slope, if there
// is one, with the derivative of the kernel of all axes by the squared distance.
func (g *process) covariances(x, k, slope []float64) {
	clear(k)
	for i, column := range g.columns {
		w, v := g.weights[i], x[i]
		for j, other := range column[:len(k)] {
			k[j] += w * g.squared(i, v, other)
		}
	}
	for j, squared := range k {
		value, derivative := matern(squared)
		k[j] = g.parameters.variance * value
		if slope != nil {
			slope[j] = g.parameters.variance * derivative
		}
	}
	for i, single := range g.singles {
		single.accumulate(g.share(), x[i], k)
	}
}

// share is the variance of the function of each axis.
func (g *process) share() float64 { return g.parameters.additive / float64(g.axes()) }

// view is scratch space for the predictions of a process.
type view struct {
	*process
	k, slope, weighted []float64
}

func newView(g *process) *view {
	n := len(g.factor)
	return &view{g, make([]float64, n), make([]float64, n), make([]float64, n)}
}

// expect returns the mean of the function at x.
func (v *view) expect(x []float64) float64 {
	v.covariances(x, v.k, nil)
	return v.mean + floats.Dot(v.k, v.alpha)
}

// predict returns mean and standard deviation of the function at x.
func (v *view) predict(x []float64) (mean, deviation float64) {
	v.covariances(x, v.k, nil)
	return v.moments()
}

func (v *view) moments() (mean, deviation float64) {
	mean = v.mean + floats.Dot(v.k, v.alpha)
	v.factor.forward(v.k)
	rest := v.variance() - floats.Dot(v.k, v.k)
	return mean, math.Sqrt(max(rest, 1e-14*v.variance()))
}

// slopes also fills the derivatives of both by the coordinates of the given axes, which are numeric and
// present in x.
func (v *view) slopes(x []float64, axes []int, byMean, byDeviation []float64) (mean, deviation float64) {
	v.covariances(x, v.k, v.slope)
	mean, deviation = v.moments()
	v.factor.backward(v.k)
	for j := range v.k {
		v.k[j] /= -deviation
		v.weighted[j] = v.k[j] * v.slope[j]
		v.slope[j] *= v.alpha[j]
	}
	for i, axis := range axes {
		m, s := 0.0, 0.0
		for j, other := range v.columns[axis] {
			d := x[axis] - other
			if math.IsNaN(d) {
				d = x[axis] - 0.5
			}
			m += v.slope[j] * d
			s += v.weighted[j] * d
		}
		singleMean, singleDeviation := v.singles[axis].along(x[axis], v.alpha, v.k)
		byMean[i] = 2*v.weights[axis]*m + v.share()*singleMean
		byDeviation[i] = 2*v.weights[axis]*s + v.share()*singleDeviation
	}
	return mean, deviation
}
