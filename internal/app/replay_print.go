package app

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/visutility/retune/internal/duration"
	"github.com/visutility/retune/internal/replay"
	"github.com/visutility/retune/internal/wire"
)

// Tables end somewhere; --json does not.
const (
	maxEventRows = 1000
	maxModelRows = 200
)

// replayPrinter prints events as they come, as JSON, or a table at the end.
type replayPrinter struct {
	out     io.Writer
	json    bool
	compare bool
	labels  bool // some model has labels
	plotted bool
	events  []*replay.Event // the first
	more    int
}

func newReplayPrinter(o ReplayOptions, names []string, out io.Writer) *replayPrinter {
	return &replayPrinter{out: out, json: o.JSON, compare: len(names) > 1, plotted: o.Plot != ""}
}

func (p *replayPrinter) event(e *replay.Event) error {
	if !p.json || p.plotted {
		if len(p.events) < maxEventRows {
			p.events = append(p.events, e)
		} else {
			p.more++
		}
	}
	if !p.json {
		return nil
	}
	return p.line(eventLine(e))
}

func (p *replayPrinter) line(v any) error {
	body, err := wire.Encode(v, wire.JSON)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s\n", body)
	return err
}

// replayEvent is an event as JSON.
type replayEvent struct {
	Kind       string   `msgpack:"kind"` // event
	Monitor    string   `msgpack:"monitor"`
	Model      string   `msgpack:"model_id"`
	Report     int      `msgpack:"report"`
	Time       string   `msgpack:"time,omitempty"`
	Trigger    string   `msgpack:"trigger"`
	Severity   string   `msgpack:"severity"`
	Metric     string   `msgpack:"metric,omitempty"`
	Detector   string   `msgpack:"detector,omitempty"`
	Value      float64  `msgpack:"value"`
	Reference  *float64 `msgpack:"reference,omitempty"`
	Deviations float64  `msgpack:"deviations,omitempty"`
	Reports    int      `msgpack:"reports,omitempty"`
	Since      string   `msgpack:"since,omitempty"`
	Reason     string   `msgpack:"reason"`
	Follows    bool     `msgpack:"follows,omitempty"`
	Only       bool     `msgpack:"only,omitempty"`
	FalseAlarm bool     `msgpack:"false_alarm,omitempty"`
}

func eventLine(e *replay.Event) replayEvent {
	f := e.Finding
	line := replayEvent{
		Kind: "event", Monitor: e.Monitor, Model: e.Model, Report: e.Report, Time: timeText(e.Time), Trigger: string(f.Trigger),
		Severity: string(f.Severity), Metric: f.Metric, Detector: f.Detector, Value: f.Value, Deviations: f.Deviations,
		Reports: f.Reports, Since: timeText(f.Since), Reason: f.Reason, Follows: e.Follows, Only: e.Only, FalseAlarm: e.OffLabel,
	}
	if f.Reference == f.Reference {
		line.Reference = &f.Reference
	}
	return line
}

// replaySummary is what one monitor did at one model, as JSON.
type replaySummary struct {
	Kind        string         `msgpack:"kind"` // summary
	Monitor     string         `msgpack:"monitor"`
	Model       string         `msgpack:"model_id"`
	Reports     int            `msgpack:"reports"`
	Failed      int            `msgpack:"failed"`
	Late        int            `msgpack:"late"`
	Untimed     int            `msgpack:"untimed"`
	Events      int            `msgpack:"events"`
	Stale       int            `msgpack:"stale"`
	FirstReport int            `msgpack:"first_report,omitempty"`
	FirstTime   string         `msgpack:"first_time,omitempty"`
	Share       float64        `msgpack:"share_in_episode"`
	Only        *int           `msgpack:"only,omitempty"`
	Labels      *labelsSummary `msgpack:"labels,omitempty"`
}

type labelsSummary struct {
	Changes     []changeLine `msgpack:"changes"`
	Found       int          `msgpack:"found"`
	Already     int          `msgpack:"already"`
	Missed      int          `msgpack:"missed"`
	Unreached   int          `msgpack:"unreached"`
	Delay       *float64     `msgpack:"delay_reports,omitempty"`
	After       *float64     `msgpack:"delay_seconds,omitempty"`
	Healthy     int          `msgpack:"healthy_reports"`
	FalseAlarms int          `msgpack:"false_alarms"`
	Per1000     float64      `msgpack:"false_alarms_per_1000"`
}

