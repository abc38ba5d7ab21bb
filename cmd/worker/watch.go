package main

import (
	"context"
	"io"
	"time"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

type watchCommand struct {
	Kind  string `arg:"" optional:"" default:"all" enum:"configs,stops,retrains,dead,summaries,all" help:"What to print: ${enum} (${default})."`
	Model string `placeholder:"NAME" help:"Of this model only."`
	Since string `placeholder:"TIME" help:"What was stored since then, too: 10m, 7d, 2026-01-31, 2026-01-31T12:00:00Z or all."`
	Count int    `placeholder:"N" help:"End after so many."`
	JSON  bool   `help:"One JSON object a line: subject, time, headers, body."`
}

// Help is shown by --help.
func (watchCommand) Help() string {
	return `Prints what the workers put out, once it is committed, in order: configs, orders to stop trials, retrain
events, summaries of studies, and inputs that could not be used with the reason.

Examples:
  worker watch
  worker watch retrains --model fraud-eu --since 24h
  worker watch dead --since all --json | jq .headers`
}

func (c *watchCommand) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	since, err := app.ParseSince(c.Since, time.Now())
	if err != nil {
		return err
	}
	return connected(g, func(b *bus.Bus) error {
		return app.Watch(ctx, b, app.WatchOptions{Kind: c.Kind, Model: c.Model, Since: since, Count: c.Count, JSON: c.JSON}, out)
	})
}
