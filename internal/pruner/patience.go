package pruner

import (
	"fmt"
	"math"
)

// patience gives a trial up when the best of its newest reports is not better by more than min_delta than
// the best before them: early stopping (Prechelt 1998, Early Stopping – But When?). It compares a trial
// with itself alone. NaN and infinite values improve nothing.
type patience struct {
	reports  int64
	minDelta float64
}

// MaxPatience is how many of a trial's newest points a pruner sees at least.
const MaxPatience = 500

func newPatience(o *options) Pruner {
	p := patience{o.integer("patience", 1, 1), o.number("min_delta", 0, 0, math.MaxFloat64)}
	if p.reports > MaxPatience {
		o.fail("patience", p.reports, fmt.Sprintf("at most %d", MaxPatience), "report less often, or wait for fewer reports")
	}
	o.require("patience", "give the number of reports within which a trial has to improve")
	return p
}

func (p patience) Prune(r Request) (string, bool) {
	points := r.Trial.Points[:r.Trial.upTo(r.Step)]
	newest := len(points) - int(p.reports)
	if newest < 0 || p.least(r, points[newest:]) < p.least(r, points[:newest])-p.minDelta {
		return "", false
	}
	return fmt.Sprintf("no improvement by more than %.6g within %d reports up to step %d", p.minDelta, p.reports, r.Step), true
}

func (patience) least(r Request, points []Point) float64 {
	least := math.Inf(1)
	for _, point := range points {
		if x := loss(r.Goal, point.Value); x < least {
			least = x
		}
	}
	return least
}
