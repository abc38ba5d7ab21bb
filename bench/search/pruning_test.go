package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/visutility/retune/bench/search/problem"
)

// learning is a set of seeded curves that fall from 1 to a level.
func learning(configs, steps int) *curveSet {
	s := &curveSet{Name: "learning", Goal: "minimize"}
	r := rand.New(rand.NewPCG(1, 2))
	for step := range steps {
		s.Steps = append(s.Steps, int64(step+1))
	}
	for range configs {
		level, rate := r.Float64(), 0.02+r.Float64()/2
		var curve curveValues
		for step := range steps {
			curve = append(curve, level+(1-level)*math.Pow(1-rate, float64(step))+0.02*r.NormFloat64())
		}
		s.Curves = append(s.Curves, curve)
	}
	return s
}

func TestReplayNone(t *testing.T) {
	t.Parallel()
	s := learning(12, 9)
	for _, parallel := range []int{1, 5, 100} {
		r := replayStudy(s, newPruningRun(s, parallel, 3), nil)
		if r.Used != s.fullSteps() || s.regret(r.Best) != 0 || !s.within(r.Best) {
			t.Errorf("%d in parallel: %d steps of %d, regret %v", parallel, r.Used, s.fullSteps(), s.regret(r.Best))
		}
	}
}

// TestReplayStops: nothing is within the bound, so each trial has its first step and none is selected.
func TestReplayStops(t *testing.T) {
	t.Parallel()
	s := learning(12, 9)
	r, err := ourReplayer("threshold:upper=-9")(s, newPruningRun(s, 5, 3))
	if err != nil || r.Used != 12 || r.Best != nil || s.regret(r.Best) != 1 || s.within(r.Best) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestDiverged: a trial whose last value is NaN is no result, at once or in the middle.
func TestDiverged(t *testing.T) {
	t.Parallel()
	s := learning(3, 4)
	s.Curves[0][3], s.Curves[1][3] = math.NaN(), 5
	s.Curves[2][3] = 4
	if got := s.final(); !reflect.DeepEqual(got, []float64{4, 5}) {
		t.Errorf("final values %v", got)
	}
	if r := replayStudy(s, newPruningRun(s, 2, 0), nil); r.Best == nil || *r.Best != 4 {
		t.Errorf("%+v", r)
	}
	text, err := json.Marshal(s)
	var again curveSet
	if err != nil || json.Unmarshal(text, &again) != nil || !math.IsNaN(again.Curves[0][3]) || again.Curves[2][3] != 4 {
		t.Errorf("%s, %v became %v", text, err, again)
	}
}

// TestReplayAsOptuna: with the same rungs our asha and Optuna's take the same decisions in the same
// simulated study, also when trials run at once.
func TestReplayAsOptuna(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts Python")
	}
	process, err := problem.Start(cmp.Or(os.Getenv("RETUNE_PYTHON"), "python3"), pruningScript)
	if err != nil || process.Hello["optuna"] == nil {
		t.Skipf("no Optuna: %v", err)
	}
	defer process.Close()
	s := learning(20, 17)
	if err := process.Call(map[string]any{"op": "set", "set": s}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"asha:min_resource=1", "asha:min_resource=2:reduction_factor=2"} {
		for seed, parallel := range []int{1, 3, 8} {
			run := newPruningRun(s, parallel, seed)
			ours, err := ourReplayer(name)(s, run)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := optunaReplayer(process, name)(s, run)
			if err != nil {
				t.Fatal(err)
			}
			if ours.Used != theirs.Used || *ours.Best != *theirs.Best {
				t.Errorf("%s, %d in parallel: %d steps and %v, Optuna %d and %v", name, parallel, ours.Used, *ours.Best, theirs.Used, *theirs.Best)
			}
		}
	}
}

func TestRecordedSet(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "reports.jsonl")
	write := func(lines ...string) {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"trial":0,"step":1,"metrics":{"accuracy":0.1}}`, `{"trial":0,"step":2,"metrics":{"accuracy":0.2}}`,
		`{"trial":1,"step":1,"metrics":{"accuracy":0.3}}`, `{"trial":1,"step":2,"metrics":{"accuracy":0.4}}`)
	s, err := recordedSet(path)
	if err != nil || !reflect.DeepEqual(s.Steps, []int64{1, 2}) || !reflect.DeepEqual(s.Curves, []curveValues{{0.1, 0.2}, {0.3, 0.4}}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, lines := range [][]string{
		nil,
		{`{"trial":3}`},
		{`{"trial":-1}`},
		{`not JSON`},
		{`{"trial":0,"step":1}`, `{"trial":0,"step":2}`, `{"trial":1,"step":1}`},
	} {
		write(lines...)
		if s, err := recordedSet(path); err == nil || !strings.Contains(err.Error(), "reports.jsonl") {
			t.Errorf("%q: %+v, %v", lines, s, err)
		}
	}
}

// TestPruning runs the comparison without Python, on curves kept in the output folder.
func TestPruning(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text, err := json.Marshal([]*curveSet{learning(10, 12)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "curves.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	o := &options{Python: "no-such-python", Data: folder, Out: folder, Parallel: []int{1, 3}, Seeds: 2}
	var out, note bytes.Buffer
	if err := o.pruning(&out, &note); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no Python", "no recorded curves"} {
		if !strings.Contains(note.String(), want) {
			t.Errorf("the notes lack %q: %s", want, note.String())
		}
	}
	for _, want := range []string{"=== 1 in parallel", "3 in parallel, learning: 10 configs × 12 steps", "asha:max_resource=last"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q: %s", want, out.String())
		}
	}
	for name, want := range map[string]int{
		"pruning.csv":         1 + len(ourPruners)*2*leastPruningSeeds,
		"pruning_summary.csv": 1 + len(ourPruners)*2*2*len(pruningMeasures),
	} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		lines, bad := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil || bad != nil || len(lines) != want {
			t.Errorf("%s has %d lines, want %d: %v, %v", name, len(lines), want, err, bad)
		}
	}
}

// TestPruningOfNothing is no failure: the data are not part of the project.
func TestPruningOfNothing(t *testing.T) {
	t.Parallel()
	o := &options{Python: "no-such-python", Data: t.TempDir(), Parallel: []int{1}}
	var out, note bytes.Buffer
	if err := o.pruning(&out, &note); err != nil || out.Len() > 0 || !strings.Contains(note.String(), "nothing to compare") {
		t.Errorf("%v, %q, %q", err, out.String(), note.String())
	}
}
