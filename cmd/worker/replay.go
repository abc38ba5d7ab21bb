package main

import (
	"context"
	"io"

	"github.com/visutility/retune/internal/app"
)

type replayCommand struct {
	File    string `arg:"" optional:"" help:"JSON Lines or CSV, perhaps compressed by gzip; - is standard input. Without it: the reports that are stored on NATS."`
	Model   string `placeholder:"PATTERN" help:"Only these models, such as fraud-eu or fraud-*. A name is also that of lines without model_id."`
	Since   string `placeholder:"TIME" help:"Reports since then: 36h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z."`
	Until   string `placeholder:"TIME" help:"Reports up to then, likewise."`
	Monitor string `placeholder:"YAML" help:"What watches: a detector, a rule, a list of rules or a monitor as in worker.yaml, or @FILE. By default that of worker.yaml."`
	Against string `placeholder:"YAML" help:"A second monitor beside the first, given likewise."`
	Labels  string `placeholder:"LIST" help:"When the models really went bad: reports (120,300..350), times (1997-05-01) or a file of them."`
	Plot    string `type:"path" placeholder:"FILE" help:"Draw it, to a file that ends in .svg or .html."`
	JSON    bool   `help:"One JSON object a line: events, then a summary per model and monitor."`
}

// Help is shown by --help.
func (replayCommand) Help() string {
	return `Shows recorded reports to monitors, as a worker would, and prints the retrain events that they would have led
to. Nothing is changed: not what workers know of the models, and nothing on NATS. A monitor begins afresh with the
first report replayed. Without --monitor it is that of --config, or else the built-in default.

A silence (stale_after) is judged by when reports were stored; in a file by their time. A line of a file may say
whether the model was bad (label or drift: 0 or 1, a column of CSV or a field beside metrics); --labels goes before.
An event while the model is well is a false alarm; one while an episode goes on counts for nothing.

Examples:
  worker replay --model fraud-eu --since 7d --config worker.yaml --against '{detector: cusum, h: 8}'
  worker replay history.csv --monitor '{metric: loss, detector: auto, false_alarms: 1 per 1000}' --plot out.html
  worker replay history.jsonl --monitor adwin --against page_hinkley --labels 120,300..350 --json`
}

func (c *replayCommand) Run(ctx context.Context, g app.Globals, in io.Reader, out io.Writer, notes standardError) error {
	return app.Replay(ctx, g, app.ReplayOptions{
		File: c.File, Model: c.Model, Since: c.Since, Until: c.Until, Monitor: c.Monitor, Against: c.Against,
		Labels: c.Labels, Plot: c.Plot, JSON: c.JSON,
	}, in, out, notes.Writer)
}
