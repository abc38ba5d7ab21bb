package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Output is a committed message for subscribers.
type Output struct {
	Subject  string
	Sequence uint64
	Time     time.Time // when it was stored
	Body     []byte
	Header   map[string]string
	Attempt  int // deliveries of it by this consumer, from 1
	msg      jetstream.Msg
}

// Ack says that the output is dealt with and does not come again.
func (o Output) Ack() error { return o.msg.Ack() }

// Retry asks for it again after a while.
func (o Output) Retry(after time.Duration) error { return o.msg.NakWithDelay(after) }

// Drop says that it is given up.
func (o Output) Drop() error { return o.msg.Term() }

// EnsureAgents makes sure that the durable consumer from which a model's trials
// are shared out exists. It must before the first trial is published.
func (b *Bus) EnsureAgents(ctx context.Context, model string) error {
	rctx, cancel := request(ctx)
	defer cancel()
	s := b.set.Subjects
	_, err := b.js.CreateConsumer(rctx, s.BucketStream(), jetstream.ConsumerConfig{
		Durable: AgentsConsumer(model), FilterSubject: s.Prefix + ".config." + model + ".*.*",
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second,
		InactiveThreshold: 30 * 24 * time.Hour, // nobody asks any more: the next study makes it again
		Description:       "trials of the model, shared out among agents",
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return fmt.Errorf("consumer of the trials of %s: %w", model, refused(err))
	}
	return nil
}

// AgentsConsumer names the durable consumer of a model's trials.
func AgentsConsumer(model string) string { return "retune-agents-" + model }

// RemoveAgents deletes the consumer of a model that is forgotten.
func (b *Bus) RemoveAgents(ctx context.Context, model string) error {
	rctx, cancel := request(ctx)
	defer cancel()
	err := b.js.DeleteConsumer(rctx, b.set.Subjects.BucketStream(), AgentsConsumer(model))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("consumer of the trials of %s: %w", model, err)
	}
	return nil
}

// Durable shares the outputs under a filter among all who use the same name,
// each until it is acknowledged, from the first that is still stored.
func (b *Bus) Durable(ctx context.Context, name, filter string, ackWait time.Duration) (*Outputs, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	consumer, err := b.js.CreateOrUpdateConsumer(rctx, b.set.Subjects.BucketStream(), jetstream.ConsumerConfig{
		Durable: name, FilterSubject: filter, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 1000,
	})
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", name, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(16)) // few: what a stopped one had fetched waits for ackWait
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", name, err)
	}
	return &Outputs{messages: messages}, nil
}

// Watch follows the outputs under the filters: those stored since the time (zero:
// only new ones), then those to come, in order.
func (b *Bus) Watch(ctx context.Context, filters []string, since time.Time) (*Outputs, error) {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: filters, DeliverPolicy: jetstream.DeliverNewPolicy}
	if !since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	consumer, err := b.follow(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s is not there yet: start a worker first", b.set.Subjects.BucketStream())
	}
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return &Outputs{messages: messages}, nil
}

// follow asks again while the stream's servers elect a leader, which leaves a request without an answer.
func (b *Bus) follow(ctx context.Context, config jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	const tries = 3
	for try := 1; ; try++ {
		rctx, cancel := request(ctx)
		consumer, err := b.js.OrderedConsumer(rctx, b.set.Subjects.BucketStream(), config)
		cancel()
		switch {
		case !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
			return consumer, err
		case try == tries:
			return nil, fmt.Errorf("the server did not answer %d times: %w", tries, err)
		}
	}
}

// Committed calls f for each output under the subject when it is committed, until stop is called. What is committed
// while the connection is lost is not told.
func (b *Bus) Committed(subject string, f func(Output)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) {
		out := Output{Subject: m.Subject, Body: m.Data, Header: flat(m.Header)}
		out.Sequence, _ = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		f(out)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	_ = b.nc.FlushTimeout(time.Second) // a connection that is lost tells the server when it is back
	return func() { _ = sub.Unsubscribe() }, nil
}

// Outputs gives outputs one after the other.
type Outputs struct{ messages jetstream.MessagesContext }

// Next waits for the next output, until ctx ends.
func (o *Outputs) Next(ctx context.Context) (Output, error) {
	m, err := o.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return Output{}, err
	}
	out := Output{Subject: m.Subject(), Body: m.Data(), Header: flat(m.Headers()), msg: m}
	if meta, err := m.Metadata(); err == nil {
		out.Sequence, out.Time, out.Attempt = meta.Sequence.Stream, meta.Timestamp, int(meta.NumDelivered)
	}
	return out, nil
}

// Close stops. It may be called twice.
func (o *Outputs) Close() { o.messages.Stop() }

func flat(h nats.Header) map[string]string {
	flat := make(map[string]string, len(h))
	for k, v := range h {
		if len(v) > 0 {
			flat[k] = v[0]
		}
	}
	return flat
}
