package pruner

import (
	"math"
	"slices"
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

// TestRungs: with r = 2 and η = 3 the rungs are 2, 6, 18, …; the worst of three is stopped at them and
// nowhere else.
func TestRungs(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", map[string]any{"min_resource": 2, "reduction_factor": 3})
	good := make([]float64, 20)
	bad := make([]float64, 20)
	for i := range bad {
		bad[i] = 1
	}
	var judged []int
	for step := 1; step <= 20; step++ {
		r := request(strategy.Minimize, curve(2, 0, bad[:step]...), curve(0, strategy.Pending, good...), curve(1, strategy.Pending, good...))
		if _, prune := p.Prune(r); prune {
			judged = append(judged, step)
		}
	}
	if !slices.Equal(judged, []int{2, 6, 18}) {
		t.Errorf("stopped at %v, want 2, 6, 18", judged)
	}
}

// TestPlaces: of n at a rung the best n/3 go on, rounded down, but at least one; equals share a place.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", map[string]any{"min_resource": 1, "reduction_factor": 3})
	for _, c := range []struct {
		value  float64
		others []Curve
		want   bool
	}{
		{9, nil, false},
		{1, complete(1), false},
		{2, complete(1), true},
		{2, complete(1, 3, 3, 3), true},        // second of five: one place
		{2, complete(1, 3, 3, 3, 3), false},    // second of six: two places
		{2, complete(1, 1.5, 3, 3, 3), true},   // third of six
		{2, complete(1, 2, 2, 3, 3, 3), false}, // shares the second place of seven with two others
		{2, complete(nan, nan, nan, nan, 1), true},
		{2, complete(inf, inf, -inf, -inf, 1), false}, // infinite ones count, as the worst
	} {
		decide(t, p, request(strategy.Minimize, curve(9, 0, c.value), c.others...), c.want)
	}
	others := complete(5, 4, 3, 2, 1)
	decide(t, p, request(strategy.Maximize, curve(9, 0, 4.5), others...), false)
	reason := decide(t, p, request(strategy.Maximize, curve(9, 0, 3.5), others...), true)
	if want := "3.5 at step 1 is only number 3 of 6 trials, the best 2 go on"; reason != want {
		t.Errorf("%q, want %q", reason, want)
	}
}

// TestAshaWhoCounts: whoever got to the rung, pruned and running ones too, by the value at that step.
func TestAshaWhoCounts(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", map[string]any{"min_resource": 2, "reduction_factor": 2})
	trial := curve(9, 0, 5, 5)
	for _, state := range []strategy.TrialState{strategy.Pending, strategy.Pruned, strategy.Complete} {
		decide(t, p, request(strategy.Minimize, trial, curve(0, state, 9, 4)), true)
		decide(t, p, request(strategy.Minimize, trial, curve(0, state, 4)), false)
		decide(t, p, request(strategy.Minimize, trial, curve(0, state, 9, 6, 4)), false)
	}
	decide(t, p, request(strategy.Minimize, trial, curve(0, strategy.Failed, 4, 4)), false)
}

// TestSparseSteps: with rungs 1, 4, 16, 64 a trial that reports at 10, 20, … is judged at 10, for rung 4
// alone, and at 20, for rung 16; the values of others count up to these steps.
func TestSparseSteps(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", map[string]any{"min_resource": 1})
	dense := func(value float64, steps int) Curve {
		values := make([]float64, steps)
		for i := range values {
			values[i] = value
		}
		return curve(0, strategy.Pruned, values...)
	}
	decide(t, p, request(strategy.Minimize, sparse(1, 0, 10, 5), dense(1, 1)), false) // stopped at rung 1: not judged there
	decide(t, p, request(strategy.Minimize, sparse(1, 0, 10, 5), dense(1, 4)), true)
	decide(t, p, request(strategy.Minimize, sparse(1, 0, 10, 5, 5), dense(1, 15)), false)
	decide(t, p, request(strategy.Minimize, sparse(1, 0, 10, 5, 5), dense(1, 16)), true)
	decide(t, p, request(strategy.Minimize, sparse(1, 0, 10, 5, 5, 5), dense(1, 30)), false)
	decide(t, p, request(strategy.Minimize, curve(1, 0, 5, 5, 5, 5), sparse(0, strategy.Complete, 10, 1, 1)), false) // it had none at step 4
	overtaken := dense(1, 20)
	for i := 16; i < 20; i++ {
		overtaken.Points[i].Value = 9
	}
	decide(t, p, request(strategy.Minimize, sparse(1, 0, 10, 5, 5), overtaken), false) // the better one by the value at 20, not at 16
	decide(t, p, request(strategy.Minimize, dense(5, 16), sparse(1, strategy.Complete, 10, 1, 9)), true)
}

