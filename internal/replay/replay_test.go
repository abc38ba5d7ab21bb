package replay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bundle is a replay of one model with a limit of 1, and perhaps another of 2.
type bundle struct {
	t      *testing.T
	run    *Replay
	events []*Event
}

func newBundle(t *testing.T, o Options, monitors ...any) *bundle {
	t.Helper()
	b := &bundle{t: t}
	for i, tree := range monitors {
		m, err := observer.Parse(tree)
		if err != nil {
			t.Fatal(err)
		}
		o.Monitors = append(o.Monitors, Monitor{fmt.Sprint("m", i), func(string) *observer.Monitor { return m }})
	}
	o.Tell = func(e *Event) error {
		b.events = append(b.events, new(*e)) // as it is when it is told
		return nil
	}
	b.run = New(o)
	return b
}

func limit(x float64) any {
	return []any{map[string]any{"metric": "loss", "detector": "threshold", "limit": x}}
}

// hourly replays a report an hour.
func (b *bundle) hourly(values ...float64) {
	b.t.Helper()
	for i, v := range values {
		b.report(begin.Add(time.Duration(i)*time.Hour), v)
	}
}

func (b *bundle) report(at time.Time, value float64) {
	b.t.Helper()
	if err := b.run.Apply(Input{Model: "m", Stored: at, Report: &wire.Report{State: wire.Complete, Metrics: []wire.Metric{{Name: "loss", Value: value}}}}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) end(until time.Time) *Subject {
	b.t.Helper()
	subjects, err := b.run.End(until)
	if err != nil || len(subjects) != 1 {
		b.t.Fatal(len(subjects), err)
	}
	return subjects[0]
}

func (b *bundle) told() (all []string) {
	for _, e := range b.events {
		text := fmt.Sprintf("%s %d %s", e.Monitor, e.Report, e.Finding.Trigger)
		for _, mark := range []struct {
			is   bool
			text string
		}{{e.Only, " only"}, {e.OffLabel, " false"}, {e.Follows, " follows"}} {
			if mark.is {
				text += mark.text
			}
		}
		all = append(all, text)
	}
	return all
}

func (b *bundle) wants(events ...string) {
	b.t.Helper()
	if got := b.told(); !slices.Equal(got, events) {
		b.t.Errorf("%q, wanted %q", got, events)
	}
}

func TestShareOfTimeAndReports(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{}, limit(1))
	b.hourly(0, 2, 2, 0)
	b.report(begin.Add(8*time.Hour), 0)
	s := b.end(time.Time{})
	if j := s.Judges[0]; j.Share() != 2.0/8 || j.Events != 1 || j.First != 2 || !j.FirstAt.Equal(begin.Add(time.Hour)) {
		t.Errorf("%v %+v", j.Share(), j)
	}
	b = newBundle(t, Options{}, limit(1))
	for _, v := range []float64{0, 2, 2, 0} {
		b.report(time.Time{}, v)
	}
	s = b.end(time.Time{})
	if j := s.Judges[0]; j.Share() != 2.0/4 || s.Untimed != 4 || !b.events[0].Time.IsZero() || !b.events[0].Finding.Since.IsZero() {
		t.Errorf("%v %+v", j.Share(), b.events[0])
	}
}

func TestWhatOnlyOneFound(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{}, limit(1), limit(2))
	b.hourly(0, 1.5, 0, 1.5, 3, 0, 1.5)
	s := b.end(time.Time{})
	b.wants("m0 2 degraded only", "m0 4 degraded", "m1 5 degraded", "m0 7 degraded only")
	if s.Judges[0].Only != 2 || s.Judges[1].Only != 0 {
		t.Errorf("%d and %d", s.Judges[0].Only, s.Judges[1].Only)
	}
}

func TestScores(t *testing.T) {
	t.Parallel()
	labels, err := ParseLabels("4..6, 8..9, 11..12, 14")
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, Options{Labels: labels}, limit(1))
	//       1  2  3  4  5  6  7  8  9 10 11 12 13 14
	b.hourly(0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 2, 0, 0, 2)
	s := b.end(time.Time{})
	b.wants("m0 2 degraded false", "m0 6 degraded", "m0 10 degraded false", "m0 14 degraded")
	want := []Outcome{{InTime, 6, 2, 2 * time.Hour}, {Found: Missed}, {Found: Already}, {InTime, 14, 0, 0}}
	score := s.Judges[0].Score
	if !slices.Equal(score.Outcomes, want) {
		t.Errorf("%+v", score.Outcomes)
	}
	reports, after := score.Delay()
	if reports != 1 || after != time.Hour || s.Healthy() != 6 || score.FalseAlarms != 2 || score.Per1000(s.Healthy()) != 1000*2.0/6 {
		t.Errorf("delay %v %s, %d healthy, %d false, %v", reports, after, s.Healthy(), score.FalseAlarms, score.Per1000(s.Healthy()))
	}
}

