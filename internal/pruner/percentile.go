package pruner

import (
	"fmt"
	"math"
	"slices"

	"github.com/visutility/retune/internal/strategy"
)

// percentile gives a trial up when the best it has reported is outside the best so many percent of
// what the others had at the same step: the median stopping rule (Golovin et al. 2017, Google Vizier,
// KDD, section 3.5.2) with another quantile.
//
// Others count by their latest value at or before the step: complete ones always, running and pruned
// ones if they got that far, failed and stopped ones never; NaN is left out. From n_warmup_steps on
// NaN prunes, whatever the others did. A trial that leads at its step is never pruned.
type percentile struct {
	percent float64 // 0 to 100: the share kept; 25 keeps the best quarter
	name    string  // for the reason
	startup int64   // complete trials before any is pruned
	pace    pace
	least   int64 // values of others at a step below which it is not judged, at least 1
}

func newPercentile(o *options) Pruner {
	percent := o.number("percentile", 50, 0, 100)
	o.require("percentile", "give the share of trials to keep, 25 keeps the best quarter")
	return newQuantile(o, percent, fmt.Sprintf("%g %% percentile", percent))
}

func newQuantile(o *options, percent float64, name string) Pruner {
	return percentile{
		percent: percent, name: name,
		startup: o.integer("n_startup_trials", 5, 0),
		pace:    newPace(o),
		least:   o.integer("n_min_trials", 1, 1),
	}
}

func (p percentile) Prune(r Request) (string, bool) {
	value, before, ok := r.current()
	if !ok || r.Step < p.pace.warmup {
		return "", false
	}
	if math.IsNaN(value) {
		return notANumber(r.Step), true
	}
	if !p.pace.due(before, r.Step) || !p.started(r.Others) {
		return "", false
	}
	losses := lossesAt(r)
	if int64(len(losses)) < p.least {
		return "", false
	}
	best, bar := bestLoss(r), quantile(losses, p.percent/100)
	if best <= bar {
		return "", false
	}
	return fmt.Sprintf("the best value up to step %d, %.6g, is worse than %.6g, the %s of %d trials there",
		r.Step, unloss(r.Goal, best), unloss(r.Goal, bar), p.name, len(losses)), true
}

// started reports whether enough trials are complete.
func (p percentile) started(others []Curve) bool {
	complete := int64(0)
	for i := range others {
		if others[i].State == strategy.Complete {
			complete++
		}
	}
	return complete >= p.startup
}

// lossesAt are those of the others at the step.
func lossesAt(r Request) []float64 {
	losses := make([]float64, 0, len(r.Others))
	for i := range r.Others {
		other := &r.Others[i]
		if other.State == strategy.Failed || other.State != strategy.Complete && !other.reached(r.Step) {
			continue
		}
		if value, ok := other.At(r.Step); ok && !math.IsNaN(value) {
			losses = append(losses, loss(r.Goal, value))
		}
	}
	return losses
}

// bestLoss of the trial up to the step; the value there is not NaN.
func bestLoss(r Request) float64 {
	best := math.Inf(1)
	for _, point := range r.Trial.Points[:r.Trial.upTo(r.Step)] {
		if x := loss(r.Goal, point.Value); x < best {
			best = x
		}
	}
	return best
}

// quantile interpolates between order statistics (Hyndman & Fan 1996, type 7) and reorders its
// argument, which has at least one value and none that is NaN or -Inf. It is never below the minimum,
// rounding or not, so that a tie with the best is none that loses.
func quantile(losses []float64, q float64) float64 {
	position := q * float64(len(losses)-1)
	k := int(position)
	low := selectAt(losses, k)
	if t := position - float64(k); t > 0 {
		high := slices.Min(losses[k+1:])
		return min(max(low*(1-t)+high*t, low), high)
	}
	return low
}

// selectAt moves the k-th smallest value to its place, what is less before it and what is more behind
// (Hoare 1961, Quickselect); the pivot is the middle one, so sorted values cost no more than others.
func selectAt(values []float64, k int) float64 {
	low, high := 0, len(values)-1
	for low < high {
		pivot := values[int(uint(low+high)>>1)]
		i, j := low, high
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			high = j
		case k >= i:
			low = i
		default:
			return values[k]
		}
	}
	return values[k]
}
