// Package pruner decides, from the learning curves of a study, whether a trial is worth going on with.
package pruner

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/visutility/retune/internal/strategy"
)

// Point is one intermediate value of the objective. It may be NaN or infinite.
type Point struct {
	Step  int64
	Value float64
}

// Curve is what a trial has reported so far.
type Curve struct {
	Number int
	State  strategy.TrialState
	Points []Point // ascending by step
}

// At is the latest value at or before step; false if there is none.
func (c Curve) At(step int64) (float64, bool) {
	n := c.upTo(step)
	if n == 0 {
		return 0, false
	}
	return c.Points[n-1].Value, true
}

// upTo counts the points at or before step.
func (c Curve) upTo(step int64) int {
	n := len(c.Points)
	if n == 0 || c.Points[n-1].Step <= step {
		return n
	}
	return sort.Search(n, func(i int) bool { return c.Points[i].Step > step })
}

// reached reports whether the trial got as far as step.
func (c Curve) reached(step int64) bool {
	return len(c.Points) > 0 && c.Points[len(c.Points)-1].Step >= step
}

// Request is what a pruner may know when it decides about a trial.
type Request struct {
	Goal   strategy.Goal
	Seed   uint64 // of the study
	Trial  Curve
	Step   int64   // just reported, in Trial.Points
	Others []Curve // all other trials by number, whatever their state
}

// current is the value just reported and the step reported before it, the lowest there is when it is
// the first. Pruners judge no step below 0.
func (r Request) current() (value float64, before int64, ok bool) {
	value, ok = r.Trial.At(r.Step)
	before = math.MinInt64
	if n := r.Trial.upTo(r.Step - 1); n > 0 {
		before = r.Trial.Points[n-1].Step
	}
	return value, before, ok
}

// Pruner is a rule for giving trials up early. It is asked once after each report of an intermediate
// value. Prune is pure: it depends on its Request alone, changes nothing in it and may be called
// concurrently. The reason is a sentence for the record of the trial.
type Pruner interface {
	Prune(Request) (reason string, prune bool)
}

// registry holds how each pruner is built. The conformance tests run against every entry.
var registry = map[string]func(*options) Pruner{
	"asha":       newAsha,
	"hyperband":  newHyperband,
	"median":     newMedian,
	"none":       func(*options) Pruner { return nil },
	"patience":   newPatience,
	"percentile": newPercentile,
	"threshold":  newThreshold,
}

// New builds the pruner of that kind, nil for none. An error names the unknown kind, the unknown
// option or the wrong value, and what to give.
func New(kind string, values map[string]any) (Pruner, error) {
	build, ok := registry[kind]
	if !ok {
		return nil, fmt.Errorf("pruner.type: %s is not a pruner: give one of %s", show(kind), strings.Join(Kinds(), ", "))
	}
	o := &options{values: values}
	p := build(o)
	if err := o.finish(); err != nil {
		return nil, err
	}
	return p, nil
}

// Kinds are the names that New knows, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(registry)) }

// loss turns a value so that less is better whatever the goal. An infinite value is the worst there
// is, whichever its sign: a metric that overflows is no achievement.
func loss(goal strategy.Goal, value float64) float64 {
	switch {
	case math.IsInf(value, 0):
		return math.Inf(1)
	case goal == strategy.Maximize:
		return -value
	}
	return value
}

// unloss is the value of a loss; only an infinite one may have lost its sign.
func unloss(goal strategy.Goal, loss float64) float64 {
	if goal == strategy.Maximize {
		return -loss
	}
	return loss
}
