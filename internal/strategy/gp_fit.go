package strategy

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// kernelParameters are the hyper-parameters of the process, for values of about unit variance.
type kernelParameters struct {
	scales   []float64 // length scales of the kernel of all axes, in widths of the cube
	single   []float64 // length scales of the additive kernel
	variance float64   // of the kernel of all axes
	additive float64   // variance of the additive kernel
	noise    float64   // variance
	warp     float64   // logarithm
}

// likelihood is the negative log posterior of the hyper-parameters, up to a constant.
type likelihood struct {
	coordinates
	data    [][]float64 // points
	values  []float64
	warp    warp
	squared [][]float64 // by axis: squared differences of the pairs, in the order of a triangle's rows

	kernel, full, slope []float64   // of the pairs: sum of both kernels, that of all axes, its derivative by the squared distance
	pull                []float64   // of the pairs: derivative of the log likelihood by kernel, doubled
	singleSlope         [][]float64 // by axis: derivative by the logarithm of the length scale
}

func newLikelihood(c coordinates, points [][]float64, values []float64) *likelihood {
	pairs := len(points) * (len(points) - 1) / 2
	scratch := func() []float64 { return make([]float64, pairs) }
	l := &likelihood{coordinates: c, data: points, values: values, warp: newWarp(values)}
	for axis := range c.axes() {
		squared := make([]float64, 0, pairs)
		for i := range points {
			for j := range i {
				squared = append(squared, c.squared(axis, points[i][axis], points[j][axis]))
			}
		}
		l.squared = append(l.squared, squared)
		l.singleSlope = append(l.singleSlope, scratch())
	}
	l.kernel, l.full, l.slope, l.pull = scratch(), scratch(), scratch(), scratch()
	return l
}

// key tells these data from others.
func (l *likelihood) key() uint64 {
	key := uint64(len(l.data))
	for i, x := range l.data {
		key = mix(key ^ math.Float64bits(l.values[i]))
		for _, v := range x {
			key = mix(key ^ math.Float64bits(v))
		}
	}
	return key
}

// The hyper-parameters lie in a vector, as logarithms: length scales, then those of the additive kernel,
// then four more at these offsets.
const (
	thetaVariance = iota
	thetaAdditive
	thetaNoise
	thetaWarp
	thetaRest
)

func (l *likelihood) parameters(theta []float64) kernelParameters {
	d := l.axes()
	p := kernelParameters{scales: make([]float64, d), single: make([]float64, d)}
	for i := range d {
		p.scales[i], p.single[i] = math.Exp(theta[i]), math.Exp(theta[d+i])
	}
	rest := theta[2*d:]
	p.variance, p.additive = math.Exp(rest[thetaVariance]), math.Exp(rest[thetaAdditive])
	p.noise, p.warp = math.Exp(rest[thetaNoise]), rest[thetaWarp]
	return p
}

// at returns the value and fills the gradient; +Inf where the covariance is singular.
func (l *likelihood) at(theta, gradient []float64) float64 {
	p := l.parameters(theta)
	targets, byWarp, volume, volumeByWarp := l.warp.apply(p.warp)
	l.fill(p)
	factor, ok := l.factor(p)
	if !ok {
		return math.Inf(1)
	}
	mean, alpha := factor.residual(targets)
	floats.AddConst(-mean, targets)
	value := (floats.Dot(alpha, targets)+mean*mean)/2 + factor.logDeterminant()/2 - volume
	l.gradient(p, factor, alpha, gradient)
	gradient[2*l.axes()+thetaWarp] = floats.Dot(alpha, byWarp) - volumeByWarp
	return value + l.prior(theta, gradient)
}

