package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/insight"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// ShowStudyOptions say which study to show.
type ShowStudyOptions struct {
	Model, Study string
	Limit        int  // trials in the table; 0: all. JSON has all
	Latest       bool // the latest trials by number, not the best first
	JSON         bool
}

// ShowStudy prints what a study looks for, how far it is and what it found. On a
// terminal the tables fit its width; elsewhere nothing is cut.
func ShowStudy(ctx context.Context, b *bus.Bus, o ShowStudyOptions, out io.Writer) error {
	v, err := findStudy(ctx, b, o.Model, o.Study)
	if err != nil {
		return err
	}
	return v.show(ctx, b, o, out)
}

func (v *StudyView) show(ctx context.Context, b *bus.Bus, o ShowStudyOptions, out io.Writer) error {
	if err := v.loadTrials(ctx, b); err != nil {
		return err
	}
	s := newStudyScreen(*v, b.Now(), terminalWidth(out))
	if o.JSON {
		return s.printJSON(out)
	}
	return s.print(out, o)
}

// studyScreen is a study as it is shown.
type studyScreen struct {
	StudyView
	now        time.Time
	width      int                // in columns; 0: no terminal
	importance insight.Importance // no shares: unknown says why
	unknown    string
	whole      string // what prints all of it; "": worker study export
}

func newStudyScreen(v StudyView, now time.Time, width int) *studyScreen {
	s := &studyScreen{StudyView: v, now: now, width: width}
	tree, _ := v.Definition["space"].(map[string]any)
	space, err := strategy.ParseSpace(tree)
	if err == nil {
		s.importance, err = insight.Measure(space, v.results())
	}
	if err != nil {
		s.unknown = err.Error()
	}
	return s
}

// results are the complete trials.
func (v *StudyView) results() []strategy.Trial {
	var results []strategy.Trial
	for _, t := range v.Trials {
		if t.State == study.Complete && t.Value != nil {
			results = append(results, strategy.Trial{Number: t.Number, Config: t.Config, Value: *t.Value, State: strategy.Complete})
		}
	}
	return results
}

// printJSON encodes trials as package wire does: their intermediate values need
// not be finite.
func (s *studyScreen) printJSON(out io.Writer) error {
	shown := struct {
		*StudyView
		Best       json.RawMessage     `json:"best,omitempty"`
		Importance *insight.Importance `json:"importance,omitempty"`
		Unknown    string              `json:"importance_unknown,omitempty"` // why there is none
		Trials     []json.RawMessage   `json:"trials,omitempty"`
	}{StudyView: &s.StudyView, Unknown: s.unknown}
	if s.unknown == "" {
		shown.Importance = &s.importance
	}
	var err error
	if s.Best != nil {
		if shown.Best, err = wire.Encode(s.Best, wire.JSON); err != nil {
			return err
		}
	}
	if shown.Trials, err = trialsJSON(s.Trials); err != nil {
		return err
	}
	return printJSON(out, shown)
}

func trialsJSON(trials []study.Trial) ([]json.RawMessage, error) {
	encoded := make([]json.RawMessage, len(trials))
	for i, t := range trials {
		var err error
		if encoded[i], err = wire.Encode(t, wire.JSON); err != nil {
			return nil, err
		}
	}
	return encoded, nil
}

func (s *studyScreen) print(out io.Writer, o ShowStudyOptions) error {
	var text strings.Builder
	s.head(&text)
	s.curve(&text)
	s.parameters(&text)
	s.table(&text, o)
	s.failures(&text)
	_, err := io.WriteString(out, text.String())
	return err
}

