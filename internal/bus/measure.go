package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Listen calls f for each message that comes under the subject to a plain
// subscription, until the returned function is called.
func (b *Bus) Listen(subject string, f func(subject string, body []byte)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) { f(m.Subject, m.Data) })
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	if err := b.nc.Flush(); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// Destroy deletes the streams and buckets of this prefix with all that is in
// them. Only for prefixes that a benchmark or a demo has made for itself.
func (b *Bus) Destroy(ctx context.Context) error {
	s := b.set.Subjects
	for _, name := range []string{s.InputStream(), s.BucketStream(), "KV_" + s.WorkersBucket()} {
		rctx, cancel := request(ctx)
		err := b.js.DeleteStream(rctx, name)
		cancel()
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("delete stream %s: %w", name, err)
		}
	}
	return nil
}

// LastInputs is the sequence of the newest input of each partition, 0 where there
// is none.
func (b *Bus) LastInputs(ctx context.Context) ([]uint64, error) {
	stream, err := b.js.Stream(ctx, b.set.Subjects.InputStream())
	if err != nil {
		return nil, fmt.Errorf("input stream: %w", err)
	}
	last := make([]uint64, b.set.Partitions)
	for p := range last {
		m, err := stream.GetLastMsgForSubject(ctx, b.set.Subjects.InputPartition(p))
		if err == nil {
			last[p] = m.Sequence
		} else if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, fmt.Errorf("input stream: %w", err)
		}
	}
	return last, nil
}