// fill computes the kernels of all pairs and their derivatives.
func (l *likelihood) fill(p kernelParameters) {
	clear(l.kernel)
	for axis, scale := range p.scales {
		floats.AddScaled(l.kernel, 1/(scale*scale), l.squared[axis])
	}
	for i, squared := range l.kernel {
		k, slope := matern(squared)
		l.full[i], l.slope[i] = p.variance*k, p.variance*slope
	}
	copy(l.kernel, l.full)
	share := p.additive / float64(l.axes())
	for axis, slopes := range l.singleSlope {
		single := newAdditive(l.nominal[axis], p.single[axis])
		first := 0
		for i, x := range l.data {
			single.slopes(share, x[axis], l.kernel[first:first+i], slopes[first:first+i])
			single.push(x[axis])
			first += i
		}
	}
}

func (l *likelihood) factor(p kernelParameters) (triangle, bool) {
	factor := make(triangle, 0, len(l.data))
	first := 0
	for i := range l.data {
		row := make([]float64, i+1)
		copy(row, l.kernel[first:first+i])
		row[i] = p.variance + p.additive + p.noise
		if !factor.grow(row) {
			return nil, false
		}
		first += i
	}
	return factor, true
}

// gradient of the likelihood: ½ tr((K⁻¹ − ααᵀ) ∂K) by each parameter (Rasmussen & Williams, 5.9).
func (l *likelihood) gradient(p kernelParameters, factor triangle, alpha, gradient []float64) {
	clear(gradient)
	diagonal, first := 0.0, 0
	for i, row := range factor.inverse() {
		floats.Scale(-1, row)
		floats.AddScaled(row, alpha[i], alpha[:i+1])
		diagonal -= row[i] / 2
		copy(l.pull[first:first+i], row)
		first += i
	}
	d := l.axes()
	floats.Mul(l.slope, l.pull)
	for axis, scale := range p.scales {
		gradient[axis] = 2 / (scale * scale) * floats.Dot(l.slope, l.squared[axis])
		gradient[d+axis] = -floats.Dot(l.singleSlope[axis], l.pull)
	}
	byFull, byAll := floats.Dot(l.pull, l.full), floats.Dot(l.pull, l.kernel)
	rest := gradient[2*d:]
	rest[thetaVariance] = p.variance*diagonal - byFull
	rest[thetaAdditive] = p.additive*diagonal - (byAll - byFull)
	rest[thetaNoise] = p.noise * diagonal
}

// belief is a normal prior of the logarithm of a hyper-parameter, and the range it is searched in.
type belief struct{ mean, deviation, low, high float64 }

// belief returns that of entry i of the vector. The length scales of the kernel of all axes grow with
// √d, as distances in the cube do (Hvarfner, Hellsten & Nardi, "Vanilla Bayesian Optimization Performs
// Great in High Dimensions", ICML 2024). The figures are tuned on test functions and tables.
func (l *likelihood) belief(i int) belief {
	d := l.axes()
	switch {
	case i < d:
		return belief{-0.6 + math.Log(float64(d))/2, 1, -5.3, 5.3}
	case i < 2*d:
		return belief{-0.7, 1, -5.3, 5.3}
	}
	return [thetaRest]belief{
		thetaVariance: {0, 1, -7, 7},
		thetaAdditive: {0, 1, -7, 7},
		thetaNoise:    {-9, 3, math.Log(1e-8), 0},
		thetaWarp:     {0, 2, -8, 12},
	}[i-2*d]
}

func (l *likelihood) prior(theta, gradient []float64) float64 {
	total := 0.0
	for i := range theta {
		b := l.belief(i)
		z := (theta[i] - b.mean) / b.deviation
		total += z * z / 2
		gradient[i] += z / b.deviation
	}
	return total
}

// fit returns the most probable hyper-parameters near what is believed.
func (l *likelihood) fit() []float64 {
	n := 2*l.axes() + thetaRest
	theta, low, high := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range theta {
		b := l.belief(i)
		theta[i], low[i], high[i] = b.mean, b.low, b.high
	}
	d := descent{f: l.at, low: low, high: high, iterations: 50, tolerance: 1e-6}
	d.run(theta)
	return theta
}