type changeLine struct {
	From    int      `msgpack:"from"`
	To      int      `msgpack:"to"`
	Time    string   `msgpack:"time,omitempty"`
	Outcome string   `msgpack:"outcome"`
	Report  int      `msgpack:"report,omitempty"`
	Delay   *int     `msgpack:"delay_reports,omitempty"`
	After   *float64 `msgpack:"delay_seconds,omitempty"`
}

func (p *replayPrinter) summaryLine(s *replay.Subject, j *replay.Judge) replaySummary {
	line := replaySummary{
		Kind: "summary", Monitor: j.Name, Model: s.Model, Reports: s.Reports, Failed: s.Failed, Late: j.Late, Untimed: s.Untimed,
		Events: j.Events, Stale: j.Stale, FirstReport: j.First, FirstTime: timeText(j.FirstAt), Share: j.Share(),
	}
	if p.compare {
		line.Only = &j.Only
	}
	if s.Labelled() {
		line.Labels = labelsLine(s, &j.Score)
	}
	return line
}

func labelsLine(s *replay.Subject, score *replay.Score) *labelsSummary {
	l := &labelsSummary{
		Changes: []changeLine{}, Found: score.Count(replay.InTime), Already: score.Count(replay.Already), Missed: score.Count(replay.Missed),
		Unreached: len(s.Unreached()), Healthy: s.Healthy(), FalseAlarms: score.FalseAlarms, Per1000: score.Per1000(s.Healthy()),
	}
	if l.Found > 0 {
		reports, after := score.Delay()
		l.Delay, l.After = &reports, new(after.Seconds())
	}
	for i, c := range s.Changes() {
		o := score.Outcomes[i]
		line := changeLine{From: c.From, To: c.To, Time: timeText(c.Start), Outcome: string(o.Found), Report: o.Report}
		if o.Found == replay.InTime {
			line.Delay, line.After = &o.Delay, new(o.After.Seconds())
		}
		l.Changes = append(l.Changes, line)
	}
	return l
}