// TestAutoResource: nothing is judged before a trial is complete or its length known; then the first
// rung is a tenth of it.
func TestAutoResource(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", nil)
	long := curve(0, strategy.Pending, make([]float64, 25)...)
	decide(t, p, request(strategy.Minimize, curve(1, 0, 1, 1, 1), long), false)
	long.State = strategy.Complete
	decide(t, p, request(strategy.Minimize, curve(1, 0, 1, 1), long), false)
	decide(t, p, request(strategy.Minimize, curve(1, 0, 1, 1, 1), long), true)
	decide(t, p, request(strategy.Minimize, curve(1, 0, 1), curve(0, strategy.Complete, 0, 0)), true)

	given := build(t, "asha", map[string]any{"max_resource": 20})
	decide(t, given, request(strategy.Minimize, curve(1, 0, 1), curve(0, strategy.Pending, 0, 0)), false)
	decide(t, given, request(strategy.Minimize, curve(1, 0, 1, 1), curve(0, strategy.Pending, 0, 0)), true)

	fromZero := Curve{State: strategy.Complete, Points: []Point{{0, 0}}}
	if got := p.(asha).firstRung([]Curve{fromZero}); got != 1 {
		t.Errorf("first rung %d after a trial of step 0 alone, want 1", got)
	}
	huge := Curve{State: strategy.Complete, Points: []Point{{math.MaxInt64, 0}}}
	if got := p.(asha).firstRung([]Curve{huge}); got != math.MaxInt64/10+1 {
		t.Errorf("first rung %d of the longest trial there can be", got)
	}
}

// TestEarlyStoppingRate: s = 2 starts two rungs later, at r·η².
func TestEarlyStoppingRate(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", map[string]any{"min_resource": 1, "reduction_factor": 3, "min_early_stopping_rate": 2})
	good := curve(0, strategy.Pending, make([]float64, 9)...)
	decide(t, p, request(strategy.Minimize, curve(1, 0, 1, 1, 1), good), false)
	decide(t, p, request(strategy.Minimize, curve(1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1), good), true)
	unknown := build(t, "asha", map[string]any{"min_early_stopping_rate": int64(1) << 62})
	decide(t, unknown, request(strategy.Minimize, curve(1, 0, 1), good), false)
	far := build(t, "asha", map[string]any{"min_resource": int64(1) << 40, "reduction_factor": 3, "min_early_stopping_rate": int64(1) << 62})
	decide(t, far, request(strategy.Minimize, sparse(1, 0, 1<<62, 1), sparse(0, strategy.Complete, 1<<62, 0)), false)
}

// TestAshaNotANumber: NaN prunes at any report from the first rung on, not before.
func TestAshaNotANumber(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", map[string]any{"min_resource": 2})
	decide(t, p, request(strategy.Minimize, curve(0, 0, nan)), false)
	decide(t, p, request(strategy.Minimize, curve(0, 0, 1, nan)), true)
	decide(t, p, request(strategy.Minimize, curve(0, 0, 1, 1, nan)), true)
}

// TestAsynchronous replays four trials that run at once with r = 1, η = 2: at each step who comes first
// goes on, whoever comes later has to be among the best half of those there so far.
func TestAsynchronous(t *testing.T) {
	t.Parallel()
	p := build(t, "asha", map[string]any{"min_resource": 1, "reduction_factor": 2})
	all := []Curve{{Number: 0}, {Number: 1}, {Number: 2}, {Number: 3}}
	for i, event := range []struct {
		trial int
		value float64
		want  bool
	}{
		{0, 4, false},   // alone at rung 1
		{1, 3, false},   // the best of two
		{2, 5, true},    // third of three, one place
		{3, 3.5, false}, // second of four, two places
		{0, 2, false},   // alone at rung 2, although two have overtaken it at rung 1
		{3, 2.5, true},  // second of two, one place
		{1, 1, false},
		{1, 1, false}, // step 3 is no rung
		{0, 1, false}, // nor here
		{0, 1, false}, // alone at rung 4
		{1, 2, true},
	} {
		trial := &all[event.trial]
		trial.Points = append(trial.Points, Point{int64(len(trial.Points) + 1), event.value})
		others := slices.Concat(all[:event.trial], all[event.trial+1:])
		reason, prune := p.Prune(request(strategy.Minimize, *trial, others...))
		if prune != event.want {
			t.Errorf("event %d: pruned %v %q, want %v", i, prune, reason, event.want)
		}
		if prune {
			trial.State = strategy.Pruned
		}
	}
}
