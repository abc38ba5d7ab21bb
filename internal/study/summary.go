package study

import (
	"maps"
	"slices"
	"time"

	"github.com/visutility/retune/internal/strategy"
)

const (
	maxSummaryTrials = 1_000
	maxSummaryBytes  = 512 << 10
	maxRecordTrials  = 100
	maxRecordBytes   = 256 << 10 // beside a definition of up to 512 KiB
)

// A Summary is the outcome of a study so far.
type Summary struct {
	Name       string
	Strategy   string
	Reason     string // empty: it runs
	Best       *Trial // nil: no trial is complete
	Counts     map[TrialState]int
	Trials     []Trial // by number, or the best first when they do not all fit
	StartedAt  time.Time
	FinishedAt time.Time // zero: it runs
	Duration   time.Duration

	Explanation string // what the strategy chose and why; "": nothing to choose
}

// Finished is what stays stored of a study that has ended.
type Finished struct {
	Definition  map[string]any     `msgpack:"definition" json:"definition"`
	Name        string             `msgpack:"name" json:"name"`
	Strategy    string             `msgpack:"strategy" json:"strategy"`
	Seed        uint64             `msgpack:"seed" json:"seed"`
	Sequence    uint64             `msgpack:"sequence" json:"sequence"` // of the input that started it
	Reason      string             `msgpack:"reason" json:"reason"`
	Error       string             `msgpack:"error,omitempty" json:"error,omitempty"`             // of the strategy
	Explanation string             `msgpack:"explanation,omitempty" json:"explanation,omitempty"` // what the strategy chose and why
	Counts      map[TrialState]int `msgpack:"counts" json:"counts"`
	Best        []Trial            `msgpack:"best,omitempty" json:"best,omitempty"` // complete trials, the best first
	StartedAt   time.Time          `msgpack:"started_at" json:"started_at"`
	FinishedAt  time.Time          `msgpack:"finished_at" json:"finished_at"`
}

// Summary holds all trials if they are at most 1,000 and 512 KiB, otherwise the
// best. Size gives the encoded size of a trial in bytes; nil: sizes don't matter.
func (s *Study) Summary(now time.Time, size func(Trial) int) Summary {
	end := s.state.EndedAt
	if !s.Ended() {
		end = later(now, s.state.Now)
	}
	all := s.Trials()
	trials := cut(all, maxSummaryTrials, maxSummaryBytes, size)
	if len(trials) < len(all) {
		trials = cut(s.ranked(all), maxSummaryTrials, maxSummaryBytes, size)
	}
	return Summary{
		Name: s.state.Name, Strategy: s.state.Strategy, Reason: s.state.Reason,
		Best: s.state.Best, Counts: maps.Clone(s.state.Counts), Trials: trials,
		StartedAt: s.state.StartedAt, FinishedAt: s.state.EndedAt, Duration: end.Sub(s.state.StartedAt),
		Explanation: s.state.Explanation,
	}
}

// Finished is the record of an ended study. Size as in Summary.
func (s *Study) Finished(size func(Trial) int) Finished {
	complete := slices.DeleteFunc(s.Trials(), func(t *Trial) bool { return t.State != Complete })
	best := cut(s.ranked(complete), maxRecordTrials, maxRecordBytes, size)
	for i := range best {
		best[i].PointSteps, best[i].PointValues = nil, nil
	}
	return Finished{
		Definition: s.state.Definition, Name: s.state.Name, Strategy: s.state.Strategy,
		Seed: s.state.Seed, Sequence: s.state.Sequence, Reason: s.state.Reason, Error: s.state.Error,
		Counts: maps.Clone(s.state.Counts), StartedAt: s.state.StartedAt, FinishedAt: s.state.EndedAt,
		Best: best, Explanation: s.state.Explanation,
	}
}

// Beats reports whether a best value is an improvement: strictly better than
// the baseline, or there is none to beat.
func Beats(goal strategy.Goal, best float64, baseline *float64) bool {
	return baseline == nil || goal.Better(best, *baseline)
}

// ranked sorts in place: complete trials from the best, then the others by number.
func (s *Study) ranked(trials []*Trial) []*Trial {
	slices.SortStableFunc(trials, func(a, b *Trial) int {
		switch {
		case a.State == Complete && (b.State != Complete || s.better(a, b)):
			return -1
		case b.State == Complete:
			return 1
		}
		return 0
	})
	return trials
}

// cut keeps the first trials that fit.
func cut(trials []*Trial, count, bytes int, size func(Trial) int) []Trial {
	var kept []Trial
	for _, trial := range trials {
		if size != nil {
			bytes -= size(*trial)
		}
		if len(kept) == count || bytes < 0 {
			break
		}
		kept = append(kept, *trial)
	}
	return kept
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
