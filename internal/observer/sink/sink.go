// Package sink hands retrain events to whoever acts on them, each until it is taken or a day old.
package sink

import (
	"context"
	"time"
)

// Event is a retrain event as stored.
type Event struct {
	ID      string // unique; sorts by time
	Model   string
	Body    []byte // JSON
	Headers map[string]string
	Stored  time.Time // when the stream stored it
	Attempt int       // number of this delivery to this sink, from 1
}

// Sink takes events. Deliver is called from several goroutines at once, and may see an event again after it took it
// (a crash before the acknowledgement) and events of one model out of order (after a retry).
type Sink interface {
	// Name is what logs call it.
	Name() string
	// Deliver returns nil once the event is taken for good; an error has it delivered again later.
	// ctx ends after 30 s or with the worker; Deliver must return soon after, as its place is not given to another event.
	Deliver(ctx context.Context, e Event) error
}

// Source is a durable queue of the events one sink has not taken.
type Source interface {
	// Next waits for an event. What it returned and nobody settled comes again, but not within Timeout.
	// Its error ends the loop.
	Next(ctx context.Context) (Delivery, error)
}

// Delivery is one event in flight. Exactly one of Ack, Retry and Drop is called, once, also after the loop was stopped.
type Delivery interface {
	Event() Event
	// Ack says that the sink took it.
	Ack() error
	// Retry has it come again with the next Attempt, after a delay.
	Retry(after time.Duration) error
	// Drop says that it shall not come again although the sink did not take it.
	Drop() error
}
