package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/guptarohit/asciigraph"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
)

// ShowStudyOptions say which study to show.
type ShowStudyOptions struct {
	Model, Study string
	Limit        int // latest trials in the table; 0: all. JSON has all
	JSON         bool
}

// ShowStudy prints what a study looks for, how far it is and what it found.
func ShowStudy(ctx context.Context, b *bus.Bus, o ShowStudyOptions, out io.Writer) error {
	v, err := findStudy(ctx, b, o.Model, o.Study)
	if err != nil {
		return err
	}
	if err := v.loadTrials(ctx, b); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, v)
	}
	v.head(out, b.Now())
	v.curve(out)
	return v.table(out, o.Limit)
}

func (v *StudyView) head(out io.Writer, now time.Time) {
	metric, goal := v.objective()
	verb := "took"
	if v.State == running {
		verb = "for"
	}
	fmt.Fprintf(out, "%s of model %s: %s, started %s, %s %s\n", v.Name, v.Model, v.stateText(), clock(v.StartedAt), verb, took(v.StartedAt, v.FinishedAt, now))
	fmt.Fprintf(out, "%s %s by %s%s\n", goal, printable(metric), v.Strategy, v.bounds())
	space, _ := v.Definition["space"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(space)) {
		fmt.Fprintf(out, "  %s: %s\n", printable(name), printable(parameterText(space[name])))
	}
	var counts []string
	for _, state := range slices.Sorted(maps.Keys(v.Counts)) {
		counts = append(counts, fmt.Sprintf("%d %s", v.Counts[state], state))
	}
	fmt.Fprintf(out, "%d trials: %s\n", v.total(), strings.Join(counts, ", "))
	if v.Best != nil {
		fmt.Fprintf(out, "best: %s in trial %d with %s\n", numberText(*v.Best.Value), v.Best.Number, printable(configText(v.Best.Config)))
	}
}

// parameterText says what a parameter may be, its kind and bounds first.
func parameterText(v any) string {
	parameter, _ := v.(map[string]any)
	rest := maps.Clone(parameter)
	var text []string
	if kind, ok := rest["type"]; ok {
		text = append(text, fmt.Sprint(kind))
		delete(rest, "type")
	}
	if rest["low"] != nil && rest["high"] != nil {
		text = append(text, numberText(rest["low"])+" to "+numberText(rest["high"]))
		delete(rest, "low")
		delete(rest, "high")
	}
	if rest["log"] == true {
		text = append(text, "log")
	}
	delete(rest, "log")
	when, _ := rest["when"].(map[string]any)
	delete(rest, "when")
	if len(rest) > 0 {
		text = append(text, pairs(rest, " "))
	}
	for i, other := range slices.Sorted(maps.Keys(when)) {
		text = append(text, []string{"when", "and"}[min(i, 1)], fmt.Sprintf("%s is one of %v", other, when[other]))
	}
	return strings.Join(text, " ")
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
			text += fmt.Sprintf(", %s %s", field, numberText(value))
		}
	}
	return text
}

// curve draws the best value so far over the complete trials.
func (v *StudyView) curve(out io.Writer) {
	best := v.bestSoFar()
	if len(best) < 2 {
		return
	}
	metric, _ := v.objective()
	fmt.Fprintf(out, "\n%s\n\n", asciigraph.Plot(best, asciigraph.Height(6), asciigraph.Width(min(60, len(best))),
		asciigraph.YAxisValueFormatter(func(y float64) string { return fmt.Sprintf("%.4g", y) }),
		asciigraph.Caption("best "+printable(metric)+" so far")))
}

func (v *StudyView) bestSoFar() []float64 {
	_, goal := v.objective()
	var best []float64
	for _, t := range v.Trials {
		if t.State != study.Complete || t.Value == nil {
			continue
		}
		value := *t.Value
		if n := len(best); n > 0 && !goal.Better(value, best[n-1]) {
			value = best[n-1]
		}
		best = append(best, value)
	}
	return best
}

func (v *StudyView) table(out io.Writer, limit int) error {
	trials := v.Trials
	if limit > 0 && len(trials) > limit {
		trials = trials[len(trials)-limit:]
	}
	if len(trials) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "TRIAL\tSTATE\tVALUE\tATTEMPTS\tDURATION\tCONFIG")
	for _, t := range trials {
		value, duration := "-", "-"
		if t.Value != nil {
			value = numberText(*t.Value)
		}
		if t.DurationMS > 0 {
			duration = shortDuration(time.Duration(t.DurationMS) * time.Millisecond)
		}
		config := configText(t.Config)
		if t.Error != "" {
			config += " (" + t.Error + ")"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%s\n", t.Number, t.State, value, t.Attempt, duration, printable(config))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if hidden := len(v.Trials) - len(trials); hidden > 0 {
		fmt.Fprintf(out, "… and %d earlier ones: --limit 0 shows all, worker study export %s %s writes them to a file\n", hidden, v.Model, v.Name)
	}
	return nil
}
