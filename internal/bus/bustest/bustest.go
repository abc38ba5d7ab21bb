// Package bustest starts real NATS servers for tests, on free ports of 127.0.0.1.
package bustest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// Server runs a server with JetStream until the test ends.
func Server(t testing.TB, change ...func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{JetStream: true, StoreDir: t.TempDir(), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 16 << 20}
	for _, f := range change {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// Settings are small ones for tests; change what matters.
func Settings() bus.Settings {
	return bus.Settings{
		Subjects: wire.Subjects{Prefix: "retune"}, Partitions: 4, Replicas: 1, InputAge: time.Hour,
		InputBytes: 256 << 20, BucketBytes: 256 << 20, Lease: 2 * time.Second,
	}
}

// Open connects to the URL and provisions, until the test ends.
func Open(t testing.TB, url string, set bus.Settings) *bus.Bus {
	t.Helper()
	b, err := bus.Open(bus.Connection{Name: t.Name(), URL: url}, set, Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// Client is a plain NATS client, as users have them.
func Client(t testing.TB, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// Logger writes to the test's log where tests run verbosely.
func Logger(t testing.TB) zerolog.Logger {
	if !testing.Verbose() {
		return zerolog.Nop()
	}
	return zerolog.New(zerolog.NewConsoleWriter(zerolog.ConsoleTestWriter(t)))
}
