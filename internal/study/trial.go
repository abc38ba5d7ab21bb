package study

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/visutility/retune/internal/strategy"
)

// A TrialState is where a trial stands. Waiting and running trials are open;
// the others have ended and never change again.
type TrialState string

// The states of a trial.
const (
	Waiting  TrialState = "waiting" // suggested, no report of this attempt yet
	Running  TrialState = "running"
	Complete TrialState = "complete" // with a finite value
	Pruned   TrialState = "pruned"
	Failed   TrialState = "failed"
	TimedOut TrialState = "timed_out"
	Stopped  TrialState = "stopped" // the study ended before it did
)

// A Trial is one evaluation of one config. Its times, steps and duration are
// those of the current attempt, CreatedAt aside.
type Trial struct {
	Number     int            `msgpack:"number" json:"number"`
	Attempt    int            `msgpack:"attempt" json:"attempt"` // from 1
	State      TrialState     `msgpack:"state" json:"state"`
	Config     map[string]any `msgpack:"config,omitempty" json:"config,omitempty"` // never modified
	Value      *float64       `msgpack:"value,omitempty" json:"value,omitempty"`   // of a complete trial
	DurationMS int64          `msgpack:"duration_ms,omitempty" json:"duration_ms,omitempty"`
	Error      string         `msgpack:"error,omitempty" json:"error,omitempty"` // why it failed, or was pruned
	RunID      string         `msgpack:"run_id,omitempty" json:"run_id,omitempty"`
	CreatedAt  time.Time      `msgpack:"created_at,omitempty" json:"created_at,omitzero"`
	StartedAt  time.Time      `msgpack:"started_at,omitempty" json:"started_at,omitzero"`   // first report
	ReportedAt time.Time      `msgpack:"reported_at,omitempty" json:"reported_at,omitzero"` // latest report
	EndedAt    time.Time      `msgpack:"ended_at,omitempty" json:"ended_at,omitzero"`
	Order      int            `msgpack:"order,omitempty" json:"order,omitempty"` // 1: the first that ended; 0: open
	Steps      Steps          `msgpack:"steps,omitempty" json:"steps,omitempty"` // of an open trial
	// The intermediate values of the objective, steps ascending.
	PointSteps  []int64   `msgpack:"point_steps,omitempty" json:"point_steps,omitempty"`
	PointValues []float64 `msgpack:"point_values,omitempty" json:"point_values,omitempty"`
}

// Open reports whether the trial can still change.
func (t *Trial) Open() bool { return t.State == Waiting || t.State == Running }

// restored is a copy of a stored trial as it was before it was encoded.
func (t Trial) restored() *Trial {
	t.Config = NormalConfig(t.Config)
	for _, at := range []*time.Time{&t.CreatedAt, &t.StartedAt, &t.ReportedAt, &t.EndedAt} {
		*at = at.UTC()
	}
	return &t
}

// seen is what a strategy sees of the trial.
func (t *Trial) seen() strategy.Trial {
	seen := strategy.Trial{Number: t.Number, Config: t.Config, State: strategy.Failed}
	switch t.State {
	case Waiting, Running:
		seen.State = strategy.Pending
	case Complete:
		seen.State, seen.Value = strategy.Complete, *t.Value
	case Pruned:
		seen.State, seen.Value = strategy.Pruned, math.NaN()
		if last := len(t.PointSteps) - 1; last >= 0 {
			seen.Value, seen.Step = t.PointValues[last], t.PointSteps[last]
		}
	}
	return seen
}

// maxIntervals bounds Steps: 4 KiB of a trial's record.
const maxIntervals = 256

// Steps is the set of steps reported, as disjoint intervals [first, last] in
// ascending order. Reports of every step make one interval.
type Steps [][2]int64

// Add inserts a step, or returns false if it is there. Past maxIntervals the
// lowest gap closes: reports ascend, so a step that late is an old one.
func (s *Steps) Add(step int64) bool {
	old := *s
	i := sort.Search(len(old), func(i int) bool { return old[i][1] >= step })
	if i < len(old) && old[i][0] <= step {
		return false
	}
	joinsLeft := i > 0 && old[i-1][1] == step-1
	joinsRight := i < len(old) && old[i][0] == step+1
	switch {
	case joinsLeft && joinsRight:
		old[i-1][1] = old[i][1]
		*s = slices.Delete(old, i, i+1)
	case joinsLeft:
		old[i-1][1] = step
	case joinsRight:
		old[i][0] = step
	default:
		*s = slices.Insert(old, i, [2]int64{step, step})
	}
	if len(*s) > maxIntervals {
		(*s)[1][0] = (*s)[0][0]
		*s = slices.Delete(*s, 0, 1)
	}
	return true
}
