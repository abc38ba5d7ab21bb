package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/visutility/retune/internal/pruner"
	"github.com/visutility/retune/internal/strategy"
)

// pruningRun is one study over a set, the same for every pruner.
type pruningRun struct {
	Seed     int       `json:"seed"`
	Parallel int       `json:"parallel"`
	Order    []int     `json:"order"` // the curve of each trial
	Pace     []float64 `json:"pace"`  // simulated time of one step of each trial
}

func newPruningRun(s *curveSet, parallel, seed int) pruningRun {
	r := rand.New(rand.NewPCG(uint64(seed), uint64(len(s.Curves))))
	run := pruningRun{Seed: seed, Parallel: parallel, Order: r.Perm(len(s.Curves))}
	for range run.Order {
		run.Pace = append(run.Pace, 0.5+r.Float64())
	}
	return run
}

// pruningResult is what came of one study.
type pruningResult struct {
	set            *curveSet
	pruner         string
	parallel, seed int

	Used    int      // steps trained
	Best    *float64 // final value of the best complete trial; nil: there is none
	Seconds float64  // mean time of a decision
}

// studyReplay replays the curves of a set under a pruner: workers take the next trial when they are
// free, and each step of a trial takes its pace.
type studyReplay struct {
	set    *curveSet
	run    pruningRun
	pruner pruner.Pruner // nil: none
	curves []pruner.Curve
	due    []float64 // simulated time of the next report of a trial, +Inf when it has ended
	result pruningResult
	spent  time.Duration
}

func replayStudy(s *curveSet, run pruningRun, p pruner.Pruner) pruningResult {
	r := &studyReplay{set: s, run: run, pruner: p}
	for range min(run.Parallel, len(run.Order)) {
		r.start(0)
	}
	for {
		number, now := r.next()
		if number < 0 {
			r.result.Seconds = r.spent.Seconds() / float64(max(r.result.Used, 1))
			return r.result
		}
		if r.report(number); r.curves[number].State == strategy.Pending {
			r.due[number] = now + run.Pace[number]
			continue
		}
		r.due[number] = math.Inf(1)
		r.start(now)
	}
}

// start begins the next trial if there is one left.
func (r *studyReplay) start(now float64) {
	if number := len(r.curves); number < len(r.run.Order) {
		r.curves = append(r.curves, pruner.Curve{Number: number, Points: make([]pruner.Point, 0, len(r.set.Steps))})
		r.due = append(r.due, now+r.run.Pace[number])
	}
}

// next is the trial that reports next, -1 when all have ended.
func (r *studyReplay) next() (number int, now float64) {
	number, now = -1, math.Inf(1)
	for i, due := range r.due {
		if due < now {
			number, now = i, due
		}
	}
	return number, now
}

// report takes the next point of a trial and what the pruner makes of it.
func (r *studyReplay) report(number int) {
	trial := &r.curves[number]
	curve := r.set.Curves[r.run.Order[number]]
	at := len(trial.Points)
	trial.Points = append(trial.Points, pruner.Point{Step: r.set.Steps[at], Value: curve[at]})
	r.result.Used++
	switch {
	case r.prune(number):
		trial.State = strategy.Pruned
	case at+1 < len(curve):
	case math.IsNaN(curve[at]):
		trial.State = strategy.Failed
	default:
		trial.State = strategy.Complete
		if r.result.Best == nil || r.set.goal().Better(curve[at], *r.result.Best) {
			r.result.Best = &curve[at]
		}
	}
}

func (r *studyReplay) prune(number int) bool {
	if r.pruner == nil {
		return false
	}
	trial := r.curves[number]
	request := pruner.Request{
		Goal: r.set.goal(), Seed: uint64(r.run.Seed), Trial: trial, Step: trial.Points[len(trial.Points)-1].Step,
		Others: slices.Concat(r.curves[:number], r.curves[number+1:]),
	}
	start := time.Now()
	_, prune := r.pruner.Prune(request)
	r.spent += time.Since(start)
	return prune
}
