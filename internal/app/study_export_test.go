package app

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// examined is a study of every kind of trial.
func examined() StudyView {
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	value := func(v float64) *float64 { return &v }
	v := StudyView{
		Model: "m", Name: "s", State: running, Strategy: "random", StartedAt: at,
		Definition: map[string]any{
			"objective": map[string]any{"metric": "auc", "goal": "maximize"}, "max_trials": int64(9), "pruner": map[string]any{"type": "median"},
			"space": map[string]any{
				"lr":   map[string]any{"type": "float", "low": 1e-5, "high": 0.1, "log": true, "when": map[string]any{"kind": []any{"net", "deep"}}},
				"kind": map[string]any{"type": "categorical", "choices": []any{"net", "deep", true}},
				"size": map[string]any{"values": []any{int64(16), int64(32)}},
			},
		},
		Trials: []study.Trial{
			{Number: 0, Attempt: 1, State: study.Complete, Value: value(0.5), Config: map[string]any{"kind": "net", "lr": 0.00123456789, "size": int64(16)}, DurationMS: 1500, CreatedAt: at, StartedAt: at, EndedAt: at.Add(time.Second), RunID: "r0"},
			{Number: 1, Attempt: 2, State: study.Failed, Config: map[string]any{"kind": true, "size": int64(32)}, Error: "out of memory,\nthen \x1b[31mlost", CreatedAt: at},
			{Number: 2, Attempt: 1, State: study.Pruned, Config: map[string]any{"kind": "deep", "lr": 1e-05, "size": int64(16)}, Error: "worse than the median", PointSteps: []int64{1, 5}, PointValues: []float64{0.1, math.NaN()}},
			{Number: 3, Attempt: 1, State: study.Complete, Value: value(0.75), Config: map[string]any{"kind": true, "size": int64(32)}},
			{Number: 4, Attempt: 1, State: study.Running, Config: map[string]any{"kind": true, "size": int64(16)}, PointSteps: []int64{2}, PointValues: []float64{0.25}},
			{Number: 5, Attempt: 1, State: study.Waiting, Config: map[string]any{"kind": true, "size": int64(16)}},
			{Number: 6, Attempt: 1, State: study.Failed, Config: map[string]any{"kind": true, "size": int64(32)}, Error: "out of memory,\nthen \x1b[31mlost"},
		},
		Counts: map[study.TrialState]int{study.Complete: 2, study.Failed: 2, study.Pruned: 1, study.Running: 1, study.Waiting: 1},
	}
	v.Best = &v.Trials[3]
	return v
}

func TestExportAsCSV(t *testing.T) {
	t.Parallel()
	v := examined()
	var out bytes.Buffer
	if err := v.export(&out, "csv"); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 8 {
		t.Fatalf("%v %v", rows, err)
	}
	for i, want := range map[int]string{
		0: "model_id study trial attempts state value duration_ms created_at started_at ended_at run_id error last_step last_value auc config.kind config.lr config.size",
		1: "m s 0 1 complete 0.5 1500 2026-03-01T12:00:00.000000005Z 2026-03-01T12:00:00.000000005Z 2026-03-01T12:00:01.000000005Z r0    0.5 net 0.00123456789 16",
		3: "m s 2 1 pruned  0     worse than the median 5 NaN  deep 1e-05 16",
		4: "m s 3 1 complete 0.75 0        0.75 true  32",
	} {
		if got := strings.Join(rows[i], " "); got != want {
			t.Errorf("row %d\n%q, wanted\n%q", i, got, want)
		}
	}
	if got := rows[2][slices.Index(rows[0], "error")]; got != v.Trials[1].Error {
		t.Errorf("%q", got)
	}
}

// A metric may bear the name of a column: it is still told from it, and comes back.
func TestExportOfAMetricWithTheNameOfAColumn(t *testing.T) {
	t.Parallel()
	v := examined()
	for _, metric := range []string{"value", "error", "time", "config.lr", "metrics.auc"} {
		v.Definition["objective"] = map[string]any{"metric": metric}
		var out bytes.Buffer
		if err := v.export(&out, "csv"); err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(out.String(), "\n")
		columns := strings.Split(header, ",")
		slices.Sort(columns)
		if len(slices.Compact(slices.Clone(columns))) != len(columns) {
			t.Errorf("%s: %s", metric, header)
		}
		if first := readSource(t, "f.csv", out.String())[0]; !strings.Contains(string(first.body), `"metrics":{"`+metric+`":0.5}`) {
			t.Errorf("%s: comes back as %s %v", metric, first.body, first.err)
		}
	}
}

