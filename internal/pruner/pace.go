package pruner

import "fmt"

// pace says at which steps a trial is judged.
type pace struct {
	warmup   int64 // the first step at which it may be pruned
	interval int64 // steps from one judgement to the next, counted from warmup
}

func newPace(o *options) pace {
	return pace{o.integer("n_warmup_steps", 0, 0), o.integer("interval_steps", 1, 1)}
}

// due reports whether step is the first reported in its interval. Trials that report rarely are so
// judged at the next report, not missed.
func (p pace) due(before, step int64) bool {
	if step < p.warmup {
		return false
	}
	return before < step-(step-p.warmup)%p.interval
}

func notANumber(step int64) string {
	return fmt.Sprintf("the value at step %d is not a number", step)
}
