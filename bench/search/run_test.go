package main

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/strategy"
)

var functions = sync.OnceValue(problem.Functions)

func function(t testing.TB, name string) *problem.Problem {
	t.Helper()
	for _, p := range functions() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no problem %s", name)
	return nil
}

// recorder proposes a few configs and notes in which order they are told.
type recorder struct {
	own            *ours
	limit          int
	asked, pending int
	most           int
	told           []int
}

func (o *recorder) ask() (map[string]any, time.Duration, error) {
	if o.asked == o.limit {
		return nil, 0, strategy.ErrExhausted
	}
	o.asked++
	o.pending++
	o.most = max(o.most, o.pending)
	return o.own.ask()
}

func (o *recorder) tell(trial int, value float64) error {
	o.pending--
	o.told = append(o.told, trial)
	return o.own.tell(trial, value)
}

func record(t testing.TB, r run, limit int) (*recorder, trace) {
	t.Helper()
	p := function(t, r.problem)
	own, err := newOurs(r.optimiser, p, r)
	if err != nil {
		t.Fatal(err)
	}
	o := &recorder{own: own, limit: limit}
	result, err := execute(r, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return o, result
}

func TestExecuteKeepsWorkersBusy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		parallel := rapid.IntRange(1, 9).Draw(rt, "parallel")
		budget := rapid.IntRange(1, 40).Draw(rt, "budget")
		limit := rapid.IntRange(1, 60).Draw(rt, "limit")
		r := run{"branin", "random", parallel, budget, rapid.IntRange(0, 100).Draw(rt, "seed")}
		o, result := record(t, r, limit)
		trials := min(budget, limit)
		if o.most != min(parallel, trials) {
			rt.Errorf("at most %d were pending", o.most)
		}
		told := slices.Sorted(slices.Values(o.told))
		if len(told) != trials || len(slices.Compact(told)) != trials || len(result.observed) != trials {
			rt.Errorf("%v were told", o.told)
		}
		if parallel == 1 && !slices.IsSorted(o.told) {
			rt.Errorf("one after the other came as %v", o.told)
		}
	})
}

// A long run's beginning is what a short run would have been.
func TestPrefixEqualsShortRun(t *testing.T) {
	t.Parallel()
	for _, parallel := range []int{1, 8} {
		p := function(t, "branin-noisy")
		_, long := record(t, run{p.Name, "random", parallel, 100, 4}, 1000)
		_, short := record(t, run{p.Name, "random", parallel, 30, 4}, 1000)
		if a, b := long.best(30, p.Goal), short.best(30, p.Goal); a != b {
			t.Errorf("%d in parallel: the best of 30 is %v in a run of 100 and %v in one of 30", parallel, a, b)
		}
	}
}

func TestParallelTrialsOvertake(t *testing.T) {
	t.Parallel()
	o, _ := record(t, run{"branin", "random", 8, 50, 0}, 1000)
	again, _ := record(t, run{"branin", "random", 8, 50, 0}, 1000)
	if slices.IsSorted(o.told) {
		t.Error("no trial overtook another")
	}
	if !slices.Equal(o.told, again.told) {
		t.Error("the same run went two ways")
	}
}

// The incumbent is the trial that looks best; its true value counts.
func TestBestOfNoisyTrials(t *testing.T) {
	t.Parallel()
	result := trace{observed: []float64{3, 1, 2}, actual: []float64{2.5, 2.2, 1}}
	if got := result.best(3, strategy.Minimize); got != 2.2 {
		t.Errorf("minimize: %v", got)
	}
	if got := result.best(3, strategy.Maximize); got != 2.5 {
		t.Errorf("maximize: %v", got)
	}
	if got := result.best(1, strategy.Minimize); got != 2.5 {
		t.Errorf("of one: %v", got)
	}
}

// What a strategy is told in the ninth request of a run.
func TestRequests(t *testing.T) {
	t.Parallel()
	p := function(t, "pipeline")
	r := run{p.Name, "random", 8, 100, 3}
	o, err := newOurs(r.optimiser, p, r)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if _, _, err := o.ask(); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.tell(5, 0.5); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.ask(); err != nil {
		t.Fatal(err)
	}
	q := o.request
	states := fmt.Sprint(q.History[4].State, q.History[5].State, q.History[8].Number, o.latest)
	if states != fmt.Sprint(strategy.Pending, strategy.Complete, 8, 5) || len(q.History) != 9 {
		t.Errorf("the history is %+v", q.History)
	}
	if q.MaxTrials != 100 || q.Parallelism != 8 || q.Goal != strategy.Maximize || q.Seed != p.Seed(3) {
		t.Errorf("the request is %+v", q)
	}
}

func TestOptionsOfStrategies(t *testing.T) {
	t.Parallel()
	name, options, err := splitOptions("tpe:candidates=48:liar=false")
	if err != nil || name != "tpe" || fmt.Sprint(options) != "map[candidates:48 liar:false]" {
		t.Errorf("%s with %v, %v", name, options, err)
	}
	if _, _, err := splitOptions("tpe:candidates"); err == nil {
		t.Error("an option without a value passes")
	}
}
