package main

import (
	"context"
	"io"
	"time"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

type hookCommand struct {
	Name     string        `placeholder:"NAME" help:"Hooks of a name share the events; by default it follows from the command, model and triggers."`
	Model    string        `default:"*" placeholder:"NAME" help:"Of this model only; * is all (${default})."`
	Trigger  []string      `placeholder:"KIND" help:"Only these, with commas: degraded, improved, stale."`
	Parallel int           `default:"1" placeholder:"N" help:"Runs at once (${default}); of one model there is one at a time."`
	Retries  int           `default:"5" placeholder:"N" help:"Further runs after one has failed (${default}); then the event is given up."`
	Timeout  time.Duration `placeholder:"TIME" help:"Of a run, such as 2h; none by default."`
	All      bool          `help:"A new name begins with the events that are stored, not with those to come."`
	Command  program       `arg:"" passthrough:"partial" name:"cmd" help:"Program and arguments, run once per event."`
}

// Help is shown by --help.
func (hookCommand) Help() string {
	return `Runs a program for each retrain event. It gets the event as JSON on standard input; the environment has
RETUNE_EVENT (the same), RETUNE_ID, RETUNE_MODEL, RETUNE_TRIGGER, RETUNE_REASON, RETUNE_SEVERITY,
RETUNE_METRIC, RETUNE_DETECTOR, RETUNE_VALUE, RETUNE_REFERENCE, RETUNE_VERSION, RETUNE_RUN_ID, RETUNE_TIME,
RETUNE_STUDY, RETUNE_CONFIG and RETUNE_BEST_TRIAL (JSON), RETUNE_ATTEMPT; what an event lacks is empty.

Exit code 0 acknowledges the event; with any other it is run again, after 1 to 2 s at first and after twice as
long each time, up to 10 minutes. 5 retries take a minute, 15 about an hour. Later events of the model wait.
An event may come more than once: after a crash, or when NATS was away. RETUNE_ID tells.

Start hooks of one name on several machines: they share the events, and take over those of one that dies
after 30 s. A hook that comes back goes on where it was.

Examples:
  worker hook --name train --trigger degraded,stale -- python retrain.py
  worker hook --model fraud-eu -- sh -c 'jq -r .reason | mail -s "$RETUNE_MODEL" ops@example.com'`
}

func (c *hookCommand) Run(ctx context.Context, g app.Globals, out io.Writer, notes standardError) error {
	ctx, stop := untilHangup(ctx) // end the programs
	defer stop()
	return connected(g, func(b *bus.Bus) error {
		return app.RunHook(ctx, b, app.HookOptions{
			Name: c.Name, Model: c.Model, Triggers: c.Trigger, Command: c.Command.arguments(), Parallel: c.Parallel,
			Retries: c.Retries, Timeout: c.Timeout, All: c.All, Out: out, Err: notes, Log: g.Log,
		})
	})
}
