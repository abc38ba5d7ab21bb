package study

import (
	"slices"
	"testing"
)

func reached(trial int, n int64, value float64) Report {
	return Report{Trial: trial, State: Running, Step: step(n), Metrics: loss(value)}
}

// TestALateStepIsNotJudged: a trial that leads further on is not stopped by what it reported there in passing.
func TestALateStepIsNotJudged(t *testing.T) {
	t.Parallel()
	for _, options := range []tree{
		{"type": "asha", "options": tree{"min_resource": int64(4), "max_resource": int64(64)}},
		{"type": "patience", "options": tree{"patience": int64(2)}},
	} {
		s := newStudy(t, definition(tree{"strategy": "random", "parallelism": int64(2), "pruner": options}))
		s.Fill(start)
		for n := range int64(6) {
			s.Report(reached(0, n+1, 1-float64(n)/10), start)
		}
		s.Report(completed(0, 0.5), start)
		for _, r := range []Report{reached(1, 1, 0.5), reached(1, 5, 0.1), reached(1, 2, 0.9), reached(1, 4, 0.9)} {
			if _, reason := s.Report(r, start); reason != Applied || !s.Trial(1).Open() {
				t.Fatalf("%v: %s at step %d, %s", options, reason, *r.Step, s.Trial(1).Error)
			}
		}
		if got := s.Trial(1).PointSteps; !slices.Equal(got, []int64{1, 2, 4, 5}) {
			t.Errorf("%v: points %v", options, got)
		}
	}
}

// TestLongCurves: the best value and the newest are kept, so that what a pruner says does not change.
func TestLongCurves(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"strategy": "random", "pruner": tree{"type": "patience", "options": tree{"patience": int64(500)}}}))
	s.Fill(start)
	const best = 1001 // an odd place
	for n := int64(1); s.Trial(0).Open(); n++ {
		value := 10 - float64(n)/10_000
		if n >= best {
			value = 1
		}
		s.Report(reached(0, n, value), start)
		if points := len(s.Trial(0).PointSteps); points > maxPoints {
			t.Fatalf("%d points", points)
		}
		if n > 3*best {
			t.Fatal("never pruned")
		}
	}
	steps := s.Trial(0).PointSteps
	if last := steps[len(steps)-1]; last != best+500 || !slices.Contains(steps, best) {
		t.Errorf("pruned at %d, the best at %d: %v", last, best, slices.Contains(steps, best))
	}
}

// TestCurvesWithoutPruner are kept to be looked at, and short.
func TestCurvesWithoutPruner(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"strategy": "random"}))
	s.Fill(start)
	for n := range int64(5000) {
		value := 1.0
		if n == 1111 {
			value = 0.5
		}
		s.Report(reached(0, n, value), start)
	}
	trial := s.Trial(0)
	n := len(trial.PointSteps)
	if n > unprunedPoints || n < unprunedPoints/2 || trial.PointSteps[n-1] != 4999 || slices.Min(trial.PointValues) != 0.5 {
		t.Errorf("%v\n%v", trial.PointSteps, trial.PointValues)
	}
	for i, step := range trial.PointSteps[1:] {
		if gap := step - trial.PointSteps[i]; gap > 5000/(unprunedPoints/4)*3 {
			t.Errorf("a gap of %d steps before %d", gap, step)
		}
	}
}
