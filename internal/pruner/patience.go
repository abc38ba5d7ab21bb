package pruner

import (
	"fmt"
	"math"
)

// patience gives a trial up when so many reports in a row have not improved on its best value by more
// than min_delta: early stopping (Prechelt 1998, Early Stopping – But When?, criterion UP with strips
// of one report). It compares a trial with itself alone. NaN and infinite values improve nothing.
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
	best, waited := math.Inf(1), int64(0)
	for _, point := range r.Trial.Points[:r.Trial.upTo(r.Step)] {
		waited++
		if x := loss(r.Goal, point.Value); x < best-p.minDelta {
			best, waited = x, 0
		}
	}
	if waited < p.reports {
		return "", false
	}
	return fmt.Sprintf("no improvement by more than %.6g within %d reports up to step %d", p.minDelta, waited, r.Step), true
}
