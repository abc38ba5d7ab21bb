package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/wire"
)

// commandBundle is a server, provisioned, as the commands meet one.
type commandBundle struct {
	t   *testing.T
	url string
	bus *bus.Bus
	js  jetstream.JetStream
}

func newCommandBundle(t *testing.T) *commandBundle {
	t.Helper()
	srv := bustest.Server(t)
	_, js := bustest.Client(t, srv.ClientURL())
	return &commandBundle{t: t, url: srv.ClientURL(), bus: bustest.Open(t, srv.ClientURL(), bustest.Settings()), js: js}
}

// worker runs one until the test ends.
func (c *commandBundle) worker() {
	c.t.Helper()
	config, err := Config{}.WithDefaults().coordinator("test", false)
	if err != nil {
		c.t.Fatal(err)
	}
	b := bustest.Open(c.t, c.url, bustest.Settings())
	w := coordinator.New(b, config, coordinator.NewMetrics(prometheus.NewRegistry()), bustest.Logger(c.t))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	})
}

// report publishes one as a trainer does.
func (c *commandBundle) report(model, format string, args ...any) {
	c.t.Helper()
	if _, err := c.js.Publish(c.t.Context(), "retune.metrics."+model, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

// inputs are what the input stream holds, in order.
func (c *commandBundle) inputs() (messages []*jetstream.RawStreamMsg) {
	c.t.Helper()
	stream, err := c.js.Stream(c.t.Context(), "RETUNE_METRICS")
	if err != nil {
		c.t.Fatal(err)
	}
	for n := range stream.CachedInfo().State.LastSeq {
		m, err := stream.GetMsg(c.t.Context(), n+1)
		if err != nil {
			c.t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// train answers the trials of a model with x² until the test ends.
func (c *commandBundle) train(model string) {
	c.t.Helper()
	outputs, err := c.bus.Watch(c.t.Context(), []string{c.bus.Settings().Subjects.TrialConfigs(model)}, time.Unix(1, 0))
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for {
			o, err := outputs.Next(ctx)
			if err != nil {
				return
			}
			var config wire.Config
			if err := wire.Decode(o.Body, o.Header["Content-Type"], &config); err != nil {
				c.t.Error(err)
				return
			}
			x, _ := config.Config["x"].(float64)
			body := fmt.Appendf(nil, `{"study":%q,"trial":%d,"metrics":{"loss":%g},"duration_ms":1500}`, config.Study, *config.Trial, x*x)
			if _, err := c.js.Publish(ctx, "retune.metrics."+model, body); err != nil && ctx.Err() == nil {
				c.t.Error(err)
				return
			}
		}
	})
	c.t.Cleanup(func() {
		cancel()
		done.Wait()
		outputs.Close()
	})
}

// object decodes what a command printed as JSON.
func object[T any](t *testing.T, printed *bytes.Buffer) (v T) {
	t.Helper()
	if err := json.Unmarshal(printed.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, printed)
	}
	return v
}
