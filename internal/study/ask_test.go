package study

import (
	"testing"
)

// TestExhaustedAsks: numbers reserved for configs that there are not are free again, so that an enqueued
// config can still have one.
func TestExhaustedAsks(t *testing.T) {
	t.Parallel()
	s := newStudy(t, grid(tree{"parallelism": int64(8), "max_trials": int64(8)}))
	s.slow = true
	s.Fill(start)
	if got := s.State(); len(got.Asks) != 8 || got.Next != 8 {
		t.Fatalf("%d asks, next %d", len(got.Asks), got.Next)
	}
	for q, ok := s.Question(); ok; q, ok = s.Question() {
		s.Answer(q.Answer(), start)
	}
	if got := s.State(); len(got.Open) != 6 || got.Next != 6 || got.Proposed != 6 || !got.Exhausted {
		t.Fatalf("open %v, next %d, proposed %d, exhausted %v", got.Open, got.Next, got.Proposed, got.Exhausted)
	}
	if _, err := s.Enqueue(tree{"lr": 0.1, "kind": "a"}, start); err != nil {
		t.Fatal(err)
	}
	if trial := s.Trial(6); trial == nil || trial.Config["lr"] != 0.1 {
		t.Fatalf("trial 6 is %+v", trial)
	}
}

// TestOrderGoesOnAfterAnOlderVersion: a worker that knows no order writes the state without its count.
func TestOrderGoesOnAfterAnOlderVersion(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"parallelism": int64(2)}))
	s.Fill(start)
	s.Report(completed(0, 1), start)
	s.Report(completed(1, 2), start)
	state := s.State()
	state.Closed = 0
	r, err := Restore(state, []Trial{*s.Trial(0), *s.Trial(1), *s.Trial(2), *s.Trial(3)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Report(completed(2, 3), start)
	if got := r.Trial(2).Order; got != 3 {
		t.Fatalf("the third trial that ended has order %d", got)
	}
}
