package strategy

import "math"

// observation is a trial as a model learns from it: a smaller value is better, whatever the goal.
type observation struct {
	number int
	config map[string]any
	value  float64 // finite when Complete; when Pruned the last intermediate value or NaN; else NaN
	state  TrialState
	prior  bool // of an earlier study
}

// hugeValue bounds the values of observations, so that the squares of a million of them can be summed.
const hugeValue = 1e100

// observations returns what is known: the complete trials of earlier studies first, then the history in
// its order. A complete trial whose value is not finite counts as failed, in an earlier study as absent.
func (r Request) observations() []observation {
	all := make([]observation, 0, len(r.Prior)+len(r.History))
	for _, t := range r.Prior {
		if o := observe(t, r.Goal); o.state == Complete {
			o.prior = true
			all = append(all, o)
		}
	}
	for _, t := range r.History {
		all = append(all, observe(t, r.Goal))
	}
	return all
}

func observe(t Trial, goal Goal) observation {
	o := observation{number: t.Number, config: t.Config, value: math.NaN(), state: t.State}
	measured := t.State == Complete || t.State == Pruned
	if measured && !math.IsNaN(t.Value) && !math.IsInf(t.Value, 0) {
		o.value = min(max(t.Value, -hugeValue), hugeValue)
	}
	if goal == Maximize {
		o.value = -o.value
	}
	if t.State == Complete && math.IsNaN(o.value) {
		o.state = Failed
	}
	return o
}
