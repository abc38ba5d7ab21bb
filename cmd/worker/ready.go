package main

import (
	"cmp"
	"context"

	"github.com/visutility/retune/internal/app"
)

type readyCommand struct {
	HTTP string `name:"http" placeholder:"HOST:PORT" help:"Where the worker serves /readyz; by default as the --config says."`
}

// Help is shown by --help.
func (readyCommand) Help() string {
	return `Asks the worker of this machine whether it is connected and serves its partitions, and says why not. For health
checks where nothing else can ask, as in its own image, which has no shell.

Example: worker ready --config worker.yaml`
}

func (c *readyCommand) Run(ctx context.Context, g app.Globals) error {
	config, err := g.Config()
	if err != nil {
		return err
	}
	return app.Ready(ctx, cmp.Or(c.HTTP, config.HTTP))
}
