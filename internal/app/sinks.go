package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/observer/sink"
	"github.com/visutility/retune/internal/wire"
)

var sinkTypes = []string{"log", "webhook"}

func (s Sink) name() string { return cmp.Or(s.Name, s.Type) }

// validate begins its errors with the field.
func (s Sink) validate() error {
	if s.Type == "" {
		return fmt.Errorf("type: is missing: give one of %s", strings.Join(sinkTypes, ", "))
	}
	if !slices.Contains(sinkTypes, s.Type) {
		return fmt.Errorf("type: %q is unknown: %s", s.Type, meant(s.Type, sinkTypes))
	}
	if err := wire.CheckName("name", s.name()); err != nil {
		return err
	}
	_, err := s.build(zerolog.Nop())
	return err
}

// build begins its errors with the field.
func (s Sink) build(log zerolog.Logger) (sink.Sink, error) {
	switch s.Type {
	case "log":
		const none = "%s: is nothing that a sink of type log has: remove it, or give type: webhook"
		switch {
		case s.URL != "":
			return nil, fmt.Errorf(none, "url")
		case s.Secret != nil:
			return nil, fmt.Errorf(none, "secret")
		case s.Headers != nil:
			return nil, fmt.Errorf(none, "headers")
		}
		return sink.NewLog(log), nil
	case "webhook":
		headers := make(map[string]string, len(s.Headers))
		for name, value := range s.Headers {
			headers[name] = string(value)
		}
		return sink.NewWebhook(sink.Webhook{Name: s.name(), URL: string(s.URL), Secret: (*string)(s.Secret), Headers: headers})
	}
	panic("sink of unknown type " + s.Type) // validate let it pass
}

// sinkWait is after how long an event that was handed out and not settled comes
// again: a worker holds up to 64 of them, of which sink.InFlight at a time may take
// sink.Timeout.
const sinkWait = (64/sink.InFlight + 1) * sink.Timeout

// startSinks feeds each sink from a durable consumer of its own, which all workers
// share, and returns what ends them and waits.
func startSinks(b *bus.Bus, sinks []Sink, metrics prometheus.Registerer, log zerolog.Logger) (stop func()) {
	events := newSinkMetrics(metrics)
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for _, s := range sinks {
		to, err := s.build(log)
		if err != nil {
			panic(err) // validateSinks let it pass
		}
		source := &sinkSource{bus: b, name: "retune-sink-" + s.name(), log: log, counts: events.of(s.name())}
		loops.Go(func() {
			defer source.close()
			// The source ends with ctx only, so there is no error.
			_ = sink.Run(ctx, log, to, source)
		})
	}
	return func() {
		cancel()
		loops.Wait()
	}
}

// sinkSource reads a durable consumer of retrain events, and opens it again
// whenever that fails: one who deletes it or the connection costs time only.
type sinkSource struct {
	bus     *bus.Bus
	name    string
	log     zerolog.Logger
	outputs *bus.Outputs
	counts  sinkCounts
}

// Next implements sink.Source.
func (s *sinkSource) Next(ctx context.Context) (sink.Delivery, error) {
	for {
		output, err := s.next(ctx)
		if err == nil {
			return counted{event{output}, s.counts}, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.log.Warn().Err(err).Str("consumer", s.name).Msg("retrain events: trying again")
		s.close()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *sinkSource) next(ctx context.Context) (bus.Output, error) {
	if s.outputs == nil {
		outputs, err := s.bus.Durable(ctx, s.name, s.bus.Settings().Subjects.Retrain("*", "*"), sinkWait)
		if err != nil {
			return bus.Output{}, err
		}
		s.outputs = outputs
	}
	output, err := s.outputs.Next(ctx)
	if err != nil {
		return bus.Output{}, fmt.Errorf("consumer %s: %w", s.name, err)
	}
	return output, nil
}

func (s *sinkSource) close() {
	if s.outputs != nil {
		s.outputs.Close()
		s.outputs = nil
	}
}

// event is a retrain event as sinks see it: always JSON.
type event struct{ bus.Output }

// counted is an event of which is counted what becomes of it.
type counted struct {
	event
	counts sinkCounts
}

// Ack implements sink.Delivery.
func (c counted) Ack() error {
	c.counts.delivered.Inc()
	return c.event.Ack()
}

// Retry implements sink.Delivery. An event that a stop gives back has not failed.
func (c counted) Retry(after time.Duration) error {
	if after > 0 {
		c.counts.retried.Inc()
	}
	return c.event.Retry(after)
}

// Drop implements sink.Delivery.
func (c counted) Drop() error {
	c.counts.dropped.Inc()
	return c.event.Drop()
}

// Event implements sink.Delivery.
func (e event) Event() sink.Event {
	body, header := e.Body, e.Header
	if header["Content-Type"] != wire.JSON.ContentType() {
		// What does not decode is handed on as it is.
		if converted, err := wire.ToJSON(body); err == nil {
			body, header = converted, maps.Clone(header)
			header["Content-Type"] = wire.JSON.ContentType()
			header["ce-datacontenttype"] = wire.JSON.ContentType()
		}
	}
	return sink.Event{
		ID: header["ce-id"], Model: header["ce-subject"], Body: body, Headers: header, Stored: e.Time, Attempt: e.Attempt,
	}
}
