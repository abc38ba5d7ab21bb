package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
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
//
// It pulls by itself: the client library's iterator shares one channel of fixed
// size between messages and heartbeats, and drops messages when a slow reader lets
// heartbeats pile up.
type Reader struct {
	bus      *Bus
	consumer jetstream.Consumer
	sub      *nats.Subscription
	next     string // subject of pull requests
	ready    chan struct{}
	closed   chan struct{}
	once     sync.Once

	mu       sync.Mutex
	buffer   []Input
	held     int64     // bytes in the buffer
	received uint64    // sequence, in the consumer, of the last message buffered
	asked    int       // messages asked for that have not come
	heard    time.Time // when the server last sent anything
	err      error
}

const (
	readAhead      = 1024        // inputs asked for and not taken
	readAheadBytes = 4 << 20     // of a pull request; the next is sent when half of it is taken
	readHeartbeat  = time.Second // of the server while it has nothing to send
)

// ErrGap: a message was lost on its way to the reader.
var ErrGap = errors.New("a message was lost between server and reader")

// Read starts reading a partition from the sequence on. There is one consumer a
// partition, with one filter: a consumer with many filters is slower by far.
func (b *Bus) Read(ctx context.Context, partition int, from uint64) (*Reader, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	reconnected := b.reconnects()
	stream := b.set.Subjects.InputStream()
	consumer, err := b.js.CreateConsumer(rctx, stream, jetstream.ConsumerConfig{
		FilterSubject: b.set.Subjects.InputPartition(partition),
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, from),
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("read partition %d: %w", partition, err)
	}
	r := &Reader{
		bus: b, consumer: consumer, next: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer.CachedInfo().Name,
		ready: make(chan struct{}, 1), closed: make(chan struct{}), heard: time.Now(),
	}
	if r.sub, err = b.nc.Subscribe(b.nc.NewInbox(), r.receive); err != nil {
		return nil, fmt.Errorf("read partition %d: %w", partition, err)
	}
	if err := r.sub.SetPendingLimits(-1, -1); err != nil { // bounded by what is asked for
		return nil, fmt.Errorf("read partition %d: %w", partition, err)
	}
	r.mu.Lock()
	r.ask()
	r.mu.Unlock()
	go r.watch(reconnected)
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
	for i := range taken {
		r.held -= int64(len(taken[i].Body))
	}
	if len(r.buffer) == 0 {
		r.buffer = nil
	}
	if len(r.buffer) > 0 || r.err != nil {
		signal(r.ready)
	}
	r.ask()
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
			stored, taken := info.NumPending+info.Delivered.Consumer, received-buffered
			lag := stored - min(taken, stored)
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
		_ = r.sub.Unsubscribe()
		r.bus.drop(r.bus.set.Subjects.InputStream(), r.consumer.CachedInfo().Name)
	})
}

// ask sends a pull request for what there is room for. Called under the lock.
func (r *Reader) ask() {
	room := readAhead - r.asked - len(r.buffer)
	// A message and the server's headers must always fit, or it would never come.
	most := max(readAheadBytes, r.bus.nc.MaxPayload()+1<<20)
	if r.err != nil || room < readAhead/2 || r.held > most/2 {
		return
	}
	body := fmt.Appendf(nil, `{"batch":%d,"max_bytes":%d,"expires":%d,"idle_heartbeat":%d}`,
		room, most, 10*time.Second, readHeartbeat)
	if r.asked == 0 {
		r.heard = time.Now()
	}
	r.asked += room
	if err := r.bus.nc.PublishRequest(r.next, r.sub.Subject, body); err != nil {
		r.failLocked(err)
	}
}

// receive takes a message, or what the server says of a pull request.
func (r *Reader) receive(m *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = time.Now()
	if m.Reply == "" { // what is stored has one, whatever its headers say
		r.status(m)
		return
	}
	meta, err := m.Metadata()
	if err != nil {
		r.failLocked(err)
		return
	}
	if meta.Sequence.Consumer != r.received+1 {
		r.failLocked(ErrGap)
		return
	}
	r.received++
	r.asked--
	in := Input{Sequence: meta.Sequence.Stream, Time: meta.Timestamp, Subject: m.Subject, Body: m.Data, Pending: meta.NumPending}
	if m.Header != nil {
		in.ContentType, in.TraceParent = m.Header.Get("Content-Type"), m.Header.Get("traceparent")
	}
	r.buffer = append(r.buffer, in)
	r.held += int64(len(in.Body))
	signal(r.ready)
}

// status handles heartbeats (100) and the end of a pull request (404, 408, some
// 409), which says how much of it was not served; any other ends the reader.
func (r *Reader) status(m *nats.Msg) {
	status, left := m.Header.Get("Status"), m.Header.Get("Nats-Pending-Messages")
	switch {
	case status == "100":
	case left != "":
		n, _ := strconv.Atoi(left)
		r.asked = max(0, r.asked-n)
		r.ask()
	default:
		r.failLocked(fmt.Errorf("the server ended the consumer: %s %s", status, m.Header.Get("Description")))
	}
}

func (r *Reader) failLocked(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("reading inputs: %w", err)
	}
	signal(r.ready)
}

func (r *Reader) fail(err error) {
	r.mu.Lock()
	r.failLocked(err)
	r.mu.Unlock()
}

// watch ends the reader when the connection was lost: what the server sent into
// the broken one is gone, and without a further message nobody would notice. And
// when a server that owes messages or heartbeats is silent: its consumer is gone.
func (r *Reader) watch(reconnected <-chan struct{}) {
	ticker := time.NewTicker(readHeartbeat / 2)
	defer ticker.Stop()
	for last := time.Now(); ; last = time.Now() {
		select {
		case <-reconnected:
			r.fail(errors.New("the connection was lost"))
			return
		case <-r.closed:
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		if time.Since(last) > 2*readHeartbeat {
			r.heard = time.Now() // we slept, not the server
		}
		if r.asked > 0 && time.Since(r.heard) > 3*readHeartbeat {
			r.failLocked(errors.New("no heartbeat from the server"))
		}
		r.mu.Unlock()
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

// Newest is the last input of all partitions.
func (b *Bus) Newest(ctx context.Context) (Place, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	stream, err := b.js.Stream(rctx, b.set.Subjects.InputStream())
	if err != nil {
		return Place{}, fmt.Errorf("input stream: %w", err)
	}
	info := stream.CachedInfo()
	return Place{Sequence: info.State.LastSeq, Time: info.State.LastTime, Created: info.Created}, nil
}

// StoredBy is the sequence of the last input that was stored at or before the time.
func (b *Bus) StoredBy(ctx context.Context, at time.Time) (uint64, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	stream, err := b.js.Stream(rctx, b.set.Subjects.InputStream())
	if err != nil {
		return 0, fmt.Errorf("input stream: %w", err)
	}
	start := at.Add(1)
	consumer, err := stream.CreateConsumer(rctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &start, HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 10 * time.Second,
	})
	if err != nil {
		return 0, fmt.Errorf("input stream: %w", err)
	}
	defer b.drop(b.set.Subjects.InputStream(), consumer.CachedInfo().Name)
	if consumer.CachedInfo().NumPending == 0 {
		return stream.CachedInfo().State.LastSeq, nil
	}
	first, err := consumer.Next(jetstream.FetchMaxWait(3 * time.Second))
	if err != nil {
		return 0, fmt.Errorf("input stream: %w", err)
	}
	meta, err := first.Metadata()
	if err != nil {
		return 0, fmt.Errorf("input stream: %w", err)
	}
	return meta.Sequence.Stream - 1, nil
}
