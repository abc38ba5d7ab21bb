// Package study is the state machine of a study and its trials: each method
// takes an event and the time, changes the study and returns what to publish.
package study

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/visutility/retune/internal/pruner"
	"github.com/visutility/retune/internal/strategy"
)

// State is what is stored of a running study, its trials aside.
type State struct {
	Definition  map[string]any     `msgpack:"definition" json:"definition"`
	Name        string             `msgpack:"name" json:"name"`
	Strategy    string             `msgpack:"strategy" json:"strategy"`
	Seed        uint64             `msgpack:"seed" json:"seed"`
	Sequence    uint64             `msgpack:"sequence" json:"sequence"` // of the input that started it
	StartedAt   time.Time          `msgpack:"started_at" json:"started_at"`
	Now         time.Time          `msgpack:"now" json:"now"`           // latest time seen: it never runs backwards
	Next        int                `msgpack:"next" json:"next"`         // number of the next trial
	Proposed    int                `msgpack:"proposed" json:"proposed"` // configs proposed by the strategy
	Closed      int                `msgpack:"closed" json:"closed"`     // trials that have ended
	Taken       int                `msgpack:"taken" json:"taken"`       // configs of the definition's enqueue that became trials
	Queue       []map[string]any   `msgpack:"queue,omitempty" json:"queue,omitempty"`
	Asks        []Ask              `msgpack:"asks,omitempty" json:"asks,omitempty"` // by number; the first is answered next
	Counts      map[TrialState]int `msgpack:"counts" json:"counts"`
	FailedInRow int                `msgpack:"failed_in_row" json:"failed_in_row"`
	Open        []int              `msgpack:"open" json:"open"` // waiting and running trials, ascending
	Exhausted   bool               `msgpack:"exhausted" json:"exhausted"`
	Best        *Trial             `msgpack:"best,omitempty" json:"best,omitempty"`
	Base        map[string]any     `msgpack:"base,omitempty" json:"base,omitempty"`               // config of the trial that completed last
	Reason      string             `msgpack:"reason,omitempty" json:"reason,omitempty"`           // why it ended; empty: it runs
	Error       string             `msgpack:"error,omitempty" json:"error,omitempty"`             // of the strategy
	Explanation string             `msgpack:"explanation,omitempty" json:"explanation,omitempty"` // what the strategy chose and why
	EndedAt     time.Time          `msgpack:"ended_at,omitempty" json:"ended_at,omitzero"`
}

// A Study is a running study. It is not safe for concurrent use.
type Study struct {
	definition *Definition
	strategy   strategy.Strategy
	slow       bool          // the strategy is asked and answers later
	pruner     pruner.Pruner // nil: none
	prior      []strategy.Trial
	state      State
	cause      Cause
	trials     []*Trial         // by number; nil: not answered yet, or the record has expired
	curves     []pruner.Curve   // by number
	history    []strategy.Trial // the trials as the strategy sees them, without gaps
	changed    map[int]bool
}

// New starts a study that has proposed nothing yet: Fill does. Name and seed
// apply where the definition gives none; sequence is that of the start command;
// prior are the results of earlier studies, the best first. An error names what
// the strategy refuses.
func New(d *Definition, name string, seed, sequence uint64, prior []strategy.Trial, now time.Time) (*Study, error) {
	if d.Name != "" {
		name = d.Name
	}
	if d.Seed != nil {
		seed = *d.Seed
	}
	now = now.Round(0).UTC()
	return build(d, State{
		Definition: d.Tree, Name: name, Strategy: d.Strategy, Seed: seed, Sequence: sequence,
		StartedAt: now, Now: now, Counts: map[TrialState]int{},
	}, prior)
}

func build(d *Definition, state State, prior []strategy.Trial) (*Study, error) {
	proposer, err := strategy.New(state.Strategy, d.Options, d.Space)
	if err != nil {
		return nil, fmt.Errorf("study.%w", err)
	}
	return &Study{definition: d, strategy: proposer, slow: strategy.Slow(proposer), pruner: d.Pruner, prior: prior, state: state,
		trials: make([]*Trial, state.Next), curves: make([]pruner.Curve, state.Next), changed: map[int]bool{}}, nil
}

// Restore continues a stored study as if it had never been stored. Trials come
// in any order; those whose record has expired are missing. Prior as in New.
func Restore(state State, trials []Trial, prior []strategy.Trial) (*Study, error) {
	d, err := Parse(state.Definition)
	if err != nil {
		return nil, fmt.Errorf("restore study %s: %w", state.Name, err)
	}
	s, err := build(d, state.restored(), prior)
	if err != nil {
		return nil, fmt.Errorf("restore study %s: %w", state.Name, err)
	}
	for _, trial := range trials {
		if trial.Number < 0 || trial.Number >= state.Next {
			return nil, fmt.Errorf("restore study %s: trial %d is stored but only %d were proposed",
				state.Name, trial.Number, state.Next)
		}
		s.trials[trial.Number] = trial.restored()
	}
	for _, trial := range s.Trials() {
		s.state.Closed = max(s.state.Closed, trial.Order) // a worker of an older version kept no count
		s.history = append(s.history, trial.seen())
		s.curves[trial.Number] = trial.curve()
	}
	s.dropLost()
	return s, nil
}

