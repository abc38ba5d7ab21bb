package strategy

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// kernelParameters are the hyper-parameters of the process, for values of about unit variance.
type kernelParameters struct {
	scales   []float64 // length scales, in widths of the cube
	single   []float64 // length scales of the additive part
	additive float64
	variance float64
	noise    float64 // variance
	warp     float64
}

// likelihood is the negative log posterior of hyper-parameters given results, up to a constant.
type likelihood struct {
	coordinates
	points  [][]float64
	squared [][]float64 // by axis: squared differences of the pairs, in the order of a triangle's rows
	values  []float64
	scales  int
	warp    warper

	distance, kernel, slope []float64 // of the pairs, scratch
	singleSlope             [][]float64
	full                    []float64
}

func newLikelihood(kind string, c coordinates, points [][]float64, values []float64) *likelihood {
	n := len(points)
	pairs := n * (n - 1) / 2
	l := &likelihood{coordinates: c, points: points, values: values, scales: c.axes(), warp: newWarper(kind, values)}
	for f := range c.axes() {
		squared := make([]float64, 0, pairs)
		for i := range points {
			for j := range i {
				squared = append(squared, c.squared(f, points[i][f], points[j][f]))
			}
		}
		l.squared = append(l.squared, squared)
		l.singleSlope = append(l.singleSlope, make([]float64, pairs))
	}
	l.distance, l.kernel, l.slope, l.full = make([]float64, pairs), make([]float64, pairs), make([]float64, pairs), make([]float64, pairs)
	return l
}

// The logarithms of the hyper-parameters lie in a vector: length scales, variance, noise, warp.
func (l *likelihood) parameters(theta []float64) kernelParameters {
	p := kernelParameters{scales: make([]float64, l.scales), single: make([]float64, l.scales)}
	for i := range p.scales {
		p.scales[i] = math.Exp(theta[i])
		p.single[i] = math.Exp(theta[l.scales+4+i])
	}
	p.variance, p.noise = math.Exp(theta[l.scales]), math.Exp(theta[l.scales+1])
	p.warp = theta[l.scales+2]
	if tune.Additive {
		p.additive = math.Exp(theta[l.scales+3])
	}
	return p
}

func (l *likelihood) at(theta, gradient []float64) float64 {
	p := l.parameters(theta)
	values, byWarp, jacobian, jacobianByWarp := l.warp.apply(p.warp)
	n := len(values)
	l.fill(p)
	factor, ok := l.factor(p, n)
	if !ok {
		return math.Inf(1)
	}
	mean := 0.0
	alpha := make([]float64, n)
	copy(alpha, values)
	factor.forward(alpha)
	factor.backward(alpha)
	if tune.Mean {
		ones := make([]float64, n)
		for i := range ones {
			ones[i] = 1
		}
		factor.forward(ones)
		factor.backward(ones)
		mean = floats.Sum(alpha) / (floats.Sum(ones) + 1/tune.MeanVar)
		floats.AddScaled(alpha, -mean, ones)
	}
	fit := 0.0
	for i := range alpha {
		fit += alpha[i] * (values[i] - mean)
	}
	if tune.Mean {
		fit += mean * mean / tune.MeanVar
	}
	result := fit/2 + factor.logDeterminant()/2 - jacobian
	l.gradient(p, factor, alpha, gradient)
	gradient[l.scales+2] = floats.Dot(alpha, byWarp) - jacobianByWarp
	result += l.prior(theta, gradient)
	return result
}

// fill computes the kernel of all pairs and its derivative by the squared distance.
func (l *likelihood) fill(p kernelParameters) {
	clear(l.distance)
	for f, squared := range l.squared {
		scale := p.scales[f]
		floats.AddScaled(l.distance, 1/(scale*scale), squared)
	}
	for i, d := range l.distance {
		k, slope := matern(d)
		l.full[i], l.slope[i] = p.variance*k, p.variance*slope
	}
	copy(l.kernel, l.full)
	if p.additive == 0 {
		return
	}
	share := p.additive / float64(l.scales)
	for f, slopes := range l.singleSlope {
		single := newAdditive(l.coordinates.nominal[f], p.single[f])
		first := 0
		for i, x := range l.points {
			single.slopes(share, x[f], l.kernel[first:first+i], slopes[first:first+i])
			single.push(x[f])
			first += i
		}
	}
}

