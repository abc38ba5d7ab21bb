package strategy

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// descent minimises a smooth function within a box: limited-memory BFGS on the coordinates that are not
// held at a bound, steps projected into the box (after Byrd, Lu, Nocedal & Zhu, "A Limited Memory
// Algorithm for Bound Constrained Optimization", SIAM J. Sci. Comput. 1995, with a simpler choice of the
// free coordinates).
type descent struct {
	f          func(x, gradient []float64) float64 // returns the value and fills the gradient
	low, high  []float64
	iterations int
	tolerance  float64 // ends when an iteration gains less than this times (1 + |value|)

	s, y [][]float64 // the latest steps and changes of the gradient
}

const bfgsMemory = 8

// run moves x to a local minimum and returns its value. It stays where it is if f is not finite there.
func (d *descent) run(x []float64) float64 {
	n := len(x)
	gradient, trial, trialGradient := make([]float64, n), make([]float64, n), make([]float64, n)
	value := d.f(x, gradient)
	for range d.iterations {
		direction := d.direction(x, gradient)
		next, ok := d.search(x, value, gradient, direction, trial, trialGradient)
		if !ok {
			if len(d.s) == 0 {
				break
			}
			d.s, d.y = nil, nil
			continue
		}
		d.remember(x, gradient, trial, trialGradient)
		gain := value - next
		copy(x, trial)
		copy(gradient, trialGradient)
		value = next
		if gain < d.tolerance*(1+math.Abs(value)) {
			break
		}
	}
	return value
}

// direction is −Hg by the two-loop recursion (Nocedal & Wright, "Numerical Optimization", algorithm 7.4)
// on the free coordinates, 0 on those that the gradient presses against a bound.
func (d *descent) direction(x, gradient []float64) []float64 {
	q := make([]float64, len(x))
	free := func(v []float64) {
		for i := range v {
			if x[i] <= d.low[i] && gradient[i] > 0 || x[i] >= d.high[i] && gradient[i] < 0 {
				v[i] = 0
			}
		}
	}
	floats.AddScaled(q, -1, gradient)
	free(q)
	if len(d.s) == 0 {
		if norm := floats.Norm(q, 2); norm > 0 {
			floats.Scale(min(1, 0.1/norm*math.Sqrt(float64(len(x)))), q)
		}
		return q
	}
	weights := make([]float64, len(d.s))
	for k := len(d.s) - 1; k >= 0; k-- {
		weights[k] = floats.Dot(d.s[k], q) / floats.Dot(d.s[k], d.y[k])
		floats.AddScaled(q, -weights[k], d.y[k])
	}
	latest := len(d.s) - 1
	floats.Scale(floats.Dot(d.s[latest], d.y[latest])/floats.Dot(d.y[latest], d.y[latest]), q)
	for k := range d.s {
		floats.AddScaled(q, weights[k]-floats.Dot(d.y[k], q)/floats.Dot(d.s[k], d.y[k]), d.s[k])
	}
	free(q)
	return q
}

// search shortens the step until it decreases f enough (Armijo); the point and its gradient end in trial
// and trialGradient.
func (d *descent) search(x []float64, value float64, gradient, direction, trial, trialGradient []float64) (float64, bool) {
	step := 1.0
	for range 12 {
		slope := 0.0
		for i := range x {
			trial[i] = min(max(x[i]+step*direction[i], d.low[i]), d.high[i])
			slope += gradient[i] * (trial[i] - x[i])
		}
		if slope >= 0 {
			return 0, false
		}
		next := d.f(trial, trialGradient)
		if next <= value+1e-4*slope {
			return next, true
		}
		// The minimum of the parabola through value, slope and next, within reason.
		shrink := 0.1
		if curvature := next - value - slope; !math.IsInf(curvature, 0) && !math.IsNaN(curvature) {
			shrink = min(max(-slope/(2*curvature), 0.1), 0.5)
		}
		step *= shrink
	}
	return 0, false
}

func (d *descent) remember(x, gradient, next, nextGradient []float64) {
	s, y := make([]float64, len(x)), make([]float64, len(x))
	floats.SubTo(s, next, x)
	floats.SubTo(y, nextGradient, gradient)
	if floats.Dot(s, y) <= 1e-10*floats.Dot(y, y) {
		return
	}
	if len(d.s) == bfgsMemory {
		d.s, d.y = d.s[1:], d.y[1:]
	}
	d.s, d.y = append(d.s, s), append(d.y, y)
}
