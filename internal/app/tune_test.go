//go:build unix

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/study"
)

// tuneBundle is a folder in which a script is tuned.
type tuneBundle struct {
	t       *testing.T
	folder  string
	options TuneOptions
	globals Globals
}

const tuneStudy = `objective: {metric: loss, goal: minimize}
space:
  x: {values: [3, 1, 2]}
strategy: grid
`

// newTuneBundle tunes a script, which notes that it ran.
func newTuneBundle(t *testing.T, text, script string) *tuneBundle {
	t.Helper()
	folder := t.TempDir()
	b := &tuneBundle{t: t, folder: folder, globals: Globals{Log: zerolog.Nop()}}
	b.file("example.yaml", text)
	b.file("train.sh", `echo "$*" >>`+filepath.Join(folder, "ran")+"\n"+script)
	b.options = TuneOptions{
		File: filepath.Join(folder, "example.yaml"), Data: filepath.Join(folder, "retune-tune"),
		Command: []string{"sh", filepath.Join(folder, "train.sh"), "{args}"},
	}
	return b
}

func (b *tuneBundle) file(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tuneBundle) ran() int {
	text, _ := os.ReadFile(filepath.Join(b.folder, "ran"))
	return bytes.Count(text, []byte("\n"))
}

func (b *tuneBundle) tune(ctx context.Context) (out, notes string, err error) {
	var printed bytes.Buffer
	said := newListener()
	err = Tune(ctx, b.globals, b.options, strings.NewReader(""), &printed, said)
	return printed.String(), said.String(), err
}

func TestTuneAScript(t *testing.T) {
	t.Parallel()
	b := newTuneBundle(t, tuneStudy, `echo "loss=${1#--x=}"; echo "never mind" >&2`)
	b.options.Parallel = 2
	out, notes, err := b.tune(t.Context())
	if err != nil {
		t.Fatal(err, notes)
	}
	for _, want := range []string{
		"example of model example: ended (exhausted)", "minimize loss by grid, parallelism 2\n", "3 trials: 3 complete\n",
		"best: 1 in trial 1 with x=1\n", "\n1      complete  1 ", "\n2      complete  2 ", "\n0      complete  3 ",
		"\nthe best again:\n  sh " + b.folder + "/train.sh --x=1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, want := range []string{"minimize loss of model example in study example: 3 trials, 2 at once\n", "worker study show example example --nats nats://127.0.0.1:", "trial 1 (x=1, ", "ms) loss 1\n"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "never mind") {
		t.Error("the output of the script is shown")
	}

	// Again, as JSON and without the flag that went into the study: the result, and nothing is run.
	b.options.Parallel, b.options.JSON = 0, true
	out, _, err = b.tune(t.Context())
	var result struct {
		Command []string
		Line    string `json:"command_line"`
		Study   struct {
			State  string
			Best   study.Trial
			Trials []study.Trial
		}
	}
	if err := errors.Join(err, json.Unmarshal([]byte(out), &result)); err != nil {
		t.Fatal(err, out)
	}
	if s := result.Study; s.State != "exhausted" || *s.Best.Value != 1 || len(s.Trials) != 3 || result.Command[2] != "--x=1" || !strings.HasSuffix(result.Line, "train.sh --x=1") || b.ran() != 3 {
		t.Errorf("%s, %d runs", out, b.ran())
	}

	b.file("example.yaml", strings.Replace(tuneStudy, "[3, 1, 2]", "[4]", 1))
	if _, _, err := b.tune(t.Context()); err == nil || !strings.Contains(err.Error(), "had another definition") || !strings.Contains(err.Error(), "change `name` and `model` in "+b.options.File+", or remove "+b.options.Data) {
		t.Error(err)
	}
	b.options.Verbose = true
	b.file("example.yaml", "name: other\n"+tuneStudy)
	if _, notes, err := b.tune(t.Context()); err != nil || strings.Count(notes, "never mind") != 3 {
		t.Error(err, notes)
	}
}

func TestATuneThatIsInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	b := newTuneBundle(t, "model: m\nname: s\n"+tuneStudy, `
case $RETUNE_TRIAL in
0) echo loss=3 ;;
*) if [ -e `+"$0.go"+` ]; then echo loss=$RETUNE_TRIAL; else echo up >&2; while :; do sleep 0.1; done; fi ;;
esac`)
	b.options.Verbose = true
	said := newListener()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var out bytes.Buffer
	go func() { ended <- Tune(ctx, b.globals, b.options, nil, &out, said) }()
	said.await(t, "up")
	cancel()
	if err := <-ended; err != nil || out.Len() > 0 {
		t.Errorf("%v %s", err, &out)
	}
	said.await(t, "interrupted after 1 trials, best loss 3 in trial 0; the same command goes on from here")
	b.file("train.sh.go", "")
	printed, notes, err := b.tune(t.Context())
	if err != nil || !strings.Contains(printed, "3 trials: 3 complete\nbest: 1 in trial 1") || !strings.Contains(notes, "3 trials, 1 at once, going on after 1\n") {
		t.Errorf("%v\n%s%s", err, printed, notes)
	}
	if b.ran() != 4 {
		t.Errorf("%d runs of 3 trials, one of them interrupted", b.ran())
	}
}

