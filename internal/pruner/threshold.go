package pruner

import (
	"fmt"
	"math"
)

// threshold gives a trial up when the value it reports is below lower, above upper or NaN. The
// bounds are of the metric itself, whatever the goal.
type threshold struct {
	lower, upper float64 // infinite: none
	pace         pace
}

func newThreshold(o *options) Pruner {
	t := threshold{
		lower: o.number("lower", math.Inf(-1), -math.MaxFloat64, math.MaxFloat64),
		upper: o.number("upper", math.Inf(1), -math.MaxFloat64, math.MaxFloat64),
		pace:  newPace(o),
	}
	if o.values["upper"] == nil {
		o.require("lower", "give lower, upper or both, what an acceptable value is not below or above")
	}
	if t.lower > t.upper {
		o.fail("lower", o.values["lower"], fmt.Sprintf("at most upper, %v", t.upper), "exchange them")
	}
	return t
}

func (t threshold) Prune(r Request) (string, bool) {
	value, before, ok := r.current()
	if !ok || !t.pace.due(before, r.Step) {
		return "", false
	}
	switch {
	case math.IsNaN(value):
		return notANumber(r.Step), true
	case value < t.lower:
		return fmt.Sprintf("%.6g at step %d is below the bound %.6g", value, r.Step, t.lower), true
	case value > t.upper:
		return fmt.Sprintf("%.6g at step %d is above the bound %.6g", value, r.Step, t.upper), true
	}
	return "", false
}
