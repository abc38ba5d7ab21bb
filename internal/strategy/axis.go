package strategy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// axis is the set of values of one parameter.
type axis interface {
	accept(v any) (any, bool) // v in the axis' own type, if v is in the set
	sample(r *rand.Rand) any
	nearest(v any) any // the value of the set closest to a number; what is no number stays
	describe() string  // the remedy in errors: "give …"
}

// discrete is an axis that can be enumerated. size is at least 1 and saturates at MaxUint64.
type discrete interface {
	axis
	size() uint64
	at(k uint64) any // 0 ≤ k < size
	index(v any) (uint64, bool)
}

// acceptDiscrete and sampleDiscrete serve every axis that can be enumerated.
func acceptDiscrete(d discrete, v any) (any, bool) {
	k, ok := d.index(v)
	if !ok {
		return nil, false
	}
	return d.at(k), true
}

func sampleDiscrete(d discrete, r *rand.Rand) any { return d.at(r.Uint64N(d.size())) }

// interval is a continuous range of floats, bounds included.
type interval struct {
	low, high float64
	log       bool
}

func (a interval) accept(v any) (any, bool) {
	f, ok := number(v)
	return f, ok && f >= a.low && f <= a.high
}

func (a interval) sample(r *rand.Rand) any {
	if a.log {
		return a.clamp(math.Exp(uniform(r, math.Log(a.low), math.Log(a.high))))
	}
	return a.clamp(uniform(r, a.low, a.high))
}

func (a interval) nearest(v any) any {
	if f, ok := number(v); ok {
		return a.clamp(f)
	}
	return v
}

// clamp also maps NaN to low, so that a diverged live config comes back into the space.
func (a interval) clamp(f float64) float64 {
	if !(f >= a.low) {
		return a.low
	}
	return min(f, a.high)
}

func (a interval) describe() string {
	return "give a number from " + show(a.low) + " to " + show(a.high)
}

func uniform(r *rand.Rand, low, high float64) float64 { return low + r.Float64()*(high-low) }

// stepped holds the floats low, low+step, … up to high.
type stepped struct {
	interval
	step  float64
	count uint64
}

// A range of 0.3 holds three steps of 0.1 although 0.3/0.1 < 3 in floating point.
const stepTolerance = 1e-9

func newStepped(low, high, step float64) stepped {
	steps := (high - low) / step
	rounding := min(4e-16*steps, 1e-3) // of the quotient itself
	count := uint64(math.Floor(steps+max(rounding, stepTolerance))) + 1
	return stepped{interval{low: low, high: high}, step, count}
}

func (a stepped) size() uint64 { return a.count }

// at rounds to 12 significant digits, so that 0.1*3 prints 0.3, unless the step is too fine for that.
func (a stepped) at(k uint64) any {
	exact := a.low + float64(k)*a.step
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(exact, 'g', 12, 64), 64)
	if k == 0 || math.Abs(rounded-exact) > 1e-6*a.step {
		rounded = exact
	}
	return a.clamp(rounded)
}

func (a stepped) index(v any) (uint64, bool) {
	f, ok := finiteNumber(v)
	if !ok {
		return 0, false
	}
	k := a.closest(f)
	return k, math.Abs(a.at(k).(float64)-f) <= stepTolerance*a.step
}

func (a stepped) closest(f float64) uint64 {
	k := math.Round((a.clamp(f) - a.low) / a.step)
	return min(uint64(k), a.count-1)
}

func (a stepped) accept(v any) (any, bool) { return acceptDiscrete(a, v) }
func (a stepped) sample(r *rand.Rand) any  { return sampleDiscrete(a, r) }

func (a stepped) nearest(v any) any {
	if f, ok := number(v); ok {
		return a.at(a.closest(f))
	}
	return v
}

func (a stepped) describe() string {
	return a.interval.describe() + " in steps of " + show(a.step)
}

// integers holds low, low+step, … up to high. Offsets from low are uint64: high-low may not fit int64.
type integers struct {
	low, high, step int64
	log             bool
}

func (a integers) last() uint64 { return (uint64(a.high) - uint64(a.low)) / uint64(a.step) }
func (a integers) size() uint64 { return add(a.last(), 1) }

func (a integers) at(k uint64) any { return int64(uint64(a.low) + k*uint64(a.step)) }

func (a integers) index(v any) (uint64, bool) {
	i, ok := integer(v)
	if !ok || i < a.low || i > a.high {
		return 0, false
	}
	offset := uint64(i) - uint64(a.low)
	return offset / uint64(a.step), offset%uint64(a.step) == 0
}

func (a integers) accept(v any) (any, bool) { return acceptDiscrete(a, v) }

// sample gives each integer of a logarithmic axis the width of its rounding interval, as Optuna does.
func (a integers) sample(r *rand.Rand) any {
	if !a.log {
		return sampleDiscrete(a, r)
	}
	low, high := math.Log(float64(a.low)-0.5), math.Log(float64(a.high)+0.5)
	return a.nearest(math.Exp(uniform(r, low, high)))
}

func (a integers) nearest(v any) any {
	f, ok := number(v)
	if !ok {
		return v
	}
	i, whole := integer(v)
	switch {
	case whole:
		i = min(max(i, a.low), a.high)
	case !(f > float64(a.low)):
		i = a.low
	case f >= float64(a.high):
		i = a.high
	default:
		i = int64(math.Round(f))
	}
	return a.at(a.closest(i))
}

func (a integers) closest(i int64) uint64 {
	offset, step := uint64(i)-uint64(a.low), uint64(a.step)
	k := offset / step
	if 2*(offset%step) >= step && k < a.last() {
		k++
	}
	return k
}

func (a integers) describe() string {
	text := "give an integer from " + show(a.low) + " to " + show(a.high)
	if a.step > 1 {
		text += " in steps of " + show(a.step)
	}
	return text
}

// list holds the choices of a categorical parameter or an ordered list of values.
type list struct {
	choices []any
	indexes map[any]uint64 // by identity
}

func (a list) size() uint64    { return uint64(len(a.choices)) }
func (a list) at(k uint64) any { return a.choices[k] }

func (a list) index(v any) (uint64, bool) {
	k, ok := a.indexes[identity(v)]
	return k, ok
}

func (a list) accept(v any) (any, bool) { return acceptDiscrete(a, v) }
func (a list) sample(r *rand.Rand) any  { return sampleDiscrete(a, r) }

func (a list) nearest(v any) any {
	if exact, ok := a.accept(v); ok {
		return exact
	}
	f, ok := number(v)
	if !ok {
		return v
	}
	best, distance := v, math.NaN()
	for _, choice := range a.choices {
		c, ok := number(choice)
		if d := math.Abs(c - f); ok && !(d >= distance) {
			best, distance = choice, d
		}
	}
	return best
}

const shownChoices = 10

func (a list) describe() string {
	shown := make([]string, 0, shownChoices)
	for _, choice := range a.choices[:min(len(a.choices), shownChoices)] {
		shown = append(shown, show(choice))
	}
	text := "give one of " + strings.Join(shown, ", ")
	if more := len(a.choices) - shownChoices; more > 0 {
		text += fmt.Sprintf(" or %d others", more)
	}
	return text
}