// TestAnEpisodeThatGoesOnIsNoNewAlarm repeats one that began while the model was well.
func TestAnEpisodeThatGoesOnIsNoNewAlarm(t *testing.T) {
	t.Parallel()
	labels, err := ParseLabels("4")
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, Options{Labels: labels}, map[string]any{"repeat": "1h", "rules": limit(1)})
	b.hourly(2, 2, 0, 0, 2, 2)
	s := b.end(time.Time{})
	b.wants("m0 1 degraded false", "m0 2 degraded follows", "m0 5 degraded", "m0 6 degraded follows")
	if o := s.Judges[0].Score.Outcomes[0]; o.Found != InTime || o.Delay != 1 || s.Judges[0].Score.FalseAlarms != 1 {
		t.Errorf("%+v", s.Judges[0].Score)
	}
}

func TestSilenceIsTold(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{}, map[string]any{"stale_after": "2h", "rules": limit(1)}, map[string]any{"stale_after": "2h", "repeat": "1h", "rules": limit(1)})
	b.hourly(0, 0)
	b.report(begin.Add(5*time.Hour), 0)
	s := b.end(begin.Add(8 * time.Hour))
	b.wants("m0 2 stale", "m1 2 stale", "m1 2 stale follows", "m0 3 stale", "m1 3 stale")
	if at := b.events[0].Time; !at.Equal(begin.Add(3*time.Hour)) || s.Judges[1].Stale != 3 {
		t.Errorf("at %s, %+v", at, s.Judges[1])
	}
	b = newBundle(t, Options{}, map[string]any{"stale_after": "2h", "rules": limit(1)})
	b.report(time.Time{}, 0)
	b.report(begin, 0)
	b.report(time.Time{}, 0)
	b.report(begin.Add(9*time.Hour), 0)
	b.end(time.Time{})
	b.wants()
}

func TestASilenceIsNotToldWithoutEnd(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{}, map[string]any{"stale_after": "1s", "repeat": "1s", "rules": limit(1)})
	b.report(begin, 0)
	b.report(begin.AddDate(30, 0, 0), 0)
	b.end(time.Time{})
	if len(b.events) != mostSilent {
		t.Errorf("%d events", len(b.events))
	}
}

func TestLateReports(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{}, limit(1))
	b.report(begin.Add(time.Hour), 0)
	if err := b.run.Apply(Input{Model: "m", Stored: begin.Add(2 * time.Hour), Report: &wire.Report{Time: begin, Metrics: []wire.Metric{{Name: "loss", Value: 9}}}}); err != nil {
		t.Fatal(err)
	}
	if s := b.end(time.Time{}); s.Judges[0].Late != 1 || s.Reports != 2 {
		t.Errorf("%+v", s.Judges[0])
	}
	b.wants()
}

func TestCommandsAndVersions(t *testing.T) {
	t.Parallel()
	rule := []any{map[string]any{"metric": "loss", "detector": "rolling_mean", "window": 3}}
	for _, c := range []struct {
		name    string
		between func(*bundle)
		events  int
	}{
		{"nothing", func(*bundle) {}, 1},
		{"baseline", func(b *bundle) { _ = b.run.Apply(Input{Model: "m", Command: &wire.Command{Op: "baseline"}}) }, 0},
		{"forget", func(b *bundle) { _ = b.run.Apply(Input{Model: "m", Command: &wire.Command{Op: "forget"}}) }, 0},
		{"failed", func(b *bundle) { _ = b.run.Apply(Input{Model: "m", Report: &wire.Report{State: wire.Failed}}) }, 1},
		{"version", func(b *bundle) {
			_ = b.run.Apply(Input{Model: "m", Report: &wire.Report{Version: "2", Metrics: []wire.Metric{{Name: "loss", Value: 1}}}})
		}, 0},
	} {
		b := newBundle(t, Options{}, rule)
		b.hourly(1, 1, 1)
		c.between(b)
		b.report(begin.Add(9*time.Hour), 2)
		if b.end(time.Time{}); len(b.events) != c.events {
			t.Errorf("%s: %q", c.name, b.told())
		}
	}
}

func TestAnEventOfANewVersionFollowsNone(t *testing.T) {
	t.Parallel()
	m, err := observer.Parse([]any{map[string]any{"metric": "loss", "detector": "threshold", "limit": 1.0}})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := ParseLabels("100")
	if err != nil {
		t.Fatal(err)
	}
	var events []*Event
	r := New(Options{Monitors: []Monitor{{Name: "a", Of: func(string) *observer.Monitor { return m }}}, Labels: labels, Tell: func(e *Event) error { events = append(events, e); return nil }})
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i, v := range []string{"v1", "v1", "v2"} {
		report, err := wire.DecodeReport(fmt.Appendf(nil, `{"metrics":{"loss":2},"version":%q}`, v), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Apply(Input{Model: "m", Report: &report, Stored: at.Add(time.Duration(i) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	subjects, _ := r.End(time.Time{})
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	if events[1].Follows {
		t.Error("the first event of a new version's episode is said to follow that of the old one")
	}
	if n := subjects[0].Judges[0].Score.FalseAlarms; n != 2 {
		t.Errorf("%d false alarms, want 2", n)
	}
}
