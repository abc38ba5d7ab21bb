package app

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/observer/sink"
	"github.com/visutility/retune/internal/wire"
)

var sinkTypes = []string{"log"}

func (s Sink) build(log zerolog.Logger) sink.Sink {
	switch s.Type {
	case "log":
		return sink.NewLog(log)
	}
	panic("sink of unknown type " + s.Type) // validateSinks let it pass
}

// sinkWait is after how long an event that was handed out and not settled comes
// again: a worker holds up to 64 of them, of which sink.InFlight at a time may take
// sink.Timeout.
const sinkWait = (64/sink.InFlight + 1) * sink.Timeout

// startSinks feeds each sink from a durable consumer of its own, which all workers
// share, and returns what ends them and waits.
func startSinks(b *bus.Bus, sinks []Sink, log zerolog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for _, s := range sinks {
		source := &sinkSource{bus: b, name: "retune-sink-" + s.Type, log: log}
		loops.Go(func() {
			defer source.close()
			// The source ends with ctx only, so there is no error.
			_ = sink.Run(ctx, log, s.build(log), source)
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
}

// Next implements sink.Source.
func (s *sinkSource) Next(ctx context.Context) (sink.Delivery, error) {
	for {
		output, err := s.next(ctx)
		if err == nil {
			return event{output}, nil
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
