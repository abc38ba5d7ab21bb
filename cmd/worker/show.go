package main

import (
	"context"
	"io"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

type showCommand struct {
	Model string `arg:"" optional:"" help:"Print what is stored of it, as JSON."`
	Limit int    `default:"50" help:"At most so many models; 0: all (${default})."`
	JSON  bool   `help:"Print workers and models as JSON."`
}

// Help is shown by --help.
func (showCommand) Help() string {
	return `Lists the live workers with their share of the partitions and the models with what is known of them,
or all that is stored of one model. State that no output depends on is stored within a second.

Examples:
  worker show
  worker show fraud-eu | jq .state.monitor`
}

func (c *showCommand) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	return connected(g, func(b *bus.Bus) error {
		if c.Model != "" {
			return app.ShowModel(ctx, b, c.Model, out)
		}
		return app.Show(ctx, b, c.Limit, c.JSON, out)
	})
}