// restored is a copy of a stored state as it was before it was encoded.
func (st State) restored() State {
	st = st.copied()
	for i := range st.Queue {
		st.Queue[i] = NormalConfig(st.Queue[i])
	}
	for i := range st.Asks {
		st.Asks[i].Cause.At = st.Asks[i].Cause.At.UTC()
		if st.Asks[i].Fixed != nil {
			st.Asks[i].Fixed = NormalConfig(st.Asks[i].Fixed)
		}
	}
	if st.Base != nil {
		st.Base = NormalConfig(st.Base)
	}
	if st.Best != nil {
		st.Best = st.Best.restored()
	}
	for _, at := range []*time.Time{&st.StartedAt, &st.Now, &st.EndedAt} {
		*at = at.UTC()
	}
	return st
}

// copied shares only what is never modified.
func (st State) copied() State {
	st.Queue = slices.Clone(st.Queue)
	st.Asks = slices.Clone(st.Asks)
	st.Open = slices.Clone(st.Open)
	st.Counts = maps.Clone(st.Counts)
	if st.Best != nil {
		best := *st.Best
		best.PointSteps, best.PointValues = nil, nil
		st.Best = &best
	}
	return st
}

// dropLost gives up the open trials whose record expired for want of reports,
// or they would occupy their places for ever.
func (s *Study) dropLost() {
	open := s.state.Open
	s.state.Open = open[:0]
	counts := s.state.Counts
	delete(counts, Waiting)
	delete(counts, Running)
	for _, number := range open {
		if trial := s.Trial(number); trial != nil {
			s.state.Open = append(s.state.Open, number)
			counts[trial.State]++
		} else {
			counts[TimedOut]++
		}
	}
}

// State is what to store; the caller may keep it.
func (s *Study) State() State { return s.state.copied() }

// Name of the study.
func (s *Study) Name() string { return s.state.Name }

// Definition the study was started with.
func (s *Study) Definition() *Definition { return s.definition }

// Prior are the results of earlier studies that this one started with.
func (s *Study) Prior() []strategy.Trial { return s.prior }

// Slow reports whether the strategy is asked and answers later.
func (s *Study) Slow() bool { return s.slow }

// Sequence of the input that started the study.
func (s *Study) Sequence() uint64 { return s.state.Sequence }

// Strategy is the name of the strategy.
func (s *Study) Strategy() string { return s.state.Strategy }

// Explanation says what the strategy chose and why; "" while there is nothing to
// say.
func (s *Study) Explanation() string { return s.state.Explanation }

// Ended reports whether the study has finished: nothing changes it any more.
func (s *Study) Ended() bool { return s.state.Reason != "" }

// Trial by number, nil when there is none or its record has expired. It is
// valid until the next event and must not be modified.
func (s *Study) Trial(number int) *Trial {
	if number < 0 || number >= len(s.trials) {
		return nil
	}
	return s.trials[number]
}

// Trials are all trials known, by number, on the terms of Trial.
func (s *Study) Trials() []*Trial {
	return slices.DeleteFunc(slices.Clone(s.trials), func(t *Trial) bool { return t == nil })
}

// Changed are the numbers of the trials changed since ResetChanged, ascending.
func (s *Study) Changed() []int { return slices.Sorted(maps.Keys(s.changed)) }

// ResetChanged forgets what changed, once it is stored.
func (s *Study) ResetChanged() { clear(s.changed) }

// clock is the time of an event: inputs of several sources may be out of order.
func (s *Study) clock(now time.Time) time.Time {
	if now.After(s.state.Now) {
		s.state.Now = now.Round(0).UTC()
	}
	return s.state.Now
}

// move puts a trial into another state.
func (s *Study) move(trial *Trial, to TrialState) {
	s.state.Counts[trial.State]--
	if s.state.Counts[trial.State] == 0 {
		delete(s.state.Counts, trial.State)
	}
	s.state.Counts[to]++
	trial.State = to
	s.changed[trial.Number] = true
}

// remember updates what the strategy sees of a trial.
func (s *Study) remember(trial *Trial) {
	i := sort.Search(len(s.history), func(i int) bool { return s.history[i].Number >= trial.Number })
	if i == len(s.history) || s.history[i].Number != trial.Number {
		s.history = slices.Insert(s.history, i, strategy.Trial{})
	}
	s.history[i] = trial.seen()
}
