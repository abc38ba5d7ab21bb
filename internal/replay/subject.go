package replay

import (
	"strings"
	"time"

	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// Subject is one model in a replay.
type Subject struct {
	Model   string
	Reports int // live ones, failed and late ones included
	Failed  int
	Untimed int // reports that say no time and of which none is known
	Judges  []*Judge
	Chart   *Chart // nil: not kept

	run    *Replay
	course course
	clock  clock
	timed  bool // the time of the last live report is known
}

// Judge is one monitor at one model.
type Judge struct {
	Name    string
	Events  int
	Stale   int       // of the events
	Late    int       // reports too old to be judged
	First   int       // report of the first event; 0: there was none
	FirstAt time.Time // its time
	Only    int       // events that the other monitor did not find
	Score   Score

	replay *coordinator.Replay
	time   share
	count  share
	open   []*Event // of the episode that runs, while it is not known whether the other found it
}

// clock is the time by which reports are judged: it does not run backwards.
type clock struct{ first, now time.Time }

// share is how much of a whole an episode ran.
type share struct{ part, whole float64 }

func (s *share) add(x float64, counts bool) {
	s.whole += x
	if counts {
		s.part += x
	}
}

// Share is how much of the time an episode ran, from 0 to 1: of the reports where times are not known.
func (j *Judge) Share() float64 {
	s := j.time
	if s.whole == 0 {
		s = j.count
	}
	return s.part / max(s.whole, 1e-300)
}

// Changes are when the model went bad, by the labels.
func (s *Subject) Changes() []Change { return s.course.changes }

// Healthy is how many reports were not bad, by the labels.
func (s *Subject) Healthy() int { return s.course.healthy }

// Labelled tells whether there were labels.
func (s *Subject) Labelled() bool { return s.course.labelled }

// Unreached are the labels after the last report.
func (s *Subject) Unreached() []Label { return s.course.given }

// mostSilent bounds how often one silence is told: with a short `repeat` years would be told without end.
const mostSilent = 1000

// pass lets the monitors find silences that began before t.
func (s *Subject) pass(t time.Time) {
	if !s.timed {
		return
	}
	for i, j := range s.Judges {
		for range mostSilent {
			due := j.replay.Due()
			if due.IsZero() || !due.Before(t) {
				break
			}
			follows := j.replay.Condition().Silent
			if f, told := j.replay.Tick(due); told {
				s.tell(i, &Event{Time: due, Finding: f, Follows: follows})
			}
		}
	}
	s.settle()
}

func (s *Subject) command(in Input) {
	for _, j := range s.Judges {
		j.replay.Command(in.Command, in.Stored)
	}
	s.settle()
}

func (s *Subject) report(in Input) {
	s.Reports++
	if in.Report.State == wire.Failed {
		s.Failed++
	}
	at := s.timeOf(in)
	s.elapse(at)
	change, begins := s.course.arrive(s.Reports, at, in.Bad)
	if s.Chart != nil {
		s.Chart.begin(s.Reports, at, change != nil)
	}
	for i, j := range s.Judges {
		s.judge(i, j, in, at, change, begins)
	}
	s.settle()
}

// timeOf is when the report was measured, as far as that is known.
func (s *Subject) timeOf(in Input) time.Time {
	s.timed = !in.Stored.IsZero()
	switch measured := in.Report.Time; {
	case measured.IsZero() && in.Stored.IsZero():
		s.Untimed++
		return time.Time{}
	case measured.IsZero(), !in.Stored.IsZero() && measured.After(in.Stored):
		return in.Stored
	default:
		return measured
	}
}

// elapse counts the time up to a report by what the one before has led to.
func (s *Subject) elapse(at time.Time) {
	if at.IsZero() {
		return
	}
	passed := at.Sub(s.clock.now).Seconds()
	switch {
	case s.clock.now.IsZero():
		s.clock = clock{at, at}
	case passed > 0:
		for _, j := range s.Judges {
			j.time.add(passed, j.replay.Condition().Degraded)
		}
		s.clock.now = at
	}
}

func (s *Subject) judge(i int, j *Judge, in Input, at time.Time, change *Change, begins bool) {
	j.replay.Meet(in.Report) // an event of a new version follows none of the old one
	before := j.replay.Condition()
	var look func([]observer.View)
	if s.Chart != nil {
		look = func(views []observer.View) { s.Chart.look(i, views) }
	}
	f, told := j.replay.Report(in.Report, in.Stored, look)
	after := j.replay.Condition()
	if begins {
		j.Score.begin(before.Told && after.Told)
	}
	if after.Late == before.Late+1 {
		j.Late++
	}
	j.count.add(1, after.Degraded)
	if s.Chart != nil {
		s.Chart.end(i, after.Degraded)
	}
	if told {
		e := &Event{Time: at, Finding: timeless(f, at), Follows: before.Told}
		e.OffLabel = j.Score.event(e, s.Reports, at, change, s.course.labelled)
		s.tell(i, e)
	}
}

// timeless leaves out of the reason a time that is not known.
func timeless(f observer.Finding, at time.Time) observer.Finding {
	if at.IsZero() {
		f.Reason = strings.TrimSuffix(f.Reason, " since "+f.Since.Format(time.RFC3339))
		f.Since = time.Time{}
	}
	return f
}

func (s *Subject) tell(i int, e *Event) {
	j := s.Judges[i]
	e.Monitor, e.Model, e.Report = j.Name, s.Model, s.Reports
	if j.Events++; j.Events == 1 {
		j.First, j.FirstAt = e.Report, e.Time
	}
	if e.Finding.Trigger == observer.Stale {
		j.Stale++
	}
	if s.Chart != nil {
		s.Chart.event(i, e)
	}
	j.open = append(j.open, e)
	s.run.hold(e)
}

// settle decides for episodes that are over whether the other monitor saw them, too.
func (s *Subject) settle() {
	for i, j := range s.Judges {
		if len(s.Judges) == 1 {
			j.open = nil
			continue
		}
		mine, other := j.replay.Condition(), s.Judges[1-i].replay.Condition()
		kept := j.open[:0]
		for _, e := range j.open {
			runs, seen := mine.Degraded, other.Degraded
			if e.Finding.Trigger == observer.Stale {
				runs, seen = mine.Silent, other.Silent
			}
			switch {
			case seen:
				e.settled = true
			case !runs:
				j.only(e)
			default:
				kept = append(kept, e)
			}
		}
		j.open = kept
	}
}

func (j *Judge) only(e *Event) {
	e.settled, e.Only = true, true
	j.Only++
}

// end settles what still runs.
func (s *Subject) end() {
	for _, j := range s.Judges {
		if len(s.Judges) > 1 {
			for _, e := range j.open {
				j.only(e)
			}
		}
		j.open = nil
	}
	s.course.end(s.Reports)
}
