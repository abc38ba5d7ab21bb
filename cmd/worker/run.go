package main

import (
	"context"

	"github.com/visutility/retune/internal/app"
)

type runCommand struct {
	Data        string `type:"path" default:"./retune-data" placeholder:"FOLDER" help:"Of the embedded NATS server (${default})."`
	Port        int    `default:"4222" help:"Of the embedded NATS server on 127.0.0.1; 0 takes a free one (${default})."`
	HTTP        string `name:"http" placeholder:"HOST:PORT" help:"Serve /healthz, /readyz and /metrics there, and profiles to this machine; off by default."`
	AdoptInputs bool   `help:"Go on although the input stream was recreated, restored or lost its tail."`
}

func (c *runCommand) Run(ctx context.Context, g app.Globals) error {
	config, err := g.Config()
	if err != nil {
		return err
	}
	return app.RunWorker(ctx, app.WorkerOptions{
		Globals: g, Config: config, Data: c.Data, Port: c.Port, HTTP: c.HTTP, AdoptInputs: c.AdoptInputs,
	})
}
