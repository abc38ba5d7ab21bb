package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// testBundle is a server, a plain client on it and one bus.
type testBundle struct {
	url string
	set bus.Settings
	bus *bus.Bus
	nc  *nats.Conn
	js  jetstream.JetStream
}

func setup(t *testing.T, change ...func(*bus.Settings)) *testBundle {
	t.Helper()
	return join(t, bustest.Server(t).ClientURL(), change...)
}

func join(t *testing.T, url string, change ...func(*bus.Settings)) *testBundle {
	t.Helper()
	set := bustest.Settings()
	for _, f := range change {
		f(&set)
	}
	b := &testBundle{url: url, set: set, bus: bustest.Open(t, url, set)}
	b.nc, b.js = bustest.Client(t, url)
	return b
}

func (b *testBundle) committer(t *testing.T, lanes int, observe func(took time.Duration, messages, bytes int)) *bus.Committer {
	t.Helper()
	return committer(t, b.bus, lanes, observe)
}

func committer(t *testing.T, b *bus.Bus, lanes int, observe func(took time.Duration, messages, bytes int)) *bus.Committer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return must(b.NewCommitter(ctx, lanes, observe))
}

func (b *testBundle) bucket(t *testing.T) jetstream.Stream {
	t.Helper()
	s, err := b.js.Stream(t.Context(), b.set.Subjects.BucketStream())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stored lists the subjects under the filter that hold a message.
func (b *testBundle) stored(t *testing.T, filter string) map[string]uint64 {
	t.Helper()
	info, err := b.bucket(t).Info(t.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Subjects
}

// last is the leader's word on the newest message of a subject.
func (b *testBundle) last(t *testing.T, subject string) (string, uint64) {
	t.Helper()
	m, err := b.bucket(t).GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	return string(m.Data), m.Sequence
}

func (b *testBundle) offset(partition int) string {
	return b.set.Subjects.KeySubject(wire.OffsetKey(partition))
}

func (b *testBundle) subscribe(t *testing.T, subject string) *nats.Subscription {
	t.Helper()
	sub := must(b.nc.SubscribeSync(subject))
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return sub
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
