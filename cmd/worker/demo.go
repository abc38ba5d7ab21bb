package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/demo"
)

type demoCommand struct {
	Seed uint64 `default:"1" help:"Of the data and the searches; the same seed tells the same story (${default})."`
	JSON bool   `name:"json" help:"Print the summary alone, as JSON."`
}

// demoPace makes a demo of 96 reports last half a minute.
const demoPace = 300 * time.Millisecond

func (c *demoCommand) Run(ctx context.Context, g app.Globals, stdout io.Writer) error {
	if own := (bus.Connection{Name: g.NATS.Name, URL: os.Getenv("NATS_URL")}); g.NATS != own || g.ConfigFile != "" {
		return &app.Misuse{Err: errors.New("the demo runs on a NATS server and with a config of its own: leave out --nats, --context, --creds, --nkey, --tls-* and --config")}
	}
	ctx, stop := untilHangup(ctx) // leave no folder behind
	defer stop()
	options := app.DemoOptions{
		Seed: c.Seed, Pace: demoPace, Out: stdout, JSON: c.JSON,
		Live: liveTerminal(stdout), Log: g.Log.Level(zerolog.ErrorLevel), // less would break the screen
	}
	return app.RunDemo(ctx, options)
}

// liveTerminal is nil unless people look at w, on a terminal that can be redrawn.
func liveTerminal(w io.Writer) *demo.Terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	size := func() (width, height int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil || width == 0 || height == 0 {
			return 80, 24
		}
		return width, height
	}
	return &demo.Terminal{Writer: w, Size: size, Color: os.Getenv("NO_COLOR") == ""}
}
