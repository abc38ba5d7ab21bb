package main

import (
	"context"
	"io"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

type baselineCommand struct {
	Model string `arg:"" help:"The model."`
	answer
}

// Help is shown by --help.
func (baselineCommand) Help() string {
	return `Forgets what was normal for a model and ends its episode, as a report with a new version does.

Example: worker baseline fraud-eu`
}

func (c *baselineCommand) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	return connected(g, func(b *bus.Bus) error {
		return app.NewBaseline(ctx, b, c.Model, c.Timeout, c.JSON, out)
	})
}
