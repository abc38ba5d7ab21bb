package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Summary is what a demo showed.
type Summary struct {
	Seed    uint64    `json:"seed"`
	Reports int       `json:"reports"` // of each model
	Models  []Outcome `json:"models"`
}

// Outcome is the summary of one model. Errors are shares of wrong predictions.
type Outcome struct {
	Model       string  `json:"model"`
	Stream      string  `json:"stream"`
	DriftAt     int     `json:"drift_at,omitempty"` // first report of the drift, from 1; absent: it never drifts
	Alarms      []Alarm `json:"retrain_events"`
	Delay       int     `json:"delay,omitempty"`        // reports from the drift to the first retrain event, both included
	ErrorBefore float64 `json:"error_before,omitempty"` // in the 8 reports before the drift
	ErrorWorst  float64 `json:"error_worst,omitempty"`  // of a report since
	ErrorEnd    float64 `json:"error_end"`              // in the last 8 reports
	ErrorSince  float64 `json:"error_since_drift,omitempty"`
	ErrorAlone  float64 `json:"error_since_drift_left_alone,omitempty"` // of the first config, never retrained, on the same examples
	Study       *Study  `json:"study,omitempty"`
	Proposed    int     `json:"live_configs"`
	Taken       int     `json:"live_configs_taken"`
	First       Config  `json:"first_config"`
	Last        Config  `json:"last_config"`
}

// Summary sums up the board.
func (b *Board) Summary(seed uint64) Summary {
	s := Summary{Seed: seed, Reports: b.Reports}
	for _, t := range b.Models {
		s.Models = append(s.Models, t.outcome())
	}
	return s
}

func (t *Track) outcome() Outcome {
	n := len(t.Points)
	o := Outcome{
		Model: t.Model, Stream: t.About, DriftAt: t.DriftAt, Alarms: append([]Alarm{}, t.Alarms...), Study: t.Study,
		ErrorEnd: t.mean(n-WindowBatches+1, n), Proposed: t.Proposed, Taken: t.Taken, First: t.First, Last: t.Config,
	}
	if t.DriftAt == 0 {
		return o
	}
	for _, a := range t.Alarms {
		if !a.False {
			o.Delay = t.delay(a)
			break
		}
	}
	o.ErrorBefore, o.ErrorSince = t.mean(t.DriftAt-WindowBatches, t.DriftAt-1), t.mean(t.DriftAt, n)
	since := t.Points[t.DriftAt-1:]
	for _, m := range since {
		o.ErrorWorst = max(o.ErrorWorst, m.BatchError)
		o.ErrorAlone += m.Alone / float64(len(since))
	}
	return o
}

// Write explains the summary to somebody who sees it for the first time.
func (s Summary) Write(w io.Writer) error {
	var text strings.Builder
	row := func(label string, cell func(Outcome) string) {
		line := fmt.Sprintf("  %-33s", label)
		for _, o := range s.Models {
			c := cell(o)
			line += c + strings.Repeat(" ", max(1, 16-utf8.RuneCountInString(c)))
		}
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	drifted := func(value func(Outcome) string) func(Outcome) string {
		return func(o Outcome) string {
			if o.DriftAt == 0 {
				return "-"
			}
			return value(o)
		}
	}
	row("", func(o Outcome) string { return o.Model })
	row("the drift began with report", func(o Outcome) string {
		if o.DriftAt == 0 {
			return "never"
		}
		return fmt.Sprint(o.DriftAt)
	})
	row("retrain event within", Outcome.alarm)
	row("false alarms", func(o Outcome) string { return o.falseAlarms() })
	row("wrong before the drift", drifted(func(o Outcome) string { return percent(o.ErrorBefore) }))
	row("wrong at worst after it", drifted(func(o Outcome) string { return percent(o.ErrorWorst) }))
	row("wrong at the end", func(o Outcome) string { return percent(o.ErrorEnd) })
	row("wrong from the drift to the end", drifted(func(o Outcome) string { return percent(o.ErrorSince) }))
	row("  the same, left alone", drifted(func(o Outcome) string { return percent(o.ErrorAlone) }))
	row("live configs taken", func(o Outcome) string { return fmt.Sprintf("%d of %d", o.Taken, o.Proposed) })
	row("study: wrong before → after", Outcome.study)
	text.WriteString("\n" + s.verdict() + "\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func (o Outcome) alarm() string {
	switch {
	case o.DriftAt == 0 && len(o.Alarms) == 0:
		return "none"
	case o.DriftAt == 0:
		return "-"
	case o.Delay == 0:
		return "missed"
	}
	return plural(o.Delay, "report")
}

func (o Outcome) falseAlarms() string {
	n := 0
	for _, a := range o.Alarms {
		if a.False {
			n++
		}
	}
	return fmt.Sprint(n)
}

func (o Outcome) study() string {
	if o.Study == nil || !o.Study.Finished {
		return "-"
	}
	return percent(o.Study.Baseline) + " → " + percent(o.Study.Best)
}

// verdict says the same in sentences.
func (s Summary) verdict() string {
	var lines []string
	for _, o := range s.Models {
		lines = append(lines, "  "+o.Model+": "+o.sentence())
	}
	return strings.Join(lines, "\n")
}

func (o Outcome) sentence() string {
	switch {
	case o.DriftAt == 0 && len(o.Alarms) == 0:
		return "it never drifted, and the worker never asked for a retraining."
	case o.DriftAt == 0:
		return plural(len(o.Alarms), "false alarm") + ": its concept never changed."
	case o.Delay == 0:
		return "its drift was not noticed."
	}
	return fmt.Sprintf("%s into the drift the worker asked for a retraining.\n"+
		"    From the drift on %s of its predictions were wrong; left alone, %s.",
		plural(o.Delay, "report"), percent(o.ErrorSince), percent(o.ErrorAlone))
}
