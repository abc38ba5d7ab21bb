package app

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// ExportStudy writes all trials of a study, by number: as CSV with a column per
// parameter, or as a JSON list.
func ExportStudy(ctx context.Context, b *bus.Bus, model, name, format string, out io.Writer) error {
	v, err := findStudy(ctx, b, model, name)
	if err != nil {
		return err
	}
	if err := v.loadTrials(ctx, b); err != nil {
		return err
	}
	if format == "json" {
		return printJSON(out, append([]study.Trial{}, v.Trials...))
	}
	return writeCSV(v.Trials, out)
}

func writeCSV(trials []study.Trial, out io.Writer) error {
	parameters := map[string]bool{}
	for _, t := range trials {
		for name := range t.Config {
			parameters[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(parameters))
	header := []string{"trial", "state", "value", "attempts", "duration_ms", "created_at", "started_at", "ended_at", "run_id", "error"}
	for _, name := range names {
		header = append(header, "config."+name)
	}
	w := csv.NewWriter(out)
	_ = w.Write(header) // Error tells
	for _, t := range trials {
		_ = w.Write(csvRow(t, names))
	}
	w.Flush()
	return w.Error()
}

func csvRow(t study.Trial, names []string) []string {
	value := ""
	if t.Value != nil {
		value = strconv.FormatFloat(*t.Value, 'g', -1, 64)
	}
	row := []string{
		strconv.Itoa(t.Number), string(t.State), value, strconv.Itoa(t.Attempt), strconv.FormatInt(t.DurationMS, 10),
		csvTime(t.CreatedAt), csvTime(t.StartedAt), csvTime(t.EndedAt), t.RunID, t.Error,
	}
	for _, name := range names {
		row = append(row, csvValue(t.Config[name]))
	}
	return row
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return wire.Time(t)
}

func csvValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
