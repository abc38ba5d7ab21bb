package observer

// threshold fires while a value is worse than a fixed limit, and not when it equals it. It knows the metric's unit,
// as no other detector does, and nothing of the model: it remembers nothing. River has none.
//
// Options: limit, in the unit of the metric (any finite number, required).
type threshold struct {
	goal  Goal
	limit float64
}

func newThreshold(given *options, goal Goal) detector {
	return &threshold{goal: goal, limit: given.required("limit")}
}

func (d *threshold) fresh() []float64 { return nil }

func (d *threshold) fits(memory []float64) bool { return len(memory) == 0 }

func (d *threshold) update(memory []float64, value float64) ([]float64, verdict) {
	worse := d.goal.sign()*value > d.goal.sign()*d.limit
	return memory, verdict{degraded: worse, reference: d.limit, limit: d.limit}
}