func TestExportAsJSON(t *testing.T) {
	t.Parallel()
	v := examined()
	var lines, list bytes.Buffer
	if err := errors.Join(v.export(&lines, "jsonl"), v.export(&list, "json")); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(lines.String(), "\n")
	want := `{"model_id":"m","study":"s","trial":0,"attempts":1,"state":"complete","value":0.5,"metrics":{"auc":0.5},` +
		`"config":{"kind":"net","lr":0.00123456789,"size":16},"duration_ms":1500,"created_at":"2026-03-01T12:00:00.000000005Z",` +
		`"started_at":"2026-03-01T12:00:00.000000005Z","ended_at":"2026-03-01T12:00:01.000000005Z","run_id":"r0"}`
	if first != want || strings.Count(lines.String(), "\n") != 7 {
		t.Errorf("%s\nwanted\n%s", &lines, want)
	}
	if !strings.Contains(lines.String(), `"point_steps":[1,5],"point_values":[0.1,"NaN"]}`) {
		t.Errorf("%s", &lines)
	}
	records := object[[]map[string]any](t, &list)
	if len(records) != 7 || records[0]["number"] != 0.0 || records[2]["created_at"] != nil || records[2]["point_values"].([]any)[1] != "NaN" {
		t.Errorf("%v", records)
	}
	list.Reset()
	if err := (&StudyView{}).export(&list, "json"); err != nil || list.String() != "[]\n" {
		t.Errorf("%v %s", err, &list)
	}
}

func TestExportToAFile(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{"": "csv", "-": "csv", "a.csv": "csv", "a.jsonl": "jsonl", "a.ndjson": "jsonl", "a.json": "json", "json": "csv"} {
		if got := (ExportOptions{File: file}).format(); got != want {
			t.Errorf("%s is %s", file, got)
		}
	}
	if got := (ExportOptions{File: "a.json", Format: "csv"}).format(); got != "csv" {
		t.Error(got)
	}
	c := newCommandBundle(t)
	c.worker()
	if _, err := c.start(StartOptions{}, quadratic+"max_trials: 2\n"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.jsonl")
	var out bytes.Buffer
	if err := Export(t.Context(), c.bus, ExportOptions{Model: "m", Study: "s", File: path}, &out); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if line := map[string]any{}; err != nil || json.Unmarshal(written, &line) != nil || line["state"] != "waiting" || out.Len() > 0 {
		t.Errorf("%s %v", written, err)
	}
	err = Export(t.Context(), c.bus, ExportOptions{Model: "m", Study: "s", File: filepath.Join(path, "no-folder")}, &out)
	if !errors.Is(err, os.ErrNotExist) && err == nil {
		t.Error("written where nothing can be")
	}
}

// The same study runs elsewhere: its seed makes it propose the same trials, and
// the exported results are their reports.
func TestAnExportCanBePublished(t *testing.T) {
	t.Parallel()
	for _, format := range exportsToPublish {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			definition := quadratic + "max_trials: 6\n"
			first := newCommandBundle(t)
			first.worker()
			first.train("m")
			if _, err := first.start(StartOptions{Wait: true}, definition); err != nil {
				t.Fatal(err)
			}
			var exported bytes.Buffer
			if err := Export(t.Context(), first.bus, ExportOptions{Model: "m", Study: "s", Format: format}, &exported); err != nil {
				t.Fatal(err)
			}
			second := newCommandBundle(t)
			second.worker()
			if _, err := second.start(StartOptions{}, definition); err != nil {
				t.Fatal(err)
			}
			var notes bytes.Buffer
			if err := Publish(t.Context(), second.bus, PublishOptions{Study: "s"}, &exported, new(bytes.Buffer), &notes); err != nil {
				t.Fatalf("%v: %s", err, &notes)
			}
			if got, want := second.ended(), first.ended(); got != want || !strings.Contains(want, "6 complete") {
				t.Errorf("%s, wanted %s", got, want)
			}
		})
	}
}

// Trials that a report cannot tell of are passed over, by publish and by replay.
func TestAnExportOfEveryKindOfTrialIsRead(t *testing.T) {
	t.Parallel()
	for _, format := range exportsToPublish {
		v := examined()
		var exported, out, notes bytes.Buffer
		if err := v.export(&exported, format); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "s."+format)
		if err := os.WriteFile(file, exported.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		c := newCommandBundle(t)
		if err := Publish(t.Context(), c.bus, PublishOptions{JSON: true}, &exported, &out, &notes); err != nil || notes.Len() > 0 {
			t.Errorf("%s: %v\n%s", format, err, &notes)
		}
		if done := object[Published](t, &out); done.Published != 4 || done.Skipped != 3 || done.Rejected != 0 {
			t.Errorf("%s: %+v", format, done)
		}
		for _, m := range c.inputs() {
			if r, err := wire.DecodeReport(m.Data, ""); err != nil || len(r.Metrics) > 1 || r.Attempt != 0 {
				t.Errorf("%s: %s %v", format, m.Data, err)
			}
		}
		notes.Reset()
		err := Replay(t.Context(), Globals{}, ReplayOptions{File: file}, nil, &out, &notes)
		if err == nil || !strings.Contains(err.Error(), "no live report to replay: 7 of trials") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// ended waits for the end of the study and tells its counts and its best trial.
func (c *commandBundle) ended() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	layout, err := c.bus.Layout(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := (sentCommand{model: "m", partition: layout.Partition("m")}).awaitEnd(ctx, c.bus, "s"); err != nil {
		c.t.Fatal(err)
	}
	v, err := findStudy(ctx, c.bus, "m", "s")
	if err != nil || v.Best == nil {
		c.t.Fatalf("%+v %v", v, err)
	}
	return v.countsText() + ", best " + numberText(*v.Best.Value) + " with " + configText(v.Best.Config)
}

// exportsToPublish are the formats that worker publish reads.
var exportsToPublish = []string{"jsonl", "csv"}
