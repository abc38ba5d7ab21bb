package app

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/visutility/retune/internal/study"
)

const quadratic = `model: m
name: s
objective: {metric: loss, goal: minimize}
space:
  x: {type: float, low: -1, high: 1}
strategy: random
seed: 1
`

// start starts the study of the text.
func (c *commandBundle) start(o StartOptions, text string) (string, error) {
	c.t.Helper()
	o.File = "-"
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	var out bytes.Buffer
	err := StartStudy(c.t.Context(), c.bus, o, strings.NewReader(text), &out)
	return out.String(), err
}

// TestWaitingInVain: a script must not go on as if there were a result.
func TestWaitingInVain(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	for _, study := range []struct{ name, bound, want string }{
		{"short", "max_duration: 100ms", "study short of model m ended (max_duration) without a complete trial"},
		{"long", "max_trials: 1", "interrupted: study long of model m runs on: worker study show m long"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if study.name == "long" {
			time.AfterFunc(time.Second, cancel)
		}
		text := strings.Replace(quadratic, "name: s", "name: "+study.name, 1) + study.bound
		err := StartStudy(ctx, c.bus, StartOptions{File: "-", Timeout: 10 * time.Second, Wait: true}, strings.NewReader(text), io.Discard)
		if err == nil || err.Error() != study.want {
			t.Errorf("%v, wanted %s", err, study.want)
		}
	}
}

func TestAStudyFromItsStartToItsEnd(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	c.train("m")
	got, err := c.start(StartOptions{Wait: true}, quadratic+"max_trials: 12\nparallelism: 3\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"s of model m: ended (max_trials), started ", "minimize loss by random, max_trials 12, parallelism 3\n", "\nx          float -1 to 1  ",
		"12 trials: 12 complete\n", "best: ", "best loss so far, over 12 complete trials", "TRIAL  STATE", "1.5s", "… and 2 more trials",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if again, err := c.start(StartOptions{}, quadratic+"max_trials: 12\nparallelism: 3\n"); err != nil || !strings.Contains(again, "has ended (max_trials)") {
		t.Errorf("%s %v", again, err)
	}
	if again, err := c.start(StartOptions{Wait: true}, quadratic+"max_trials: 12\nparallelism: 3\n"); err != nil || !strings.Contains(again, "ended (max_trials)") {
		t.Errorf("%s %v", again, err)
	}

	var out bytes.Buffer
	if err := ShowStudy(t.Context(), c.bus, ShowStudyOptions{Model: "m", Study: "s", JSON: true}, &out); err != nil {
		t.Fatal(err)
	}
	v := object[StudyView](t, &out)
	if v.State != study.EndMaxTrials || len(v.Trials) != 12 || v.Best == nil || v.Definition["seed"] != 1.0 {
		t.Errorf("%+v", v)
	}
	for _, trial := range v.Trials {
		if *trial.Value < *v.Best.Value {
			t.Errorf("trial %d has %g, the best %g", trial.Number, *trial.Value, *v.Best.Value)
		}
	}
	out.Reset()
	if err := Export(t.Context(), c.bus, ExportOptions{Model: "m", Study: "s", Format: "csv"}, &out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 13 || rows[0][len(rows[0])-1] != "config.x" || rows[12][2] != "11" || rows[1][4] != "complete" {
		t.Errorf("%v %v", rows, err)
	}
	out.Reset()
	if err := Export(t.Context(), c.bus, ExportOptions{Model: "m", Study: "s", Format: "json"}, &out); err != nil {
		t.Fatal(err)
	}
	if exported := object[[]study.Trial](t, &out); !reflect.DeepEqual(exported, v.Trials) {
		t.Errorf("%+v", exported)
	}
}

func TestCommandsAreAnsweredByAWorker(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	ctx, in := t.Context(), 10*time.Second
	var out bytes.Buffer
	if err := ListStudies(ctx, c.bus, "", false, &out); err != nil || !strings.HasPrefix(out.String(), "no studies") {
		t.Fatalf("%v %s", err, &out)
	}
	if got, err := c.start(StartOptions{JSON: true}, quadratic+"max_trials: 5\n"); err != nil || !strings.Contains(got, `"study":"s"`) {
		t.Fatalf("%s %v", got, err)
	}
	refused := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.HasPrefix(err.Error(), "refused: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, wanted %s", err, want)
		}
	}
	_, err := c.start(StartOptions{}, quadratic+"max_trials: 6\n")
	refused(err, "runs with another definition")
	_, err = c.start(StartOptions{}, strings.Replace(quadratic, "name: s", "name: t", 1)+"max_trials: 6\n")
	refused(err, "study s of model m still runs")
	refused(EnqueueConfig(ctx, c.bus, "m", "s", map[string]any{"x": 7.0}, in, false, &out), "config.x")
	refused(StopStudy(ctx, c.bus, "m", "unknown", in, false, &out), "is not known")

	out.Reset()
	if err := EnqueueConfig(ctx, c.bus, "m", "s", map[string]any{"x": 0.25}, in, false, &out); err != nil || out.String() != "study s of model m will try x=0.25\n" {
		t.Errorf("%v %s", err, &out)
	}
	refused(NewBaseline(ctx, c.bus, "m", in, false, &out), "no live report")
	c.report("m", `{"metrics":{"loss":0.5}}`)
	out.Reset()
	if err := NewBaseline(ctx, c.bus, "m", in, false, &out); err != nil || out.String() != "the monitor of model m begins anew\n" {
		t.Errorf("%v %s", err, &out)
	}
	c.report("m", `{"study":"s","trial":0,"metrics":{"loss":0.5}}`)
	if _, err := c.start(StartOptions{Model: "other"}, strings.Replace(quadratic, "name: s\n", "", 1)+"max_duration: 1h\n"); err != nil {
		t.Fatal(err)
	}
	if err := StopStudy(ctx, c.bus, "m", "s", in, true, new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	for _, wait := range []bool{false, true} { // the same again, when it has ended
		got, err := c.start(StartOptions{Wait: wait}, quadratic+"max_trials: 5\n")
		if err != nil || !strings.HasPrefix(got, "study s of model m has ended (stopped) and does not start again: ") || strings.Contains(got, "is started") {
			t.Errorf("%s %v", got, err)
		}
	}
	out.Reset()
	if err := ListStudies(ctx, c.bus, "", true, &out); err != nil {
		t.Fatal(err)
	}
	rows := object[[]StudyRow](t, &out)
	if len(rows) != 2 || rows[0].State != study.EndStopped || rows[0].Trials != 2 || *rows[0].BestValue != 0.5 || rows[1].Model != "other" || rows[1].State != running || !strings.HasPrefix(rows[1].Study, "study-") {
		t.Errorf("%s", &out)
	}
	out.Reset()
	if err := ListStudies(ctx, c.bus, "m", false, &out); err != nil || strings.Count(out.String(), "\n") != 2 || !strings.Contains(out.String(), "stopped  2       1         0.5   0 ") {
		t.Errorf("%v\n%s", err, &out)
	}
	out.Reset()
	if err := ShowStudy(ctx, c.bus, ShowStudyOptions{Model: "m", Study: "s"}, &out); err != nil || !strings.Contains(out.String(), "1      stopped   -      -         1         0.25\n") {
		t.Errorf("%v\n%s", err, &out)
	}
	if err := ShowStudy(ctx, c.bus, ShowStudyOptions{Model: "m", Study: "t"}, &out); err == nil || !strings.Contains(err.Error(), "is not known") {
		t.Error(err)
	}
}

func TestACommandThatNobodyAnswersIsStored(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	_, err := c.start(StartOptions{Timeout: 100 * time.Millisecond}, quadratic+"max_trials: 5\n")
	if err == nil || !strings.Contains(err.Error(), "no worker seems to run; the command is stored (sequence 1)") {
		t.Error(err)
	}
	if len(c.inputs()) != 1 {
		t.Error("it is not")
	}
	c.worker()
	if got, err := c.start(StartOptions{}, quadratic+"max_trials: 5\n"); err != nil || !strings.Contains(got, "is started") {
		t.Errorf("%s %v", got, err)
	}
}

func TestStudyFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"bound", quadratic, "standard input:1: max_trials: missing"},
		{"bad bound of a parameter", strings.Replace(quadratic, "low: -1", "low: low", 1) + "max_trials: 1\n", "standard input:5: space.x.low: "},
		{"bad goal", strings.Replace(quadratic, "minimize", "smallest", 1) + "max_trials: 1", "standard input:3: objective.goal: "},
		{"mistyped", quadratic + "max_trails: 1", "standard input:8: max_trails: unknown field: did you mean max_trials?"},
		{"mistyped in a parameter", strings.Replace(quadratic, "low: -1", "log_: true, low: -1", 1) + "max_trials: 1", "standard input:5: space.x.log_: unknown field: did you mean log?"},
		{"mistyped in the objective", strings.Replace(quadratic, "minimize", "minimize, baseline: 3", 1) + "max_trials: 1", "standard input:3: objective.baseline: unknown field: known here are goal, metric"},
		{"option beside the options", quadratic + "max_trials: 1\npruner: {type: median, n_startup_trials: 1}", "standard input:9: pruner.n_startup_trials: unknown field: known here are options, type"},
		{"a map for a string", quadratic + "max_trials: 1\nenqueue: [{x: cuda:0}]", "standard input:9: "},
		{"twice", quadratic + "name: t", "standard input:8: mapping key \"name\" already defined"},
		{"syntax", quadratic + "enqueue: [", "standard input:8: "},
		{"list", "- a", "is no study"},
		{"empty", "", "is no study"},
		{"model", strings.Replace(quadratic, "model: m", "model: a b", 1), `standard input:1: model: "a b" is not a name`},
		{"model that is a number", strings.Replace(quadratic, "model: m", "model: 7", 1), "standard input:1: model: 7 is not a name: quote it"},
		{"continuous grid", strings.Replace(quadratic, "random", "grid", 1), "space.x"},
		{"enqueued", quadratic + "max_trials: 3\nenqueue:\n  - {x: 0}\n  - {x: 2}", "standard input:11: enqueue[1]: "},
		{"json", `{"model": "m", "objective": 3}`, "standard input:1: objective: 3 is not valid"},
	} {
		_, err := ReadStudyFile("-", strings.NewReader("\ufeff"+c.text))
		var misuse *Misuse
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted %s", c.name, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(quadratic, "low: -1", "low: -1e0", 1)+"max_trials: 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := ReadStudyFile(path, nil)
	if err != nil || f.Model != "m" || f.Name != "s" || f.Definition["model"] != nil {
		t.Errorf("%+v %v", f, err)
	}
}

func TestConfigsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	got, err := ParseConfig(`{"a": 1, "b": 2}`, []string{"b=1e-3", "c=adam", "d=true", `e="1"`, "f=x=y", "g="})
	want := map[string]any{"a": int64(1), "b": 1e-3, "c": "adam", "d": true, "e": "1", "f": "x=y", "g": ""}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", got, err)
	}
	for _, c := range []struct {
		object string
		pairs  []string
	}{{"", nil}, {"[1]", nil}, {"{", nil}, {"", []string{"lr"}}, {"", []string{"=1"}}} {
		var misuse *Misuse
		if config, err := ParseConfig(c.object, c.pairs); !errors.As(err, &misuse) {
			t.Errorf("%+v: %v %v", c, config, err)
		}
	}
}

func FuzzStudyFile(f *testing.F) {
	f.Add(quadratic)
	f.Add("a: &x {b: *x}")
	f.Add("{")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseStudy([]byte(text)) })
}
