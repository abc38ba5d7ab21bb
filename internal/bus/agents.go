package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoTrials: no study of the model has started yet, so that nothing can be shared out.
var ErrNoTrials = errors.New("no study of the model has started yet")

// Queue shares outputs out, one at a time, among all who take them.
type Queue struct {
	bus      *Bus
	consumer jetstream.Consumer
}

// Trials joins those who evaluate the model's trials, by their configs. ErrNoTrials until the first study has started.
func (b *Bus) Trials(ctx context.Context, model string) (*Queue, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	consumer, err := b.js.Consumer(rctx, b.set.Subjects.BucketStream(), AgentsConsumer(model))
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, ErrNoTrials
	}
	if err != nil {
		return nil, fmt.Errorf("trials of %s: %w", model, err)
	}
	return &Queue{bus: b, consumer: consumer}, nil
}

// AckWait is how long an output that was taken stays with its taker, from Take or the latest Working. Then another
// gets it, unless it is settled.
func (q *Queue) AckWait() time.Duration { return q.consumer.CachedInfo().Config.AckWait }

// pullTime bounds one request for an output; a server that is gone shows after a third of it.
const pullTime = 30 * time.Second

// Take waits for an output until ctx ends. After any other error join anew. What is on its way when ctx ends comes to
// another after the AckWait.
func (q *Queue) Take(ctx context.Context) (Output, error) {
	for {
		out, err := q.pull(ctx)
		if err != nil || out.msg != nil {
			return out, err
		}
	}
}

// pull returns nothing when the time is up. A request is lost with the connection: then it is given up at once.
func (q *Queue) pull(ctx context.Context) (Output, error) {
	reconnected := q.bus.reconnects()
	rctx, cancel := context.WithTimeout(ctx, pullTime)
	defer cancel()
	batch, err := q.consumer.Fetch(1, jetstream.FetchContext(rctx))
	if err != nil {
		return Output{}, errors.Join(ctx.Err(), err)
	}
	var m jetstream.Msg
	select {
	case m = <-batch.Messages():
	case <-reconnected:
		cancel()
		m = <-batch.Messages() // closed soon, perhaps after an output that came in between
	}
	switch {
	case m != nil && ctx.Err() != nil:
		_ = m.Nak() // it came too late
		return Output{}, ctx.Err()
	case m != nil:
		out := Output{Subject: m.Subject(), Body: m.Data(), Header: flat(m.Headers()), msg: m}
		if meta, err := m.Metadata(); err == nil {
			out.Sequence, out.Time, out.Attempt = meta.Sequence.Stream, meta.Timestamp, int(meta.NumDelivered)
		}
		return out, nil
	case ctx.Err() != nil:
		return Output{}, ctx.Err()
	case rctx.Err() != nil:
		return Output{}, nil
	}
	return Output{}, batch.Error()
}

// Working says that the output is being dealt with: it stays with its taker for another AckWait.
func (o Output) Working() error { return o.msg.InProgress() }

// Settle is Ack that returns when the server has it. It tries until ctx ends.
func (o Output) Settle(ctx context.Context) error {
	return persist(ctx, func() error {
		rctx, cancel := request(ctx)
		defer cancel()
		return o.msg.DoubleAck(rctx)
	})
}

// PublishOnce sends an input until the stream has stored it or ctx ends. The id keeps a repetition within the
// stream's duplicate window from being stored twice.
func (b *Bus) PublishOnce(ctx context.Context, subject, contentType, id string, body []byte) error {
	warned := false
	err := persist(ctx, func() error {
		rctx, cancel := request(ctx)
		defer cancel()
		_, err := b.js.PublishMsg(rctx, inputMessage(subject, contentType, body), jetstream.WithMsgID(id))
		if err != nil && !warned && ctx.Err() == nil {
			warned = true
			b.log.Warn().Err(b.publishError(err)).Str("subject", subject).Msg("not stored yet: trying again")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("publish to %s: %w", subject, b.publishError(err))
	}
	return nil
}

// persist repeats f until it succeeds, fails for good or ctx ends.
func persist(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || ctx.Err() != nil || errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
