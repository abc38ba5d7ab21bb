package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
)

// host is the NATS that a tune works on, and the worker there.
type host struct {
	bus    *bus.Bus
	folder string          // of the embedded server; "": the server is another's
	cancel func()          // stops the worker
	ended  <-chan struct{} // closed when the worker has; nil: it is another's
	err    error           // what ended the worker
}

// tuneBytes is the room for inputs and for the bucket of an embedded server: a report takes some 200 bytes, a trial
// some 500.
const tuneBytes = 1 << 30

// startHost joins the NATS that flags, environment or worker.yaml name, or else starts one with its data in the
// folder. Where no worker lives it runs one.
func startHost(ctx context.Context, g Globals, folder string) (*host, error) {
	config, err := g.Config()
	if err != nil {
		return nil, err
	}
	to := g.connection(config)
	embedded := to.URL == "" && to.Context == ""
	if embedded && g.ConfigFile == "" {
		config.Limits.InputBytes, config.Limits.BucketBytes = tuneBytes, tuneBytes
	}
	h := &host{cancel: func() {}}
	if embedded {
		h.folder = folder
	} else if served, err := h.join(ctx, g, config, to); err != nil || served {
		return h, err
	}
	at, err := h.work(ctx, WorkerOptions{Globals: g, Config: config, Data: folder})
	if err != nil {
		return nil, err
	}
	if embedded {
		to = bus.Connection{Name: to.Name, URL: at.NATS}
	}
	if h.bus == nil {
		h.bus, err = g.open(config, to)
	}
	if err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

// join connects to the NATS of others, and tells whether a worker lives there.
func (h *host) join(ctx context.Context, g Globals, config Config, to bus.Connection) (served bool, err error) {
	if h.bus, err = g.open(config, to); err != nil {
		return false, err
	}
	workers, err := h.bus.Workers(ctx)
	if err != nil {
		h.bus.Close()
	}
	return len(workers) > 0, err
}

// work runs a worker until stop, which outlives ctx: agents that end have things to say.
func (h *host) work(ctx context.Context, o WorkerOptions) (at Addresses, err error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	started, ended := make(chan Addresses, 1), make(chan struct{})
	o.Started = func(at Addresses) { started <- at }
	o.Log = quiet(o.Log, zerolog.ErrorLevel)
	h.cancel, h.ended = cancel, ended
	go func() {
		defer close(ended)
		h.err = RunWorker(running, o)
	}()
	select {
	case at := <-started:
		return at, nil
	case <-ended:
		return at, h.stop()
	case <-ctx.Done():
		return at, errors.Join(ctx.Err(), h.stop())
	}
}

// stop returns what ended the worker, if it was not this.
func (h *host) stop() error {
	if h.bus != nil {
		h.bus.Close()
	}
	h.cancel()
	if h.ended != nil {
		<-h.ended
	}
	return h.err
}

// reclaim takes back the trials that agents had in hand when an embedded server died, instead of waiting until they
// come again: nobody else can have joined a server that has just been started.
func (h *host) reclaim(ctx context.Context, model string) error {
	if h.folder == "" {
		return nil
	}
	if err := h.bus.RemoveAgents(ctx, model); err != nil {
		return fmt.Errorf("take back trials: %w", err)
	}
	return h.bus.EnsureAgents(ctx, model)
}

// quiet logs nothing below the level, unless the user asked for everything.
func quiet(log zerolog.Logger, level zerolog.Level) zerolog.Logger {
	if log.GetLevel() <= zerolog.DebugLevel {
		return log
	}
	return log.Level(max(level, log.GetLevel()))
}
