package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Input is one message of the input stream.
type Input struct {
	Sequence    uint64    // in the stream
	Time        time.Time // when the stream stored it
	Subject     string    // as stored: <prefix>.<kind>.<partition>.<model>
	Body        []byte
	ContentType string
	TraceParent string
	Pending     uint64 // further inputs of the partition that were stored when this one was sent
}

// Reader gives the inputs of one partition in order, none left out: it ends with
// an error rather than skip one.
type Reader struct {
	bus      *Bus
	consumer jetstream.Consumer
	messages jetstream.MessagesContext
	ready    chan struct{}
	room     chan struct{}
	closed   chan struct{}
	once     sync.Once

	mu       sync.Mutex
	buffer   []Input
	received uint64 // sequence, in the consumer, of the last message buffered
	err      error
}

// readAhead is how many inputs a reader buffers.
const readAhead = 1024

// ErrGap: a message was lost on its way to the reader.
var ErrGap = errors.New("a message was lost between server and reader")

// Read starts reading a partition from the sequence on. There is one consumer a
// partition, with one filter: a consumer with many filters is slower by far.
func (b *Bus) Read(ctx context.Context, partition int, from uint64) (*Reader, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	reconnected := b.reconnects()
	consumer, err := b.js.CreateConsumer(rctx, b.set.Subjects.InputStream(), jetstream.ConsumerConfig{
		FilterSubject: b.set.Subjects.InputPartition(partition),
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, from),
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("read partition %d: %w", partition, err)
	}
	messages, err := consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(readAhead, int(max(4<<20, b.nc.MaxPayload()+1<<20))),
		jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return nil, fmt.Errorf("read partition %d: %w", partition, err)
	}
	r := &Reader{
		bus: b, consumer: consumer, messages: messages,
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	go r.pump()
	go r.failOnReconnect(reconnected)
	return r, nil
}

// Ready is signalled when there is something to take, or an error.
func (r *Reader) Ready() <-chan struct{} { return r.ready }

// Take returns up to n inputs that are at hand, without waiting. The error comes
// once all that preceded it is taken.
func (r *Reader) Take(n int) ([]Input, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.buffer) == 0 {
		return nil, r.err
	}
	n = min(n, len(r.buffer))
	taken := r.buffer[:n:n]
	r.buffer = r.buffer[n:]
	if len(r.buffer) == 0 {
		r.buffer = nil
	}
	if len(r.buffer) > 0 || r.err != nil {
		signal(r.ready)
	}
	signal(r.room)
	return taken, nil
}

// Position is what the server says of a reader at one moment.
type Position struct {
	Time     time.Time // the server's clock at that moment
	Lag      uint64    // inputs stored by then and not yet taken
	CaughtUp bool      // everything stored by then was taken
}

// Position asks the server how far the reader is. ErrGap if the server delivered
// more than came in a second.
func (r *Reader) Position(ctx context.Context) (Position, error) {
	for attempt := 0; ; attempt++ {
		rctx, cancel := request(ctx)
		sent := time.Now()
		info, err := r.consumer.Info(rctx)
		cancel()
		if err != nil {
			return Position{}, fmt.Errorf("consumer: %w", err)
		}
		r.bus.heard(info.TimeStamp, sent)
		r.mu.Lock()
		buffered, received := uint64(len(r.buffer)), r.received
		r.mu.Unlock()
		onTheWay := info.Delivered.Consumer - min(received, info.Delivered.Consumer)
		if onTheWay == 0 || buffered > 0 {
			lag := info.NumPending + onTheWay + buffered
			return Position{Time: info.TimeStamp, Lag: lag, CaughtUp: lag == 0}, nil
		}
		if attempt == 5 {
			return Position{}, ErrGap
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return Position{}, ctx.Err()
		}
	}
}

// Close stops reading. It may be called twice.
func (r *Reader) Close() {
	r.once.Do(func() {
		close(r.closed)
		r.messages.Stop()
		r.bus.drop(r.bus.set.Subjects.InputStream(), r.consumer.CachedInfo().Name)
	})
}

