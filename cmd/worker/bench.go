package main

import (
	"context"
	"io"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bench"
)

type benchCommand struct {
	Events   int  `default:"200000" help:"Reports in a run of the tuning measure; four times as many when only monitoring."`
	Rounds   int  `default:"3" help:"Rounds of worker and floor in turn; medians are printed."`
	Pings    int  `default:"300" help:"Single reports for the latency of an idle worker."`
	Embedded bool `help:"Measure on a server of its own, in a temporary folder."`
	JSON     bool `name:"json" help:"Print the figures as JSON."`
}

func (benchCommand) Help() string {
	return `Each figure stands beside its floor, measured in the same run: the same traffic
without decoding or deciding. What it stores is under a prefix of its own and is
removed afterwards.

Example:

    worker bench --embedded --rounds 5`
}

func (c benchCommand) Run(ctx context.Context, g app.Globals, out io.Writer) error {
	return app.Bench(ctx, g, c.Embedded, bench.Options{Events: c.Events, Rounds: c.Rounds, Pings: c.Pings, JSON: c.JSON}, out)
}
