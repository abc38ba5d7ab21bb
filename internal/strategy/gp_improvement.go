package strategy

import "math"

// logImprovement is the logarithm of the expected improvement of a normal value below best, and its
// derivatives by mean and deviation. It stays accurate where the improvement itself would underflow
// (Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization", NeurIPS
// 2023, equation 9).
func logImprovement(best, mean, deviation float64) (value, byMean, byDeviation float64) {
	z := (best - mean) / deviation
	logDensity := -z*z/2 - logRootTau
	var logH, logTail float64 // of φ(z) + zΦ(z), of Φ(z)
	switch {
	case z > -1:
		tail := math.Erfc(-z/math.Sqrt2) / 2
		logH, logTail = math.Log(math.Exp(logDensity)+z*tail), math.Log(tail)
	case z > -30:
		// Mills' ratio Φ/φ.
		mills := math.Sqrt(math.Pi/2) * math.Exp(z*z/2) * math.Erfc(-z/math.Sqrt2)
		logH, logTail = logDensity+math.Log1p(z*mills), logDensity+math.Log(mills)
	default:
		w := 1 / (z * z)
		logH = logDensity + math.Log(w*(1-w*(3-15*w)))
		logTail = logDensity + math.Log(-1/z*(1-w*(1-3*w)))
	}
	return math.Log(deviation) + logH, -math.Exp(logTail-logH) / deviation, math.Exp(logDensity-logH) / deviation
}

var logRootTau = math.Log(2*math.Pi) / 2