func (r *Reader) pump() {
	for {
		m, err := r.messages.Next()
		if err != nil {
			r.fail(err)
			return
		}
		meta, err := m.Metadata()
		if err != nil {
			r.fail(err)
			return
		}
		in := Input{Sequence: meta.Sequence.Stream, Time: meta.Timestamp, Subject: m.Subject(), Body: m.Data(), Pending: meta.NumPending}
		if h := m.Headers(); h != nil {
			in.ContentType, in.TraceParent = h.Get("Content-Type"), h.Get("traceparent")
		}
		full, ok := r.push(in, meta.Sequence.Consumer)
		if !ok {
			r.fail(ErrGap)
			return
		}
		if full && !r.waitForRoom() {
			return
		}
	}
}

func (r *Reader) push(in Input, sequence uint64) (full, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sequence != r.received+1 {
		return false, false
	}
	r.received = sequence
	r.buffer = append(r.buffer, in)
	signal(r.ready)
	return len(r.buffer) >= readAhead, true
}

func (r *Reader) waitForRoom() bool {
	for {
		r.mu.Lock()
		full := len(r.buffer) >= readAhead
		r.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-r.room:
		case <-r.closed:
			return false
		}
	}
}

func (r *Reader) fail(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = fmt.Errorf("reading inputs: %w", err)
	}
	r.mu.Unlock()
	signal(r.ready)
}

// failOnReconnect ends the reader when the connection was lost: what the server
// sent into the broken one is gone, and without a further message nobody would
// notice.
func (r *Reader) failOnReconnect(reconnected <-chan struct{}) {
	select {
	case <-reconnected:
		r.fail(errors.New("the connection was lost"))
	case <-r.closed:
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Place is where a partition stands in the input stream, as offset.<p> keeps it.
type Place struct {
	Sequence uint64    // the last input applied and written
	Time     time.Time // when the stream stored it
	Created  time.Time // when the input stream was created; zero: never read
}

// CheckPlace tells whether the input stream is still the one that the place
// speaks of, and when it was created. expired: inputs after the place were
// discarded unread. ErrInputs where the stream was recreated, restored or lost
// its tail.
func (b *Bus) CheckPlace(ctx context.Context, at Place) (created time.Time, expired bool, err error) {
	rctx, cancel := request(ctx)
	defer cancel()
	sent := time.Now()
	stream, err := b.js.Stream(rctx, b.set.Subjects.InputStream())
	if err != nil {
		return time.Time{}, false, fmt.Errorf("input stream: %w", err)
	}
	info := stream.CachedInfo()
	b.heard(info.TimeStamp, sent)
	if at.Created.IsZero() {
		return info.Created, false, nil
	}
	if !at.Created.Equal(info.Created) {
		return info.Created, false, fmt.Errorf("%w: it was created %s, the one read before %s", ErrInputs, info.Created.UTC().Format(time.RFC3339Nano), at.Created.UTC().Format(time.RFC3339Nano))
	}
	if info.State.LastSeq < at.Sequence {
		return info.Created, false, fmt.Errorf("%w: it ends at %d, %d was read before: its tail was lost", ErrInputs, info.State.LastSeq, at.Sequence)
	}
	if at.Sequence >= max(1, info.State.FirstSeq) {
		m, err := stream.GetMsg(rctx, at.Sequence)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return info.Created, false, fmt.Errorf("input stream: %w", err)
		}
		if err == nil && !at.Time.IsZero() && !m.Time.Equal(at.Time) {
			return info.Created, false, fmt.Errorf("%w: its message %d is of %s, the one read before of %s", ErrInputs, at.Sequence, m.Time.UTC().Format(time.RFC3339Nano), at.Time.UTC().Format(time.RFC3339Nano))
		}
	}
	return info.Created, info.State.FirstSeq > at.Sequence+1, nil
}

// InputsEnd is the last sequence of the input stream.
func (b *Bus) InputsEnd(ctx context.Context) (uint64, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	stream, err := b.js.Stream(rctx, b.set.Subjects.InputStream())
	if err != nil {
		return 0, fmt.Errorf("input stream: %w", err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}