func (s *studyScreen) head(out io.Writer) {
	metric, goal := s.objective()
	verb := "took"
	if s.State == running {
		verb = "for"
	}
	fmt.Fprintf(out, "%s of model %s: %s, started %s, %s %s\n", s.Name, s.Model, s.stateText(), clock(s.StartedAt), verb, took(s.StartedAt, s.FinishedAt, s.now))
	fmt.Fprintf(out, "%s %s by %s%s\n", goal, printable(metric), s.Strategy, s.bounds())
	if s.Explained != "" {
		fmt.Fprintln(out, printable(s.Explained))
	}
	fmt.Fprintf(out, "%s%s\n", plural(s.total(), "trial"), s.countsText())
	if s.Best == nil {
		return
	}
	best := fmt.Sprintf("best: %s in trial %d", numberText(*s.Best.Value), s.Best.Number)
	if config := " with " + printable(configText(s.Best.Config)); s.width == 0 || runes(best+config) <= s.width {
		best += config // otherwise the parameters have it
	}
	fmt.Fprintln(out, best)
}

func (v *StudyView) stateText() string {
	switch {
	case v.State == running:
		return running
	case v.Error != "":
		return "ended (" + v.State + ": " + printable(v.Error) + ")"
	}
	return "ended (" + v.State + ")"
}

func (v *StudyView) bounds() string {
	var text string
	for _, field := range []string{"max_trials", "max_duration", "parallelism", "trial_timeout", "retries", "baseline"} {
		if value := v.Definition[field]; value != nil {
			text += fmt.Sprintf(", %s %s", field, printable(numberText(value)))
		}
	}
	if pruner, ok := v.Definition["pruner"].(map[string]any); ok && pruner["type"] != nil {
		text += ", pruner " + printable(fmt.Sprint(pruner["type"]))
	}
	return text
}

// trialStates are in the order in which they are shown: results first.
var trialStates = []study.TrialState{
	study.Complete, study.Pruned, study.Running, study.Waiting, study.Failed, study.TimedOut, study.Stopped,
}

func (v *StudyView) countsText() string {
	var counts []string
	for _, state := range trialStates {
		if n := v.Counts[state]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(counts) == 0 {
		return ""
	}
	return ": " + strings.Join(counts, ", ")
}

// failures lists why trials failed, those with the same reason together.
func (s *studyScreen) failures(out io.Writer) {
	numbers := map[string][]string{}
	var reasons []string
	for _, t := range s.Trials {
		if t.State != study.Failed && t.State != study.TimedOut || t.Error == "" {
			continue
		}
		if numbers[t.Error] == nil {
			reasons = append(reasons, t.Error)
		}
		numbers[t.Error] = append(numbers[t.Error], fmt.Sprint(t.Number))
	}
	const shown = 5
	for i, reason := range reasons[:min(len(reasons), shown)] {
		if i == 0 {
			fmt.Fprintln(out)
		}
		trials := numbers[reason]
		list := strings.Join(trials[:min(len(trials), shown)], ", ")
		if more := len(trials) - shown; more > 0 {
			list += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintln(out, s.fitted(fmt.Sprintf("failed (%s): %s", list, printable(reason))))
	}
	if more := len(reasons) - shown; more > 0 {
		fmt.Fprintf(out, "… and for %d more reasons\n", more)
	}
}

// fitted cuts a line to the terminal.
func (s *studyScreen) fitted(line string) string {
	if s.width == 0 {
		return line
	}
	return shortened(line, s.width)
}

// parameterText says what values a parameter may have, and when it exists.
func parameterText(v any) string {
	parameter, _ := v.(map[string]any)
	var text []string
	add := func(field, format string) {
		if parameter[field] != nil {
			text = append(text, fmt.Sprintf(format, listText(parameter[field], ", ")))
		}
	}
	add("type", "%s")
	add("low", "%s")
	add("high", "to %s")
	add("step", "by %s")
	if parameter["log"] == true {
		text = append(text, "log")
	}
	add("choices", "%s")
	add("values", "%s")
	when, _ := parameter["when"].(map[string]any)
	for i, other := range slices.Sorted(maps.Keys(when)) {
		text = append(text, []string{"if", "and"}[min(i, 1)], other, "is", listText(when[other], " or "))
	}
	return strings.Join(text, " ")
}

func listText(v any, between string) string {
	list, ok := v.([]any)
	if !ok {
		return numberText(v)
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = numberText(v)
	}
	return strings.Join(texts, between)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
