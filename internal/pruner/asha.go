package pruner

import (
	"fmt"
	"math"

	"github.com/visutility/retune/internal/strategy"
)

// asha is asynchronous successive halving (Li et al. 2020, A System for Massively Parallel
// Hyperparameter Tuning, MLSys, algorithm 2) without pausing: at the rungs, steps r·η^(s+k), a trial
// goes on if it is among the best 1/η of all that have got there so far, or the best of them while
// they are fewer than η; otherwise it stops. Nobody waits for a rung to fill.
//
// A trial is judged once per rung, at its first report at or past it, by the latest values the others
// had at that step. One that reports so rarely that a report passes several rungs is judged at the
// highest. Running, complete and pruned trials count where they got, failed and stopped ones never;
// NaN is left out. From the first rung on, NaN prunes. The best at its rung is never pruned.
type asha struct {
	resource int64 // r: the first rung, a step; auto: a tenth of the longest trial, rounded up
	longest  int64 // last step of a trial; auto: of the longest complete one, so that as many run in full as run at once
	factor   int64 // η: the share that goes on is 1/η
	rate     int64 // s: rungs left out at the start
}

// autoRungs is how many times the first rung goes into a trial. Optuna's hundred judges a training of
// 20 to 100 epochs after its first, when models that learn slowly but well look like those that do not
// learn. On the learning curves of bench/search, one trial at a time, ten takes 25 % of the epochs where
// a hundred takes 14 %, and leaves half of the regret.
const autoRungs = 10

func newAsha(o *options) Pruner {
	return asha{
		resource: o.resource("min_resource", auto),
		longest:  o.longest(),
		factor:   o.integer("reduction_factor", 4, 2),
		rate:     o.integer("min_early_stopping_rate", 0, 0),
	}
}

func (a asha) Prune(r Request) (string, bool) {
	return a.judge(r, func(int) bool { return true })
}

// judge compares the trial with the others whose number is among them.
func (a asha) judge(r Request, among func(number int) bool) (string, bool) {
	value, before, ok := r.current()
	first := a.firstRung(r.Others)
	if !ok || first == 0 || r.Step < first {
		return "", false
	}
	if math.IsNaN(value) {
		return notANumber(r.Step), true
	}
	rung := a.rung(first, r.Step)
	if before >= rung {
		return "", false
	}
	better, all := rank(r, loss(r.Goal, value), rung, among)
	places := max(all/a.factor, 1)
	if better < places {
		return "", false
	}
	return fmt.Sprintf("%.6g at step %d is only number %d of %d trials, the best %d go on",
		value, r.Step, better+1, all, places), true
}

// firstRung is r·η^s, 0 while it is unknown.
func (a asha) firstRung(others []Curve) int64 {
	first := a.resource
	if first == auto {
		longest := longestTrial(a.longest, others)
		first = longest/autoRungs + min(longest%autoRungs, 1)
	}
	for rate := a.rate; rate > 0 && first > 0; rate-- {
		if first > math.MaxInt64/a.factor {
			return math.MaxInt64
		}
		first *= a.factor
	}
	return first
}

// longestTrial is the last step of a trial if it is given, else that of the longest complete one, at
// least 1; 0 while it is unknown.
func longestTrial(given int64, others []Curve) int64 {
	if given != auto {
		return given
	}
	longest := int64(0)
	for i := range others {
		points := others[i].Points
		if others[i].State == strategy.Complete && len(points) > 0 {
			longest = max(longest, points[len(points)-1].Step, 1)
		}
	}
	return longest
}

// rung is the highest at or before step, which is at least first.
func (a asha) rung(first, step int64) int64 {
	for first <= step/a.factor {
		first *= a.factor
	}
	return first
}

// rank counts those that got to the rung, the trial with it, and how many of them are strictly better.
func rank(r Request, mine float64, rung int64, among func(number int) bool) (better, all int64) {
	all = 1
	for i := range r.Others {
		other := &r.Others[i]
		if other.State == strategy.Failed || !other.reached(rung) || !among(other.Number) {
			continue
		}
		value, ok := other.At(r.Step)
		if !ok || math.IsNaN(value) {
			continue
		}
		all++
		if loss(r.Goal, value) < mine {
			better++
		}
	}
	return better, all
}
