package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/observer"
)

func small(folder string) *options {
	return &options{
		Detectors: []string{"rolling_mean:window=10:threshold=0.3"}, River: []string{"none"}, Kinds: []string{"gaussian", "binary"},
		Shifts: []float64{3}, Ramps: []float64{0.1}, Streams: 120, Horizon: 200, Healthy: 50, Within: 60, WarmUp: 30,
		Mean: 10, SD: 1, Seed: 1, Jobs: 2, Python: "no-python-here", Out: folder,
	}
}

// TestRun: the number of jobs changes nothing, a detector is judged as it is one stream at a time, and what is there
// is not run again.
func TestRun(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var two, one, note bytes.Buffer
	o := small(folder)
	if err := o.run(t.Context(), &two, &note); err != nil {
		t.Fatal(err)
	}
	alone := small("")
	alone.Jobs = 1
	if err := alone.run(t.Context(), &one, io.Discard); err != nil || one.String() != two.String() {
		t.Errorf("%v, with one job\n%s, with two\n%s", err, one.String(), two.String())
	}
	checkOneByOne(t, o)
	if !strings.Contains(note.String(), "gaussian: 3 comparisons") {
		t.Errorf("noted %q", note.String())
	}
	note.Reset()
	o.Detectors = append(o.Detectors, "rolling_mean")
	o.StreamsAt = map[string]int{"rolling_mean": 7}
	if err := o.run(t.Context(), io.Discard, &note); err != nil || strings.Count(note.String(), ": 3 comparisons") != 2 {
		t.Errorf("%v, noted %q", err, note.String())
	}
	if s, err := openStore(folder); err != nil || s.rows[cell{"rolling_mean", "binary", "shift 3"}].streams != 7 {
		t.Errorf("%v, rows %+v", err, s.rows)
	}
	note.Reset()
	o.StreamsAt["rolling_mean"] = 8
	if err := o.run(t.Context(), io.Discard, &note); err != nil || strings.Count(note.String(), ": 3 comparisons") != 2 {
		t.Errorf("with one stream more: %v, noted %q", err, note.String())
	}
	o.Seed = 2
	if err := o.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "other settings") {
		t.Errorf("another seed in the same folder: %v", err)
	}
}

func checkOneByOne(t *testing.T, o *options) {
	t.Helper()
	c, err := newOurs(o.Detectors[0])
	if err != nil {
		t.Fatal(err)
	}
	firsts, values := make([]int, o.Streams), make([]float64, o.Healthy+o.Within)
	for i := range firsts {
		generator{o.Mean, o.SD, o.Seed}.fill(values, kindNamed(t, "gaussian"), change{size: 3}, o.Healthy, i)
		firsts[i] = c.first(values)
	}
	s, err := openStore(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	at := cell{c.name, "gaussian", "shift 3"}
	if want := newTally(at, false, firsts, s.settings); s.rows[at] != want || want.alarms < 50 {
		t.Errorf("judged in blocks %+v, one by one %+v", s.rows[at], want)
	}
}

func TestInterruptedRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := small("").run(ctx, io.Discard, io.Discard); err == nil {
		t.Error("an interrupted run ends without an error")
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for wanted, spoil := range map[string]func(*options){
		"--detectors: nonsense":       func(o *options) { o.Detectors = []string{"nonsense"} },
		"is not option=value":         func(o *options) { o.Detectors = []string{"rolling_mean:window"} },
		`--kinds: "cubic" is not`:     func(o *options) { o.Kinds = []string{"cubic"} },
		"--shifts, --ramps: -1 is":    func(o *options) { o.Shifts = []float64{-1} },
		"--horizon: 0 is not":         func(o *options) { o.Horizon = 0 },
		"--sd: 0 is not":              func(o *options) { o.SD = 0 },
		"--report: there is nothing ": func(o *options) { o.Report = true },
	} {
		o := small("")
		spoil(o)
		if err := o.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("the error is %v, want %s…", err, wanted)
		}
	}
}

// TestEveryDetector: each that there is can be built as all has it, and tells a clear change on streams for it.
func TestEveryDetector(t *testing.T) {
	t.Parallel()
	o := small("")
	o.Detectors, o.FalseAlarms = []string{"all"}, []int{1000}
	contenders, err := o.contenders(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range contenders {
		names[baseName(c.name)] = true
		i := slices.IndexFunc(kinds, func(k kind) bool { return c.judges(&k) })
		values := make([]float64, 1200)
		generator{o.Mean, o.SD, o.Seed}.fill(values, &kinds[i], change{size: 5}, 200, 0)
		if c.first(values) == 0 {
			t.Errorf("%s does not tell a shift of 5", c.name)
		}
	}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, observer.Detectors()) {
		t.Errorf("all are %q, want %q", got, observer.Detectors())
	}
}

func TestWithoutRiver(t *testing.T) {
	t.Parallel()
	o := small("")
	o.River = []string{"all"}
	var note bytes.Buffer
	if err := o.run(t.Context(), io.Discard, &note); err != nil || !strings.Contains(note.String(), "no River, its detectors are left out") {
		t.Errorf("%v, noted %q", err, note.String())
	}
}

func TestRiver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts Python")
	}
	python := cmp.Or(os.Getenv("RETUNE_PYTHON"), "python3")
	process, err := problem.Start(python, riverScript)
	if err != nil {
		t.Skipf("no River: %v", err)
	}
	defer process.Close()
	steady, jumping := slices.Repeat([]float64{0, 1}, 150), slices.Repeat([]float64{0, 1}, 50)
	for range 100 {
		jumping = append(jumping, 20, 21)
	}
	alarms, err := riverFirst(process, map[string]int{"adwin": 2, "page_hinkley": 2, "ddm": 1}, slices.Concat(steady, jumping), 300, 0)
	// ADWIN looks at every 32nd value, Page and Hinkley's test tells once the sum is over 50.
	if err != nil || !slices.Equal(alarms["adwin"], []int{0, 128}) || !slices.Equal(alarms["page_hinkley"], []int{0, 103}) || len(alarms["ddm"]) != 1 {
		t.Errorf("%v, %v", alarms, err)
	}
	if _, err := riverFirst(process, map[string]int{"nonsense": 1}, steady, 300, 0); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("the error is %v", err)
	}
	if ns, err := riverNanoseconds(process, "adwin", steady, 0.001); err != nil || ns <= 0 {
		t.Errorf("%v ns, %v", ns, err)
	}
	o := small("")
	o.Python, o.River = python, []string{"page_hinkley", "hddm_a", "nonsense"}
	var out, note bytes.Buffer
	if err := o.run(t.Context(), &out, &note); err != nil || !strings.Contains(note.String(), "River has no nonsense") {
		t.Errorf("%v, noted %q", err, note.String())
	}
	if !strings.Contains(out.String(), "river-page_hinkley") || !strings.Contains(out.String(), "river-hddm_a") {
		t.Errorf("reported\n%s", out.String())
	}
}
