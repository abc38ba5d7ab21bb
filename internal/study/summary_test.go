package study

import (
	"testing"
	"time"

	"github.com/visutility/retune/internal/strategy"
)

// ran is a study with n trials; every third fails, the values repeat.
func ran(t *testing.T, n int) *Study {
	s := newStudy(t, definition(tree{"max_trials": int64(n)}))
	s.Fill(start)
	for i := range n {
		if i%3 == 2 {
			s.Report(failed(i), at(time.Minute))
		} else {
			s.Report(completed(i, float64((i*7)%50)), at(time.Minute))
		}
	}
	return s
}

func TestSummaryOfAll(t *testing.T) {
	t.Parallel()
	s := ran(t, 1_000)
	got := s.Summary(at(time.Hour), func(Trial) int { return 500 })
	if len(got.Trials) != 1_000 || got.Trials[2].Number != 2 || got.Reason != EndMaxTrials || got.Best.Number != 0 ||
		got.Counts[Failed] != 333 || got.Duration != time.Minute || !got.FinishedAt.Equal(at(time.Minute)) {
		t.Fatalf("summary of %d trials: reason %s, best %+v, counts %v, duration %v",
			len(got.Trials), got.Reason, got.Best, got.Counts, got.Duration)
	}
}

func TestSummaryOfTheBest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trials int
		size   func(Trial) int
		want   int
	}{
		"too many":  {2_000, nil, 1_000},
		"too large": {300, func(Trial) int { return 64 << 10 }, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ran(t, c.trials).Summary(at(time.Hour), c.size).Trials
			if len(got) != c.want {
				t.Fatalf("%d trials", len(got))
			}
			for i := 1; i < len(got); i++ {
				a, b := got[i-1], got[i]
				if *a.Value > *b.Value || *a.Value == *b.Value && a.Number > b.Number {
					t.Fatalf("trial %d with %v before %d with %v", a.Number, *a.Value, b.Number, *b.Value)
				}
			}
		})
	}
}

func TestSummaryWhileRunning(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(nil))
	s.Fill(start)
	got := s.Summary(at(time.Hour), nil)
	if got.Reason != "" || got.Best != nil || len(got.Trials) != 1 || got.Duration != time.Hour || !got.FinishedAt.IsZero() {
		t.Fatalf("summary %+v", got)
	}
}

func TestFinishedRecord(t *testing.T) {
	t.Parallel()
	s := ran(t, 400)
	got := recoded(t, s.Finished(nil))
	if len(got.Best) != 100 || got.Best[0].Number != 0 || got.Reason != EndMaxTrials || got.Counts[Complete] != 267 ||
		got.Sequence != 7 || !s.Definition().Same(got.Definition) {
		t.Fatalf("record %+v", got)
	}
	if few := ran(t, 5).Finished(nil); len(few.Best) != 4 {
		t.Fatalf("%d best of 4 complete trials", len(few.Best))
	}
	if large := s.Finished(func(Trial) int { return 100 << 10 }); len(large.Best) != 2 {
		t.Fatalf("%d large trials", len(large.Best))
	}
}

func TestBeats(t *testing.T) {
	t.Parallel()
	one := 1.0
	for _, c := range []struct {
		goal     strategy.Goal
		best     float64
		baseline *float64
		want     bool
	}{
		{strategy.Minimize, 5, nil, true},
		{strategy.Minimize, 0.5, &one, true},
		{strategy.Minimize, 1, &one, false},
		{strategy.Maximize, 0.5, &one, false},
		{strategy.Maximize, 1.5, &one, true},
	} {
		if Beats(c.goal, c.best, c.baseline) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
