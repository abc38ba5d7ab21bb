package strategy

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// warp brings values to a scale on which a Gaussian process fits them: log(1+cu)/c, standardised, where
// u is 0 at the smallest value and 1 at the median. It spreads the good values where the bad ones are
// larger by orders of magnitude; c → 0 changes nothing. The logarithm of c is fitted with the
// hyper-parameters (Snelson, Rasmussen & Ghahramani, "Warped Gaussian Processes", NeurIPS 2003).
type warp struct{ u []float64 }

func newWarp(values []float64) warp {
	sorted := slices.Sorted(slices.Values(values))
	lowest, highest := sorted[0], sorted[len(sorted)-1]
	scale := stat.Quantile(0.5, stat.LinInterp, sorted, nil) - lowest
	if !(scale > 0) {
		scale = highest - lowest
	}
	if !(scale > 0) {
		scale = 1
	}
	u := make([]float64, len(values))
	for i, v := range values {
		u[i] = (v - lowest) / scale
	}
	return warp{u}
}

// apply returns the warped values and their derivatives by log c, and the logarithm of the warping's
// volume (the Jacobian of the likelihood) and its derivative.
func (w warp) apply(logC float64) (z, byLogC []float64, volume, volumeByLogC float64) {
	n, c := float64(len(w.u)), math.Exp(logC)
	z, byLogC = make([]float64, len(w.u)), make([]float64, len(w.u))
	for i, u := range w.u {
		z[i] = math.Log1p(c*u) / c
		byLogC[i] = u/(1+c*u) - z[i]
		volume -= math.Log1p(c * u)
		volumeByLogC -= c * u / (1 + c*u)
	}
	floats.AddConst(-stat.Mean(z, nil), z)
	floats.AddConst(-stat.Mean(byLogC, nil), byLogC)
	deviation := math.Sqrt(floats.Dot(z, z) / n)
	if !(deviation > 0) {
		clear(z)
		clear(byLogC)
		return z, byLogC, 0, 0
	}
	floats.Scale(1/deviation, z)
	growth := floats.Dot(z, byLogC) / n // of the deviation
	for i := range z {
		byLogC[i] = (byLogC[i] - z[i]*growth) / deviation
	}
	return z, byLogC, volume - n*math.Log(deviation), volumeByLogC - n*growth/deviation
}