func (p *replayPrinter) summary(subjects []*replay.Subject) error {
	for _, s := range subjects {
		p.labels = p.labels || s.Labelled()
	}
	if !p.json {
		return p.tables(subjects)
	}
	for _, s := range subjects {
		for _, j := range s.Judges {
			if err := p.line(p.summaryLine(s, j)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *replayPrinter) tables(subjects []*replay.Subject) error {
	t := tabwriter.NewWriter(p.out, 0, 8, 2, ' ', 0)
	for _, row := range p.eventRows() {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if len(p.events) == 0 {
		fmt.Fprintln(t, "no events")
	}
	if p.more > 0 {
		fmt.Fprintf(t, "… and %d more events: --json prints all\n", p.more)
	}
	fmt.Fprintln(t)
	if err := t.Flush(); err != nil {
		return err
	}
	shown := subjects[:min(len(subjects), maxModelRows)]
	for _, row := range p.summaryRows(shown) {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if hidden := len(subjects) - len(shown); hidden > 0 {
		fmt.Fprintf(t, "… and %d more models: --json prints all\n", hidden)
	}
	if p.labels {
		fmt.Fprintln(t)
		if err := t.Flush(); err != nil {
			return err
		}
		for _, row := range p.changeRows(shown) {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
	}
	return t.Flush()
}

// eventRows are a head and a row per event.
func (p *replayPrinter) eventRows() [][]string {
	if len(p.events) == 0 {
		return nil
	}
	row := func(monitor, note string, rest ...string) []string {
		if p.compare {
			rest = append([]string{monitor}, rest...)
		}
		if last := len(rest) - 1; p.compare || p.labels {
			rest = append(rest[:last:last], note, rest[last])
		}
		return rest
	}
	rows := [][]string{row("MONITOR", "NOTE", "MODEL", "REPORT", "TIME (UTC)", "TRIGGER", "SEVERITY", "METRIC", "DETECTOR", "VALUE", "REFERENCE", "REPORTS", "REASON")}
	for _, e := range p.events {
		f := e.Finding
		reference := "-"
		if f.Reference == f.Reference {
			reference = fmt.Sprintf("%.6g", f.Reference)
		}
		rows = append(rows, row(e.Monitor, noteOf(e), e.Model, fmt.Sprint(e.Report), utc(e.Time), string(f.Trigger), string(f.Severity),
			cmp.Or(printable(f.Metric), "-"), cmp.Or(f.Detector, "-"), fmt.Sprintf("%.6g", f.Value), reference, fmt.Sprint(f.Reports), printable(f.Reason)))
	}
	return rows
}

func noteOf(e *replay.Event) string {
	var notes []string
	if e.OffLabel {
		notes = append(notes, "false alarm")
	}
	if e.Follows {
		notes = append(notes, "goes on")
	}
	if e.Only {
		notes = append(notes, "only here")
	}
	return cmp.Or(strings.Join(notes, ", "), "-")
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// summaryRows are a head and a row per model and monitor.
func (p *replayPrinter) summaryRows(subjects []*replay.Subject) [][]string {
	head := []string{"MODEL", "MONITOR", "REPORTS", "FAILED", "LATE", "EVENTS", "STALE", "FIRST", "FIRST TIME", "IN EPISODE"}
	if p.compare {
		head = append(head, "ONLY HERE")
	}
	if p.labels {
		head = append(head, "CHANGES", "FOUND", "ALREADY", "MISSED", "MEAN DELAY", "FALSE ALARMS", "PER 1000 HEALTHY")
	}
	rows := [][]string{head}
	for _, s := range subjects {
		for _, j := range s.Judges {
			first := "-"
			if j.First > 0 {
				first = fmt.Sprint(j.First)
			}
			row := []string{s.Model, j.Name, fmt.Sprint(s.Reports), fmt.Sprint(s.Failed), fmt.Sprint(j.Late), fmt.Sprint(j.Events), fmt.Sprint(j.Stale), first, utc(j.FirstAt), fmt.Sprintf("%.1f%%", 100*j.Share())}
			if p.compare {
				row = append(row, fmt.Sprint(j.Only))
			}
			if p.labels {
				row = append(row, scoreCells(s, &j.Score)...)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func scoreCells(s *replay.Subject, score *replay.Score) []string {
	if !s.Labelled() {
		return []string{"-", "-", "-", "-", "-", "-", "-"}
	}
	delay := "-"
	if score.Count(replay.InTime) > 0 {
		reports, after := score.Delay()
		delay = delayText(fmt.Sprintf("%.1f", reports), after)
	}
	return []string{
		fmt.Sprint(len(s.Changes())), fmt.Sprint(score.Count(replay.InTime)), fmt.Sprint(score.Count(replay.Already)),
		fmt.Sprint(score.Count(replay.Missed)), delay, fmt.Sprint(score.FalseAlarms), fmt.Sprintf("%.2f", score.Per1000(s.Healthy())),
	}
}

func delayText(reports string, after time.Duration) string {
	text := reports + " reports"
	if after > 0 {
		text += ", " + duration.String(after.Round(time.Second))
	}
	return text
}

// changeRows are a head and a row per change and monitor, and the labels that were not reached.
func (p *replayPrinter) changeRows(subjects []*replay.Subject) [][]string {
	rows := [][]string{{"MODEL", "MONITOR", "CHANGE", "TIME (UTC)", "OUTCOME", "AT REPORT", "DELAY"}}
	for _, s := range subjects {
		for i, c := range s.Changes() {
			if len(rows) > maxEventRows {
				return append(rows, []string{"… and more: --json prints all"})
			}
			for _, j := range s.Judges {
				o := j.Score.Outcomes[i]
				row := []string{s.Model, j.Name, fmt.Sprintf("%d..%d", c.From, c.To), utc(c.Start), string(o.Found), "-", "-"}
				if o.Found == replay.InTime {
					row[5], row[6] = fmt.Sprint(o.Report), delayText(fmt.Sprint(o.Delay), o.After)
				}
				rows = append(rows, row)
			}
		}
		for _, l := range s.Unreached() {
			rows = append(rows, []string{s.Model, "-", l.String(), "-", "not reached", "-", "-"})
		}
	}
	return rows
}
