package strategy

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

type warper struct {
	kind string
	u    []float64
}

func newWarper(kind string, values []float64) warper {
	if len(values) == 0 {
		return warper{}
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	u := slices.Clone(values)
	switch kind {
	case "log":
		lowest, scale := sorted[0], stat.Quantile(tune.WarpQ, stat.LinInterp, sorted, nil)-sorted[0]
		if !(scale > 0) {
			scale = sorted[len(sorted)-1] - lowest
		}
		if !(scale > 0) {
			scale = 1
		}
		for i := range u {
			u[i] = (u[i] - lowest) / scale
		}
	default:
		m := stat.Quantile(0.5, stat.LinInterp, sorted, nil)
		scale := stat.Quantile(0.75, stat.LinInterp, sorted, nil) - stat.Quantile(0.25, stat.LinInterp, sorted, nil)
		if kind == "none" || !(scale > 0) {
			scale = stat.StdDev(values, nil)
		}
		if !(scale > 0) {
			scale = 1
		}
		for i := range u {
			u[i] = (u[i] - m) / scale
		}
	}
	return warper{kind, u}
}

// raw transforms: t, dt/dlambda, log dt/du, d/dlambda of that
func warpRaw(kind string, u, lambda float64) (t, byL, logSlope, logSlopeByL float64) {
	switch kind {
	case "log":
		c := math.Exp(lambda)
		t = math.Log1p(c*u) / c
		byL = u/(1+c*u) - t
		return t, byL, -math.Log1p(c * u), -c * u / (1 + c*u)
	case "yj":
		// two-sided Yeo-Johnson with exponent lambda
		if u >= 0 {
			return boxcox(u, lambda)
		}
		t, byL, logSlope, logSlopeByL = boxcox(-u, 2-lambda)
		return -t, byL, logSlope, -logSlopeByL
	}
	return u, 0, 0, 0
}

func boxcox(u, l float64) (t, byL, logSlope, logSlopeByL float64) {
	lg := math.Log1p(u)
	x := l * lg
	if math.Abs(x) < 1e-5 {
		t = lg * (1 + x/2)
		byL = lg * lg * (0.5 + x/3)
	} else {
		e := math.Exp(min(x, 300))
		t = (e - 1) / l
		byL = (e*lg*l - (e - 1)) / (l * l)
	}
	return t, byL, (l - 1) * lg, lg
}

// apply returns standardised values, their derivative by lambda, log jacobian and its derivative.
func (w warper) apply(lambda float64) (z, byLambda []float64, jacobian, jacobianBy float64) {
	n := len(w.u)
	z, byLambda = make([]float64, n), make([]float64, n)
	for i, u := range w.u {
		var a, b float64
		z[i], byLambda[i], a, b = warpRaw(w.kind, u, lambda)
		jacobian += a
		jacobianBy += b
	}
	mean, meanBy := stat.Mean(z, nil), stat.Mean(byLambda, nil)
	floats.AddConst(-mean, z)
	floats.AddConst(-meanBy, byLambda)
	deviation := math.Sqrt(floats.Dot(z, z) / float64(n))
	if !(deviation > 1e-300) {
		clear(z)
		clear(byLambda)
		return z, byLambda, 0, 0
	}
	floats.Scale(1/deviation, z)
	byDev := floats.Dot(z, byLambda) / float64(n) // d deviation
	for i := range z {
		byLambda[i] = (byLambda[i] - z[i]*byDev) / deviation
	}
	return z, byLambda, jacobian - float64(n)*math.Log(deviation), jacobianBy - float64(n)*byDev/deviation
}
