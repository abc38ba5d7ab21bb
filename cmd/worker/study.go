package main

import (
	"context"
	"io"
	"time"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

type studyCommand struct {
	Start   studyStart   `cmd:"" help:"Start a study."`
	Stop    studyStop    `cmd:"" help:"End a study and its running trials."`
	Enqueue studyEnqueue `cmd:"" help:"Have a study try a config next."`
	List    studyList    `cmd:"" help:"List running and finished studies."`
	Show    studyShow    `cmd:"" help:"Show a study, its trials and its best value so far."`
	Export  studyExport  `cmd:"" help:"Write all trials of a study as CSV or JSON."`
}

// studyOf names a study.
type studyOf struct {
	Model string `arg:"" help:"Its model."`
	Study string `arg:"" help:"Its name."`
}

// answer is what commands have in common that a worker answers.
type answer struct {
	Timeout time.Duration `default:"10s" help:"Wait so long for a worker (${default})."`
	JSON    bool          `help:"Print the answer as JSON."`
}

// connected calls f with a connection.
func connected(g app.Globals, f func(*bus.Bus) error) error {
	b, err := app.Connect(g)
	if err != nil {
		return err
	}
	defer b.Close()
	return f(b)
}

type studyStart struct {
	File  string `short:"f" required:"" placeholder:"FILE" help:"The study, as YAML or JSON; -: standard input."`
	Model string `placeholder:"NAME" help:"Of which model; goes before the file's."`
	Wait  bool   `help:"Wait until the study has ended, and show it."`
	answer
}

// Help is shown by --help.
func (studyStart) Help() string {
	return `Starts a study. The same file again does nothing; another study may run only when this one has ended.

Example: worker study start -f spring.yaml, where spring.yaml is
  model: fraud-eu
  name: spring
  objective: {metric: loss, goal: minimize}
  space:
    lr: {type: float, low: 1e-5, high: 0.1, log: true}
    layers: {type: int, low: 1, high: 4}
  strategy: random
  max_trials: 50
  parallelism: 4`
}

func (c *studyStart) Run(ctx context.Context, g app.Globals, in io.Reader, out io.Writer) error {
	return connected(g, func(b *bus.Bus) error {
		return app.StartStudy(ctx, b, app.StartOptions{File: c.File, Model: c.Model, Wait: c.Wait, Timeout: c.Timeout, JSON: c.JSON}, in, out)
	})
}

type studyStop struct {
	studyOf
	answer
}

// Help is shown by --help.
func (studyStop) Help() string { return "Example: worker study stop fraud-eu spring" }

func (c *studyStop) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	return connected(g, func(b *bus.Bus) error {
		return app.StopStudy(ctx, b, c.Model, c.Study, c.Timeout, c.JSON, out)
	})
}

type studyEnqueue struct {
	studyOf
	Pairs  []string `arg:"" optional:"" name:"name=value" help:"Parameters; those left out are proposed."`
	Object string   `name:"config-json" short:"c" placeholder:"JSON" help:"Parameters as a JSON object."`
	answer
}

// Help is shown by --help.
func (studyEnqueue) Help() string {
	return `Examples:
  worker study enqueue fraud-eu spring lr=0.01 layers=2
  worker study enqueue fraud-eu spring -c '{"lr": 0.01}'`
}

func (c *studyEnqueue) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	config, err := app.ParseConfig(c.Object, c.Pairs)
	if err != nil {
		return err
	}
	return connected(g, func(b *bus.Bus) error {
		return app.EnqueueConfig(ctx, b, c.Model, c.Study, config, c.Timeout, c.JSON, out)
	})
}

type studyList struct {
	Model string `placeholder:"NAME" help:"Of this model only."`
	JSON  bool   `help:"Print them as a JSON list."`
}

// Help is shown by --help.
func (studyList) Help() string { return "Example: worker study list --model fraud-eu" }

func (c *studyList) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	return connected(g, func(b *bus.Bus) error { return app.ListStudies(ctx, b, c.Model, c.JSON, out) })
}

type studyShow struct {
	studyOf
	Limit  int  `default:"20" help:"At most so many trials, the best first; 0: all (${default})."`
	Latest bool `help:"The latest trials instead of the best."`
	JSON   bool `help:"Print all that is stored of it, as JSON."`
}

// Help is shown by --help.
func (studyShow) Help() string {
	return `Importance says how much of the order of the results each parameter decides on its own.

Example: worker study show fraud-eu spring`
}

func (c *studyShow) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	return connected(g, func(b *bus.Bus) error {
		return app.ShowStudy(ctx, b, app.ShowStudyOptions{Model: c.Model, Study: c.Study, Limit: c.Limit, Latest: c.Latest, JSON: c.JSON}, out)
	})
}

type studyExport struct {
	studyOf
	File   string `arg:"" optional:"" help:"Where to; standard output without it."`
	Format string `default:"" enum:",csv,json,jsonl" help:"csv, json (one list) or jsonl (one object a line); by the name of FILE, else csv."`
}

// Help is shown by --help.
func (studyExport) Help() string {
	return `Records of trials are kept for 90 days after their last change, then the best 100 of a study remain.
worker publish reads CSV and JSON Lines back, into a study of the same name that runs: the results of trials
that are complete or failed, by number. That takes a study with the same definition and seed: in another the
numbers have other configs.

Example: worker study export fraud-eu spring spring.csv`
}

func (c *studyExport) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	return connected(g, func(b *bus.Bus) error {
		return app.Export(ctx, b, app.ExportOptions{Model: c.Model, Study: c.Study, File: c.File, Format: c.Format}, out)
	})
}
