// Package replay shows recorded reports to monitors as a worker would, and tells what they would have said, how soon
// and how wrongly.
package replay

import (
	"time"

	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// Input is one input of the past. It belongs to the caller again once it was applied.
type Input struct {
	Model   string
	Report  *wire.Report  // live; nil: Command is given
	Command *wire.Command // of those that concern the monitor
	Stored  time.Time     // when it came; zero: not known
	Bad     *bool         // whether the model had gone bad, as the input says; nil: it does not say
}

// Options say what is replayed, and what for.
type Options struct {
	// Monitors are what is compared: one, or two.
	Monitors []Monitor
	// Labels are when the models went bad; nil: the inputs may say.
	Labels Labels
	// Charts is of how many models, the first that come, the course is kept for drawing.
	Charts int
	// Tell takes each event, in order. With two monitors it is held back until it is known whether the other
	// found the same.
	Tell func(*Event) error
}

// Monitor is one side of a comparison.
type Monitor struct {
	Name string
	Of   func(model string) *observer.Monitor
}

// Event is a finding that would have become a retrain event.
type Event struct {
	Monitor  string
	Model    string
	Report   int       // the live report of the model that led to it, from 1; of a silence the last one before
	Time     time.Time // of that report, or when the silence was told; zero: not known
	Finding  observer.Finding
	Follows  bool // another event of the same episode
	Only     bool // the other monitor saw nothing wrong as long as this episode lasted
	OffLabel bool // a false alarm by the labels

	settled bool
}

// Replay is one run. The zero value is not ready; New is.
type Replay struct {
	options  Options
	subjects map[string]*Subject
	order    []*Subject
	pending  []*Event
	err      error
}

// New begins a run.
func New(o Options) *Replay { return &Replay{options: o, subjects: map[string]*Subject{}} }

// Apply replays the next input.
func (r *Replay) Apply(in Input) error {
	s := r.subjects[in.Model]
	if s == nil {
		if in.Report == nil {
			return nil
		}
		s = r.newSubject(in.Model)
	}
	if !in.Stored.IsZero() {
		s.pass(in.Stored)
	}
	if in.Report == nil {
		s.command(in)
	} else {
		s.report(in)
	}
	return r.flush(false)
}

// End lets the time pass until then; zero: no more. Then it returns the models in the order of their first reports.
func (r *Replay) End(until time.Time) ([]*Subject, error) {
	for _, s := range r.order {
		if !until.IsZero() {
			s.pass(until)
		}
		s.end()
	}
	return r.order, r.flush(true)
}

func (r *Replay) newSubject(model string) *Subject {
	given := r.options.Labels.of(model)
	s := &Subject{Model: model, run: r, course: course{given: given, fixed: r.options.Labels != nil, labelled: given != nil}}
	for _, m := range r.options.Monitors {
		monitor := m.Of(model)
		s.Judges = append(s.Judges, &Judge{Name: m.Name, replay: coordinator.NewReplay(monitor)})
	}
	if len(r.order) < r.options.Charts {
		s.Chart = newChart(len(s.Judges))
	}
	r.subjects[model], r.order = s, append(r.order, s)
	return s
}

// maxHeld bounds the events that wait to be settled.
const maxHeld = 10_000

func (r *Replay) hold(e *Event) {
	e.settled = len(r.options.Monitors) == 1
	r.pending = append(r.pending, e)
}

// flush tells the events that are settled, in order.
func (r *Replay) flush(all bool) error {
	n := 0
	for n < len(r.pending) && (all || r.pending[n].settled || len(r.pending)-n > maxHeld) {
		if r.err == nil {
			r.err = r.options.Tell(r.pending[n])
		}
		r.pending[n] = nil
		n++
	}
	if r.pending = r.pending[n:]; len(r.pending) == 0 {
		r.pending = nil
	}
	return r.err
}