func (l *likelihood) factor(p kernelParameters, n int) (triangle, bool) {
	factor := make(triangle, 0, n)
	first := 0
	for i := range n {
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

// gradient of the log likelihood: ½ tr((K⁻¹ − ααᵀ) ∂K) by each parameter (Rasmussen & Williams, 5.9).
func (l *likelihood) gradient(p kernelParameters, factor triangle, alpha, gradient []float64) {
	clear(gradient)
	inverse := factor.inverse()
	diagonal, byVariance, byAll := 0.0, 0.0, 0.0
	first := 0
	for i, row := range inverse {
		floats.Scale(-1, row)
		floats.AddScaled(row, alpha[i], alpha[:i+1])
		diagonal -= row[i] / 2
		byVariance -= floats.Dot(row[:i], l.full[first:first+i])
		byAll -= floats.Dot(row[:i], l.kernel[first:first+i])
		copy(l.distance[first:first+i], row)
		first += i
	}
	floats.Mul(l.slope, l.distance)
	for f := range l.squared {
		scale := p.scales[f]
		gradient[f] += 2 / (scale * scale) * floats.Dot(l.slope, l.squared[f])
		if p.additive > 0 {
			gradient[l.scales+4+f] = -floats.Dot(l.singleSlope[f], l.distance)
		}
	}
	gradient[l.scales] = byVariance + p.variance*diagonal
	gradient[l.scales+1] = p.noise * diagonal
	gradient[l.scales+3] = byAll - byVariance + p.additive*diagonal
}

func (l *likelihood) prior(theta, gradient []float64) float64 {
	total := 0.0
	normal := func(i int, mean, deviation float64) {
		z := (theta[i] - mean) / deviation
		total += z * z / 2
		gradient[i] += z / deviation
	}
	for i := range l.scales {
		if tune.Gamma {
			// Optuna's: −(0.1/w + 0.1 w), w = ℓ⁻²
			w := math.Exp(-2 * theta[i])
			total += 0.1/w + 0.1*w
			gradient[i] += 0.2/w - 0.2*w
			continue
		}
		normal(i, tune.ScaleMean+tune.ScaleDim*math.Log(float64(l.scales))/2, tune.ScaleDev)
	}
	for i := range l.scales {
		if tune.Additive {
			normal(l.scales+4+i, tune.SingleMean, tune.SingleDev)
		}
	}
	normal(l.scales+3, tune.AddMean, tune.AddDev)
	normal(l.scales, tune.VarMean, tune.VarDev)
	normal(l.scales+1, tune.NoiseMean, tune.NoiseDev)
	switch l.warp.kind {
	case "yj":
		normal(l.scales+2, 1, 0.7)
	case "log":
		normal(l.scales+2, tune.WarpMean, tune.WarpDev)
	}
	return total
}

// fit returns the most probable hyper-parameters.
func (l *likelihood) fit() []float64 {
	n := 2*l.scales + 4
	low, high := make([]float64, n), make([]float64, n)
	for i := range l.scales {
		low[i], high[i] = math.Log(0.005), math.Log(200)
		low[l.scales+4+i], high[l.scales+4+i] = math.Log(0.005), math.Log(200)
	}
	low[l.scales], high[l.scales] = math.Log(1e-3), math.Log(1e3)
	low[l.scales+1], high[l.scales+1] = math.Log(tune.NoiseMin), math.Log(1)
	low[l.scales+3], high[l.scales+3] = math.Log(1e-3), math.Log(1e3)
	low[l.scales+2], high[l.scales+2] = -8, 12
	if l.warp.kind == "none" {
		low[l.scales+2], high[l.scales+2] = 0, 0
	}
	var best []float64
	lowest := math.Inf(1)
	for start := range tune.Starts {
		theta := make([]float64, n)
		for i := range l.scales {
			theta[i] = []float64{math.Log(0.5) + math.Log(float64(l.scales))/2, math.Log(0.2) + math.Log(float64(l.scales))/4, math.Log(2) + math.Log(float64(l.scales))/2}[start]
		}
		for i := range l.scales {
			theta[l.scales+4+i] = tune.SingleMean
		}
		theta[l.scales+3] = tune.AddMean
		theta[l.scales+1] = []float64{math.Log(1e-4), math.Log(1e-4), math.Log(1e-2)}[start]
		theta[l.scales+2] = tune.WarpStart
		if l.warp.kind == "yj" {
			theta[l.scales+2] = 1
		}
		d := descent{f: l.at, low: low, high: high, iterations: tune.FitIterations, tolerance: 1e-6}
		if value := d.run(theta); value < lowest || best == nil {
			best, lowest = theta, value
		}
	}
	return best
}
