package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// ExportOptions say which study to export, where to and how.
type ExportOptions struct {
	Model, Study string
	File         string // "" or "-": standard output
	Format       string // csv, json (one list) or jsonl (one object a line); "": by the name of the file, else csv
}

// Export writes all trials of a study, by number. CSV and JSON Lines have a report
// of each trial, as Publish reads them, and what is known beside it; a JSON list
// has the records as they are stored.
func Export(ctx context.Context, b *bus.Bus, o ExportOptions, out io.Writer) error {
	v, err := findStudy(ctx, b, o.Model, o.Study)
	if err != nil {
		return err
	}
	if err := v.loadTrials(ctx, b); err != nil {
		return err
	}
	if o.File == "" || o.File == "-" {
		return v.export(out, o.format())
	}
	var all bytes.Buffer
	if err := v.export(&all, o.format()); err != nil {
		return err
	}
	return os.WriteFile(o.File, all.Bytes(), 0o644)
}

func (o ExportOptions) format() string {
	byName := map[string]string{".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
	return cmp.Or(o.Format, byName[filepath.Ext(o.File)], "csv")
}

func (v *StudyView) export(out io.Writer, format string) error {
	switch format {
	case "json":
		trials, err := trialsJSON(v.Trials)
		if err != nil {
			return err
		}
		return printJSON(out, trials)
	case "jsonl":
		return v.writeLines(out)
	}
	return v.writeCSV(out)
}

// exportLine is a trial as a report with what else is known of it. In a report the
// fields that are none are ignored.
type exportLine struct {
	Model       string             `msgpack:"model_id"`
	Study       string             `msgpack:"study"`
	Trial       int                `msgpack:"trial"`
	Attempts    int                `msgpack:"attempts"` // not as in a report: published elsewhere it is of the current one
	State       study.TrialState   `msgpack:"state"`
	Value       *float64           `msgpack:"value,omitempty"`
	Metrics     map[string]float64 `msgpack:"metrics,omitempty"`
	Config      map[string]any     `msgpack:"config"`
	DurationMS  int64              `msgpack:"duration_ms,omitempty"`
	CreatedAt   string             `msgpack:"created_at,omitempty"`
	StartedAt   string             `msgpack:"started_at,omitempty"`
	EndedAt     string             `msgpack:"ended_at,omitempty"`
	RunID       string             `msgpack:"run_id,omitempty"`
	Error       string             `msgpack:"error,omitempty"`
	PointSteps  []int64            `msgpack:"point_steps,omitempty"`
	PointValues []float64          `msgpack:"point_values,omitempty"`
}

func (v *StudyView) writeLines(out io.Writer) error {
	buffered := bufio.NewWriter(out)
	metric, _ := v.objective()
	for _, t := range v.Trials {
		line := exportLine{
			Model: v.Model, Study: v.Name, Trial: t.Number, Attempts: t.Attempt, State: t.State, Value: t.Value, Config: t.Config,
			DurationMS: t.DurationMS, CreatedAt: timeText(t.CreatedAt), StartedAt: timeText(t.StartedAt), EndedAt: timeText(t.EndedAt),
			RunID: t.RunID, Error: t.Error, PointSteps: t.PointSteps, PointValues: t.PointValues,
		}
		if t.Value != nil {
			line.Metrics = map[string]float64{metric: *t.Value}
		}
		encoded, err := wire.Encode(line, wire.JSON)
		if err != nil {
			return err
		}
		_, _ = buffered.Write(append(encoded, '\n')) // Flush tells
	}
	return buffered.Flush()
}

// exportColumns are those that every study has.
var exportColumns = []string{
	"model_id", "study", "trial", "attempts", "state", "value", "duration_ms", "created_at", "started_at", "ended_at",
	"run_id", "error", "last_step", "last_value",
}

// writeCSV has a column for the metric too, by its name: that is how reports in
// CSV give it. One that bears the name of another column is metrics.NAME.
func (v *StudyView) writeCSV(out io.Writer) error {
	metric, _ := v.objective()
	names := v.configNames()
	header := slices.Clone(exportColumns)
	if slices.Contains(header, metric) || columnOf(metric) != (column{kind: "metrics", name: metric}) {
		metric = "metrics." + metric
	}
	header = append(header, metric)
	for _, name := range names {
		header = append(header, "config."+name)
	}
	w := csv.NewWriter(out)
	_ = w.Write(header) // Error tells
	for _, t := range v.Trials {
		row := append(v.csvRow(t), valueText(t.Value))
		for _, name := range names {
			row = append(row, csvText(t.Config[name]))
		}
		_ = w.Write(row)
	}
	w.Flush()
	return w.Error()
}

// configNames are the parameters that any trial has, sorted.
func (v *StudyView) configNames() []string {
	names := map[string]bool{}
	for _, t := range v.Trials {
		for name := range t.Config {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// csvRow holds the exportColumns.
func (v *StudyView) csvRow(t study.Trial) []string {
	row := []string{
		v.Model, v.Name, strconv.Itoa(t.Number), strconv.Itoa(t.Attempt), string(t.State), valueText(t.Value),
		strconv.FormatInt(t.DurationMS, 10), timeText(t.CreatedAt), timeText(t.StartedAt), timeText(t.EndedAt), t.RunID, t.Error, "", "",
	}
	if value, step, ok := lastPoint(t); ok {
		row[len(row)-2], row[len(row)-1] = strconv.FormatInt(step, 10), valueText(&value)
	}
	return row
}

// The texts of what a trial does not have are empty.

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return wire.Time(t)
}

func valueText(v *float64) string {
	if v == nil {
		return ""
	}
	return csvText(*v)
}

func csvText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
