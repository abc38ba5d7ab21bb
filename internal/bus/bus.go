// Package bus is everything retune knows of NATS JetStream: the connection, the
// input stream and the bucket, partitions and their owners, reading, and the
// atomic commit.
package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/wire"
)

// Settings say how the input stream and the bucket are laid out.
type Settings struct {
	Subjects    wire.Subjects
	Partitions  int           // of the inputs, 1 to 1024; fixed when the stream is created
	Replicas    int           // of both streams, 1 to 5
	InputAge    time.Duration // how long inputs are kept
	InputBytes  int64         // at most this much of them; the oldest are discarded
	BucketBytes int64         // state and outputs; when full, commits are refused whole
	Lease       time.Duration // a worker not heard of for so long is taken for dead; at least 1 s
}

// Bus is one connection to NATS and what retune does over it. It is safe for
// concurrent use.
type Bus struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	set Settings
	log zerolog.Logger
	// ahead is how far the server's clock is ahead of ours, in nanoseconds.
	ahead atomic.Int64

	mu   sync.Mutex
	lost chan struct{} // closed when the connection was lost and is back
}

// Errors that a caller acts upon; everything else is to be retried.
var (
	// ErrConflict: the fence was not the one held. Nothing of the commit was stored.
	ErrConflict = errors.New("another worker committed to this partition")
	// ErrUnknown: whether the commit was stored is not known. Read again.
	ErrUnknown = errors.New("the outcome of the commit is not known")
	// ErrFull: the bucket has no room. Nothing of the commit was stored.
	ErrFull = errors.New("the bucket is full: raise limits.bucket_bytes and the stream's max_bytes, or shorten the ttl of outputs")
	// ErrAltered: a stream has not, or no longer, the settings that the protocol needs.
	ErrAltered = errors.New("not as retune needs it")
	// ErrRefused: the server will not do it however often it is asked.
	ErrRefused = errors.New("refused by the server")
	// ErrInputs: the input stream is not the one that the offsets speak of.
	ErrInputs = errors.New("the input stream is not the one that was read before")
)

// Open connects to NATS. It does not look at streams; Provision does.
func Open(c Connection, set Settings, log zerolog.Logger) (*Bus, error) {
	b := &Bus{set: set, log: log, lost: make(chan struct{})}
	nc, err := connect(c, log, b.reconnected)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	b.nc, b.js = nc, js
	return b, nil
}

func (b *Bus) reconnected() {
	b.mu.Lock()
	close(b.lost)
	b.lost = make(chan struct{})
	b.mu.Unlock()
}

// reconnects is closed at the next reconnection.
func (b *Bus) reconnects() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Close drains nothing: what matters was acknowledged before.
func (b *Bus) Close() { b.nc.Close() }

// Settings returns those the bus was opened with.
func (b *Bus) Settings() Settings { return b.set }

// Server names the server connected to, for people.
func (b *Bus) Server() string { return b.nc.ConnectedUrlRedacted() }

// Connected tells whether there is a connection right now.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// MaxPayload is the largest message that the server takes, in bytes.
func (b *Bus) MaxPayload() int64 { return b.nc.MaxPayload() }

// Now is the server's clock as far as it is known: inputs bear its times, so
// deadlines must be judged by it.
func (b *Bus) Now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// heard corrects Now by a time that the server gave for a request sent at `sent`.
func (b *Bus) heard(server, sent time.Time) {
	if server.IsZero() {
		return
	}
	received := time.Now()
	middle := sent.Add(received.Sub(sent) / 2)
	b.ahead.Store(int64(server.Sub(middle)))
}

// request bounds one exchange with the server.
func request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 5*time.Second)
}
