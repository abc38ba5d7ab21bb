package replay

import (
	"time"

	"github.com/visutility/retune/internal/observer"
)

// Change is a time in which a model was bad, by the labels.
type Change struct {
	From, To int       // its first and last report, from 1; To is 0 while it goes on
	Start    time.Time // of the first report; zero: not known
}

// course follows the labels of one model.
type course struct {
	fixed    bool    // by labels, whatever the inputs say
	labelled bool    // there are any
	given    []Label // not yet reached
	lasts    *Label  // the given one that goes on
	says     bool    // whether the last input that said something said bad
	running  bool    // the last change goes on
	changes  []Change
	healthy  int
}

// arrive tells whether a report is bad, and whether it is the first.
func (c *course) arrive(number int, at time.Time, says *bool) (in *Change, begins bool) {
	bad := false
	if c.fixed {
		bad, begins = c.reach(number, at)
	} else {
		bad, begins = c.heed(says)
	}
	if begins || !bad {
		c.end(number - 1)
	}
	if begins {
		c.changes, c.running = append(c.changes, Change{From: number, Start: at}), true
	}
	if !bad {
		c.healthy++
		return nil, false
	}
	return &c.changes[len(c.changes)-1], begins
}

// reach goes by the labels. Of several that begin between two reports the last counts.
func (c *course) reach(number int, at time.Time) (bad, begins bool) {
	for len(c.given) > 0 && c.given[0].From.reached(number, at) {
		c.lasts, c.given, begins = &c.given[0], c.given[1:], true
	}
	if c.lasts != nil && !c.lasts.To.zero() && c.lasts.To.passed(number, at) {
		c.lasts = nil
	}
	return c.lasts != nil, begins && c.lasts != nil
}

// heed goes by what the inputs say; one that says nothing is as the one before.
func (c *course) heed(says *bool) (bad, begins bool) {
	if says != nil {
		begins = *says && !c.says
		c.labelled, c.says = true, *says
	}
	return c.says, begins
}

func (m Mark) reached(number int, at time.Time) bool {
	if m.timed() {
		return !at.IsZero() && !at.Before(m.Time)
	}
	return number >= m.Report
}

func (m Mark) passed(number int, at time.Time) bool {
	if m.timed() {
		return at.After(m.Time)
	}
	return number > m.Report
}

// end closes the change that goes on with its last report.
func (c *course) end(number int) {
	if c.running {
		c.changes[len(c.changes)-1].To, c.running = number, false
	}
}

// Found is how a monitor did at a change.
type Found string

// The outcomes of a change.
const (
	Missed  Found = "missed"
	Already Found = "already" // an episode that had begun before went on, and no other began
	InTime  Found = "found"
)

// Outcome is what a monitor made of a change.
type Outcome struct {
	Found  Found
	Report int           // of the first event
	Delay  int           // reports from the first bad one to it
	After  time.Duration // and the time; 0 where times are not known
}

// Score is how a monitor did by the labels.
type Score struct {
	Outcomes    []Outcome // one a change
	FalseAlarms int       // episodes told while the model was healthy
}

func (s *Score) begin(told bool) {
	o := Outcome{Found: Missed}
	if told {
		o.Found = Already
	}
	s.Outcomes = append(s.Outcomes, o)
}

// event counts an event that a report led to, and tells whether it is a false alarm. That an episode goes on says
// nothing new.
func (s *Score) event(e *Event, report int, at time.Time, in *Change, labelled bool) bool {
	if e.Follows || e.Finding.Trigger != observer.Degraded || !labelled {
		return false
	}
	if in == nil {
		s.FalseAlarms++
		return true
	}
	if o := &s.Outcomes[len(s.Outcomes)-1]; o.Found != InTime {
		*o = Outcome{Found: InTime, Report: report, Delay: report - in.From}
		if !in.Start.IsZero() && at.After(in.Start) {
			o.After = at.Sub(in.Start)
		}
	}
	return false
}

// Count is how many changes had the outcome.
func (s *Score) Count(f Found) (n int) {
	for _, o := range s.Outcomes {
		if o.Found == f {
			n++
		}
	}
	return n
}

// Delay is the mean of the changes that were found, in reports and in time.
func (s *Score) Delay() (reports float64, after time.Duration) {
	found := 0
	for _, o := range s.Outcomes {
		if o.Found == InTime {
			found++
			reports += float64(o.Delay)
			after += o.After / time.Duration(max(s.Count(InTime), 1))
		}
	}
	return reports / float64(max(found, 1)), after
}

// Per1000 is how many false alarms there were per 1,000 healthy reports.
func (s *Score) Per1000(healthy int) float64 {
	return 1000 * float64(s.FalseAlarms) / float64(max(healthy, 1))
}
