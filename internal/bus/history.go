package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// History gives the inputs that are stored, in order, and then ends. Nothing of it stays on the server: its consumer is
// in memory and acknowledges nothing.
type History struct {
	bus      *Bus
	consumer jetstream.Consumer
	messages jetstream.MessagesContext
	last     uint64 // sequence of the newest input when it began
	left     bool   // inputs to come
}

// History reads what is stored of the model, "*" being all, since the time; zero: from the oldest on.
func (b *Bus) History(ctx context.Context, model string, since time.Time) (*History, error) {
	newest, err := b.Newest(ctx)
	if err != nil {
		return nil, err
	}
	rctx, cancel := request(ctx)
	defer cancel()
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{b.set.Subjects.InputModel(model)}, DeliverPolicy: jetstream.DeliverAllPolicy,
		InactiveThreshold: 30 * time.Second,
	}
	if !since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	consumer, err := b.js.OrderedConsumer(rctx, b.set.Subjects.InputStream(), config)
	if err != nil {
		return nil, fmt.Errorf("input stream: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("input stream: %w", err)
	}
	return &History{bus: b, consumer: consumer, messages: messages, last: newest.Sequence, left: consumer.CachedInfo().NumPending > 0}, nil
}

// patience bounds the wait for a server that owes inputs.
const patience = 30 * time.Second

// Next returns the next input, or io.EOF after those that were stored when the history began.
func (h *History) Next(ctx context.Context) (Input, error) {
	if !h.left {
		return Input{}, io.EOF
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := h.messages.Next(jetstream.NextContext(wait))
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("the server sent nothing for %s", patience)
		}
		return Input{}, fmt.Errorf("reading inputs: %w", err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return Input{}, fmt.Errorf("reading inputs: %w", err)
	}
	h.left = meta.NumPending > 0
	if meta.Sequence.Stream > h.last {
		return Input{}, io.EOF
	}
	return Input{
		Sequence: meta.Sequence.Stream, Time: meta.Timestamp, Subject: m.Subject(), Body: m.Data(),
		ContentType: m.Headers().Get("Content-Type"), Pending: meta.NumPending,
	}, nil
}

// Close stops. It may be called twice.
func (h *History) Close() {
	h.messages.Stop()
	if info := h.consumer.CachedInfo(); info != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = h.bus.js.DeleteConsumer(ctx, h.bus.set.Subjects.InputStream(), info.Name) // else the server does, in a while
	}
}
