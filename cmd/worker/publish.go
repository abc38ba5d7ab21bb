package main

import (
	"context"
	"io"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

type publishCommand struct {
	File  string `arg:"" optional:"" help:"JSON Lines or CSV, perhaps compressed by gzip; - or none: standard input."`
	Model string `placeholder:"NAME" help:"Whose reports they are; by default each line's model_id says."`
	Study string `placeholder:"NAME" help:"The study of lines that name none, for recorded trials."`
	JSON  bool   `help:"Print the counts as a JSON object."`
}

// Help is shown by --help.
func (publishCommand) Help() string {
	return `Publishes reports. Each line is checked first: what a worker could not use is listed with its
number and left out, and the exit code is 1. The columns of a CSV file are named as the fields of a report
(study, trial, attempt, step, state, error, duration_ms, time, version, run_id, model_id), config.NAME is a
hyper-parameter, and any other column, or metrics.NAME, a metric. An empty cell is absent, of a
metric also NA, N/A, null or None. A metric's column whose first cell is not a number is left out. Of an
exported study, trials that were pruned, stopped or timed out, or have not ended, are skipped.

Examples:
  echo '{"metrics": {"loss": 0.21}, "config": {"lr": 0.1}}' | worker publish --model fraud-eu
  worker publish --model fraud-eu history.csv
  worker publish --model fraud-eu --study spring trials.jsonl.gz`
}

func (c *publishCommand) Run(ctx context.Context, g app.Globals, in io.Reader, out io.Writer, notes standardError) error {
	return connected(g, func(b *bus.Bus) error {
		return app.Publish(ctx, b, app.PublishOptions{File: c.File, Model: c.Model, Study: c.Study, JSON: c.JSON}, in, out, notes.Writer)
	})
}

// standardError is asked for by commands that list what went wrong.
type standardError struct{ io.Writer }
