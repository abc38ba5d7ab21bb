package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// TuneOptions say what to tune and how.
type TuneOptions struct {
	File     string   // the study, as YAML or JSON; "-": standard input
	Command  []string // run once per trial; see agent.FillIn
	Parallel int      // trials at once; 0: the study's parallelism
	Data     string   // folder of the embedded server
	Verbose  bool     // show what the programs print
	JSON     bool     // print the result as one JSON object
}

// Tune runs a study to its end with agents and, unless one works on the NATS that is named, a worker in this process,
// and prints its result. A study that was begun goes on; one that has ended prints its result again. If ctx ends
// before the study does, which is no error, the next call goes on.
func Tune(ctx context.Context, g Globals, o TuneOptions, in io.Reader, out, notes io.Writer) error {
	if err := cmp.Or(checkParallel(o.Parallel, 0), checkCommand(o.Command)); err != nil {
		return err
	}
	file, err := readTune(o.File, in)
	if err != nil {
		return err
	}
	host, err := startHost(ctx, g, o.Data)
	if err != nil {
		return unlessDone(ctx, err)
	}
	t := &tuning{TuneOptions: o, host: host, file: file, log: quiet(g.Log, zerolog.WarnLevel), out: out, notes: notes}
	err = t.run(ctx)
	return unlessDone(ctx, cmp.Or(err, host.stop()))
}

const tuneExample = `a minimal one is

objective: {metric: loss, goal: minimize}
space:
  lr: {type: float, low: 0.0001, high: 0.1, log: true}
  layers: {type: int, low: 1, high: 4}
max_trials: 20

for a program that prints lines such as loss=0.25: worker tune -f FILE -- python train.py --lr={lr} --layers={layers}`

// readTune names model and study after the file where it does not.
func readTune(path string, in io.Reader) (StudyFile, error) {
	file, err := ReadStudyFile(path, in)
	if errors.Is(err, fs.ErrNotExist) {
		return file, &Misuse{fmt.Errorf("%w: write a study into a file; %s", err, tuneExample)}
	}
	if err != nil {
		return file, err
	}
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	for _, field := range []struct {
		name  string
		value *string
	}{{"name", &file.Name}, {"model", &file.Model}} {
		if *field.value != "" {
			continue
		}
		if path == "-" || wire.CheckName(field.name, stem) != nil {
			return file, &Misuse{fmt.Errorf("%s: names no %s and cannot lend its own name: add `%s: NAME`, of the characters A-Z a-z 0-9 _ -", path, field.name, field.name)}
		}
		*field.value = stem
	}
	file.Definition = maps.Clone(file.Definition)
	file.Definition["name"] = file.Name
	return file, nil
}

// tuning is one Tune.
type tuning struct {
	TuneOptions
	host       *host
	file       StudyFile
	log        zerolog.Logger
	out, notes io.Writer
}

// startTimeout bounds the wait for the worker to take up the study.
const startTimeout = 30 * time.Second

func (t *tuning) run(ctx context.Context) error {
	b := t.host.bus
	parallel := t.settleParallelism(ctx)
	sent, err := command(ctx, b, t.file.Model, map[string]any{"op": "start", "study": t.file.Definition}, startTimeout)
	if err != nil {
		return t.explain(err)
	}
	v, err := findStudy(ctx, b, t.file.Model, t.file.Name)
	if err != nil {
		return err
	}
	if v.State == running {
		t.greet(v, parallel)
		v, err = t.evaluate(ctx, sent, v, parallel)
		if ctx.Err() != nil {
			return t.interrupted(ctx)
		}
		if err != nil {
			return err
		}
	}
	return t.conclude(ctx, v)
}

// settleParallelism is how many trials to run at once. A study that was begun keeps its own: the flag of an earlier
// call may be in its definition.
func (t *tuning) settleParallelism(ctx context.Context) int {
	given := t.file.Definition["parallelism"]
	if v, err := findStudy(ctx, t.host.bus, t.file.Model, t.file.Name); err == nil && given == nil {
		given = v.Definition["parallelism"]
	} else if given == nil && t.Parallel > 0 {
		given = int64(t.Parallel)
	}
	if given != nil {
		t.file.Definition["parallelism"] = given
	}
	d, err := study.Parse(t.file.Definition)
	if err != nil {
		return max(t.Parallel, 1) // the worker will say what is wrong
	}
	if t.Parallel > d.Parallelism {
		fmt.Fprintf(t.notes, "the study's parallelism is %d: no more trials run at once\n", d.Parallelism)
	}
	return min(cmp.Or(t.Parallel, d.Parallelism), d.Parallelism)
}

// explain adds what to do here about a refusal because of what is there already.
func (t *tuning) explain(err error) error {
	text := err.Error()
	switch {
	case !strings.HasPrefix(text, "refused: ") || !strings.Contains(text, "another definition") && !strings.Contains(text, "still runs"):
		return err
	case t.host.folder == "":
		return fmt.Errorf("%w (change `name` or `model` in %s)", err, t.File)
	}
	return fmt.Errorf("%w (undo the change to go on with it, or change `name` and `model` in %[2]s, or remove %[3]s to begin anew; worker run --data %[3]s serves what is in it)", err, t.File, t.host.folder)
}

// evaluate runs agents until the study has ended, as it returns it. An error is that of ctx, or of the worker.
func (t *tuning) evaluate(ctx context.Context, sent sentCommand, v StudyView, parallel int) (StudyView, error) {
	b := t.host.bus
	if err := t.host.reclaim(ctx, t.file.Model); err != nil {
		return v, err
	}
	view := newTuneView(t, v, parallel)
	defer view.close()
	ctx, cancel := context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel(nil)
	parts.Go(func() { _ = newPool(b, t.file.Model, t.Command, parallel, view, t.log).run(ctx) }) // ends with ctx alone
	parts.Go(func() { view.follow(ctx, b, wire.StudyKey(sent.partition, t.file.Model)) })
	parts.Go(func() {
		select {
		case <-t.host.ended:
			cancel(t.host.err)
		case <-ctx.Done():
		}
	})
	ended, err := sent.awaitEnd(ctx, b, t.file.Name)
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
	}
	return ended, err
}
