package main

import (
	"context"
	"io"
	"slices"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

type agentCommand struct {
	Model    string  `required:"" placeholder:"NAME" help:"Whose trials to evaluate."`
	Parallel int     `default:"1" placeholder:"N" help:"Trials at once (${default})."`
	Command  program `arg:"" passthrough:"partial" name:"cmd" help:"Program and arguments, run once per trial."`
}

// program is a command line after --.
type program []string

func (p program) arguments() []string {
	if len(p) > 0 && p[0] == "--" {
		return p[1:]
	}
	return slices.Clone(p)
}

// programHelp is what commands have in common that run one per trial.
const programHelp = `In the command {name} becomes the value of that parameter and {args} becomes --name=value for each one
that is active; the environment has RETUNE_CONFIG (the config as JSON), RETUNE_MODEL, RETUNE_STUDY,
RETUNE_TRIAL and RETUNE_ATTEMPT.

A line of standard output that has the objective is a report: a JSON object, {"epoch": 3, "loss": 0.25},
or pairs, epoch=3 loss=0.25. With a step or epoch it is sent at once; the last one is the result when the
program ends with 0. Any other exit code is a failed trial, with the last lines of standard error. A trial
that is pruned, or out of time, gets SIGTERM, and SIGKILL ten seconds later.
`

// Help is shown by --help.
func (agentCommand) Help() string {
	return `Evaluates the trials of a model's studies by running a program for each. Start as many agents as you like,
on any machine: they share the trials, and take over those of one that dies after 30 s.

` + programHelp + `
Example: worker agent --model fraud-eu --parallel 2 -- python train.py {args}`
}

func (c *agentCommand) Run(ctx context.Context, g app.Globals, out io.Writer, notes standardError) error {
	ctx, stop := untilHangup(ctx) // end the programs
	defer stop()
	return connected(g, func(b *bus.Bus) error {
		return app.RunAgent(ctx, b, app.AgentOptions{
			Model: c.Model, Command: c.Command.arguments(), Parallel: c.Parallel, Out: out, Err: notes, Log: g.Log,
		})
	})
}
