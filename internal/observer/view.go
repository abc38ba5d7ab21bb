package observer

import "math"

// extreme bounds what detectors that square and add take in: a value beyond ±1e140 counts as ±1e140, so that 2³² squared
// differences stay far below the largest float64.
const extreme = 1e140

// view is how a detector sees values: turned so that the larger is the worse, and within bounds.
type view struct {
	goal  Goal
	scale scale
}

type scale int8

const (
	whole scale = iota // any size, up to extreme
	unit               // errors of 0 … 1: what lies outside counts as the nearer of them; maximize sees 1 − value
	hits               // right or wrong: 1 where the value is on the worse side of 0.5, else 0
)

func (v view) see(value float64) float64 {
	switch v.scale {
	case unit:
		return v.back(min(max(value, 0), 1))
	case hits:
		if v.goal.worse(value, 0.5) > 0 {
			return 1
		}
		return 0
	}
	return v.goal.sign() * bounded(value)
}

func bounded(x float64) float64 { return min(max(x, -extreme), extreme) }

// back is the value, or for hits the rate, that is seen as x. Adding 0 makes −0 plain.
func (v view) back(x float64) float64 {
	if v.scale != whole && v.goal == Maximize {
		return 1 - x
	}
	if v.scale != whole {
		return x
	}
	return v.goal.sign()*x + 0
}

// limit is the value seen as x, where there can be one.
func (v view) limit(x float64) float64 {
	if !finite(x) {
		return math.NaN()
	}
	return v.back(x)
}

// share is part/whole, where the whole may be 0 and the quotient too large.
func share(part, whole float64) float64 {
	if part <= 0 {
		return 0
	}
	return min(part/whole, math.MaxFloat64)
}

// counts reports whether a remembered number can be a count.
func counts(x float64) bool { return x >= 0 && x <= 1<<53 && x == math.Trunc(x) }

// modest reports whether a remembered level can be one of values within ±extreme; rounding may carry it past that.
func modest(x float64) bool { return math.Abs(x) <= 1.01*extreme }

// proper reports whether a remembered level can be one of values in 0 … 1.
func proper(x float64) bool { return x >= 0 && x <= 1+1e-9 }