func TestATuneWithoutAResultSaysWhy(t *testing.T) {
	t.Parallel()
	b := newTuneBundle(t, tuneStudy, "echo first >&2; echo no disk >&2; exit 4")
	for range 2 {
		out, _, err := b.tune(t.Context())
		if err == nil || !strings.Contains(out, "3 trials: 3 failed") {
			t.Fatal(err, out)
		}
		for _, want := range []string{"ended (exhausted) without a complete trial: exit status 4: first\n  no disk\n", "another `name` in " + b.options.File + ", or remove " + b.options.Data} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in\n%v", want, err)
			}
		}
	}
	if b.ran() != 3 {
		t.Errorf("%d runs", b.ran())
	}
}

func TestATuneJoinsTheWorkersOfANATS(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	b := newTuneBundle(t, tuneStudy, `[ "$RETUNE_CONFIG" ] && echo loss=1`)
	b.options.Command = b.options.Command[:2]
	b.globals.NATS = bus.Connection{URL: c.url}
	b.globals.ConfigFile = filepath.Join(b.folder, "worker.yaml")
	b.file("worker.yaml", "partitions: 4\nlease: 2s\nlimits: {input_bytes: 256MiB, bucket_bytes: 256MiB}\n")
	// Without a worker there it runs one,
	if _, notes, err := b.tune(t.Context()); err != nil {
		t.Fatal(err, notes)
	}
	// which has left, and with one it does not.
	if workers, err := c.bus.Workers(t.Context()); err != nil || len(workers) != 0 {
		t.Errorf("%v %v", workers, err)
	}
	c.worker()
	bustest.Eventually(t, 10*time.Second, "the worker is there", func() bool {
		workers, err := c.bus.Workers(t.Context())
		return err == nil && len(workers) == 1
	})
	b.file("example.yaml", "name: second\n"+tuneStudy)
	b.globals.ConfigFile = ""
	if out, notes, err := b.tune(t.Context()); err != nil || !strings.Contains(out, "3 trials: 3 complete") || !strings.Contains(out, `  RETUNE_CONFIG='{"x":3}' sh /`) {
		t.Fatal(err, out, notes)
	}
	if _, err := os.Stat(b.options.Data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it has data of its own: %v", err)
	}
}

func TestWhatATuneRefuses(t *testing.T) {
	t.Parallel()
	b := newTuneBundle(t, tuneStudy, "")
	b.file("my study.yaml", tuneStudy)
	b.file("bad.yaml", "space: {}")
	for _, c := range []struct {
		change func(*TuneOptions)
		want   string
	}{
		{func(o *TuneOptions) { o.File = filepath.Join(b.folder, "none.yaml") }, "no such file or directory: write a study into a file; a minimal one is\n\nobjective: {metric: loss"},
		{func(o *TuneOptions) { o.File = filepath.Join(b.folder, "my study.yaml") }, "names no name and cannot lend its own name: add `name: NAME`"},
		{func(o *TuneOptions) { o.File = filepath.Join(b.folder, "bad.yaml") }, "bad.yaml:1: "},
		{func(o *TuneOptions) { o.Parallel = -1 }, "--parallel: -1 is out of range"},
		{func(o *TuneOptions) { o.Command = nil }, "no command"},
		{func(o *TuneOptions) { o.Command = []string{"no-such-program"} }, "cannot be run"},
	} {
		o := b.options
		c.change(&o)
		var misuse *Misuse
		if err := Tune(t.Context(), b.globals, o, nil, new(bytes.Buffer), new(bytes.Buffer)); !errors.As(err, &misuse) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, wanted %s", err, c.want)
		}
	}
	// The example that an error shows is one.
	_, example, _ := strings.Cut(tuneExample, "\n\n")
	example, _, _ = strings.Cut(example, "\n\n")
	if _, err := parseStudy([]byte(example)); err != nil {
		t.Error(err)
	}
}

func TestExpectedTrials(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		tuneStudy:                      3,
		tuneStudy + "max_trials: 2":    2,
		tuneStudy + "max_trials: 20":   3,
		quadratic + "max_trials: 20":   20,
		quadratic + "max_duration: 1h": -1,
	} {
		f, err := parseStudy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v := StudyView{Definition: f.Definition}
		if got := v.expected(); got != want {
			t.Errorf("%s: %d", text, got)
		}
	}
}

func TestBrief(t *testing.T) {
	t.Parallel()
	long := "exit status 1: Traceback\n" + strings.Repeat("  more\n", 20) + "\tError: \x1b[31mred"
	if got := brief(long); strings.Count(got, "\n") != briefLines+1 || !strings.HasPrefix(got, "exit status 1: Traceback\n  …\n") || !strings.HasSuffix(got, "\n    Error: ·[31mred") {
		t.Errorf("%q", got)
	}
	if got := brief("one\n \n"); got != "one" {
		t.Error(got)
	}
}

func TestAHostTakesBackWhatDeadAgentsHad(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	if _, err := c.start(StartOptions{}, "model: m\n"+tuneStudy); err != nil {
		t.Fatal(err)
	}
	take := func() bus.Output {
		t.Helper()
		trials, err := c.bus.Trials(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		output, err := trials.Take(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return output
	}
	dead := take()
	if err := (&host{bus: c.bus}).reclaim(t.Context(), "m"); err != nil || c.unsettled("m") != 1 {
		t.Errorf("on the server of others: %v", err)
	}
	if err := (&host{bus: c.bus, folder: "folder"}).reclaim(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if again := take(); again.Subject != dead.Subject {
		t.Errorf("%s, wanted %s", again.Subject, dead.Subject)
	}
}
