package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrNoOutputs: no worker has made the bucket yet.
	ErrNoOutputs = errors.New("no worker has started yet")
	// ErrOtherHook: hooks of that name take other events.
	ErrOtherHook = errors.New("a hook of this name takes other events")
)

// Hook says which retrain events are shared out, among all hooks of the name.
type Hook struct {
	Name     string
	Model    string    // "*": of all
	Triggers string    // that its takers heed; only compared with those of the others. "": all
	Since    time.Time // where a new name begins; zero: with the events to come
}

// HookConsumer names the durable consumer of a hook.
func HookConsumer(name string) string { return "retune-hook-" + name }

const (
	hookAckWait = 30 * time.Second
	hookIdle    = 30 * 24 * time.Hour // without a taker for so long its consumer is removed
	triggersKey = "retune-triggers"   // of the consumer's metadata
)

// Hook joins those who take the events of a hook; fresh tells that its name is new. ErrNoOutputs until the bucket is
// there, ErrOtherHook where the name is used for other events.
func (b *Bus) Hook(ctx context.Context, h Hook) (queue *Queue, fresh bool, err error) {
	rctx, cancel := request(ctx)
	defer cancel()
	stream := b.set.Subjects.BucketStream()
	consumer, err := b.js.Consumer(rctx, stream, HookConsumer(h.Name))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		fresh = true
		consumer, err = b.js.CreateConsumer(rctx, stream, b.hookConfig(h))
		if errors.Is(err, jetstream.ErrConsumerExists) { // another was faster
			fresh = false
			consumer, err = b.js.Consumer(rctx, stream, HookConsumer(h.Name))
		}
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, false, ErrNoOutputs
	}
	if err != nil {
		return nil, false, fmt.Errorf("consumer %s: %w", HookConsumer(h.Name), err)
	}
	found, wanted := consumer.CachedInfo().Config, b.hookConfig(h)
	if found.FilterSubject != wanted.FilterSubject || found.Metadata[triggersKey] != h.Triggers {
		return nil, false, fmt.Errorf("%w: %s with triggers %q, here %s with %q", ErrOtherHook,
			found.FilterSubject, found.Metadata[triggersKey], wanted.FilterSubject, h.Triggers)
	}
	return &Queue{bus: b, consumer: consumer}, fresh, nil
}

func (b *Bus) hookConfig(h Hook) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Durable: HookConsumer(h.Name), FilterSubject: b.set.Subjects.Retrain(h.Model, "*"),
		DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckExplicitPolicy, AckWait: hookAckWait,
		MaxAckPending: 1000, InactiveThreshold: hookIdle, Description: "retrain events, shared out among hooks",
		Metadata: map[string]string{triggersKey: h.Triggers},
	}
	if !h.Since.IsZero() {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &h.Since
	}
	return c
}
