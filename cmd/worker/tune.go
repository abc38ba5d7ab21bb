package main

import (
	"context"
	"io"

	"github.com/visutility/retune/internal/app"
)

type tuneCommand struct {
	File     string  `short:"f" required:"" placeholder:"FILE" help:"The study, as YAML or JSON."`
	Parallel int     `placeholder:"N" help:"Trials at once; by default the study's parallelism, which is 1 unless set."`
	Data     string  `type:"path" default:"./retune-tune" placeholder:"FOLDER" help:"Of the embedded NATS server (./retune-tune)."`
	Verbose  bool    `short:"v" help:"Show what the program prints."`
	JSON     bool    `name:"json" help:"Print the result as one JSON object."`
	Command  program `arg:"" passthrough:"partial" name:"cmd" help:"Program and arguments, run once per trial."`
}

// Help is shown by --help.
func (tuneCommand) Help() string {
	return `Tunes a program on this machine: runs it once per trial, shows how far it is, and prints the best configs and
the command line of the best one. No server is needed; with --nats it works on yours, and other machines
help with worker agent. Interrupted or killed, the same command goes on where it was; finished, it prints
the result again.

` + programHelp + `
Example: worker tune -f tune.yaml --parallel 2 -- python train.py --lr={lr} --layers={layers}
where tune.yaml is
  objective: {metric: loss, goal: minimize}
  space:
    lr: {type: float, low: 0.0001, high: 0.1, log: true}
    layers: {type: int, low: 1, high: 4}
  max_trials: 20
and train.py prints lines such as epoch=3 loss=0.25. Model and study are named after the file unless it has
fields model and name.`
}

func (c *tuneCommand) Run(ctx context.Context, g app.Globals, in io.Reader, out io.Writer, notes standardError) error {
	ctx, stop := untilHangup(ctx) // end the programs
	defer stop()
	return app.Tune(ctx, g, app.TuneOptions{
		File: c.File, Command: c.Command.arguments(), Parallel: c.Parallel, Data: c.Data, Verbose: c.Verbose, JSON: c.JSON,
	}, in, out, notes.Writer)
}
