package bus_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

func onePartition(s *bus.Settings) { s.Partitions = 1 }

func (b *testBundle) publish(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if _, err := b.js.Publish(t.Context(), "retune.metrics.m", []byte(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
}

// take reads until it has n inputs or an error.
func take(t *testing.T, r *bus.Reader, n int) (all []bus.Input, err error) {
	t.Helper()
	timeout := time.After(15 * time.Second)
	for len(all) < n {
		inputs, err := r.Take(n - len(all))
		if all = append(all, inputs...); err != nil {
			return all, err
		}
		if len(inputs) > 0 {
			continue
		}
		select {
		case <-r.Ready():
		case <-timeout:
			t.Fatalf("%d inputs, wanted %d", len(all), n)
		}
	}
	return all, nil
}

func TestReadInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, onePartition)
	b.publish(t, 100)
	r := must(b.bus.Read(t.Context(), 0, 41))
	defer r.Close()
	if at, err := r.Position(t.Context()); err != nil || at.CaughtUp || at.Lag != 60 || time.Since(at.Time).Abs() > time.Minute {
		t.Errorf("position %+v %v, wanted a lag of 60", at, err)
	}
	inputs, err := take(t, r, 60)
	if err != nil {
		t.Fatal(err)
	}
	for i, in := range inputs {
		if in.Sequence != uint64(41+i) || string(in.Body) != strconv.Itoa(40+i) || in.Subject != "retune.metrics.0.m" || in.Time.IsZero() {
			t.Fatalf("input %d: %+v", i, in)
		}
	}
	if at, err := r.Position(t.Context()); err != nil || !at.CaughtUp || at.Lag != 0 {
		t.Errorf("position %+v %v, wanted to have caught up", at, err)
	}
}

// TestReadAhead publishes more than a reader buffers.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	b := setup(t, onePartition)
	const n = 5000
	for range n {
		must(b.js.PublishAsync("retune.metrics.m", []byte("x"), jetstream.WithStallWait(10*time.Second)))
	}
	<-b.js.PublishAsyncComplete()
	r := must(b.bus.Read(t.Context(), 0, 1))
	defer r.Close()
	inputs, err := take(t, r, n)
	if err != nil || inputs[n-1].Sequence != n {
		t.Fatalf("%v %d", err, inputs[n-1].Sequence)
	}
}

func TestReaderFailsOnReconnect(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := join(t, srv.ClientURL(), onePartition)
	b.publish(t, 3)
	r := must(b.bus.Read(t.Context(), 0, 1))
	defer r.Close()
	if _, err := take(t, r, 3); err != nil {
		t.Fatal(err)
	}
	bustest.Cut(t, srv, t.Name())
	if _, err := take(t, r, 1); err == nil {
		t.Error("what was on its way through the broken connection may be lost, and the reader goes on")
	}
}

// steal takes n messages from the consumer of a reader that has room for no more,
// as if they were lost on their way.
func steal(t *testing.T, b *testBundle, n int) {
	t.Helper()
	stream := must(b.js.Stream(t.Context(), b.set.Subjects.InputStream()))
	var name string
	for consumer := range stream.ListConsumers(t.Context()).Info() {
		name = consumer.Name
	}
	batch := must(must(stream.Consumer(t.Context(), name)).Fetch(n, jetstream.FetchMaxWait(10*time.Second)))
	for range batch.Messages() {
		n--
	}
	if n != 0 {
		t.Fatalf("%d messages were not to be had: %v", n, batch.Error())
	}
}

func TestReaderFailsOnGap(t *testing.T) {
	t.Parallel()
	b := setup(t, onePartition)
	r := must(b.bus.Read(t.Context(), 0, 1))
	defer r.Close()
	b.publish(t, 1024)
	bustest.Eventually(t, 10*time.Second, "a full buffer", func() bool { at, err := r.Position(t.Context()); return err == nil && at.Lag == 1024 })
	stolen := make(chan struct{})
	go func() { defer close(stolen); steal(t, b, 5) }()
	// The two requests share what comes: publish until the thief has his part.
	for open := true; open; {
		b.publish(t, 10)
		select {
		case <-stolen:
			open = false
		default:
		}
	}
	b.publish(t, 1)
	inputs, err := take(t, r, 1<<20)
	if !errors.Is(err, bus.ErrGap) {
		t.Errorf("%d inputs, then %v", len(inputs), err)
	}
	for i, in := range inputs {
		if in.Sequence != uint64(i+1) {
			t.Fatalf("input %d is %d: one was skipped", i, in.Sequence)
		}
	}
}

// TestPositionFindsALostTail: after the lost message there is no further one.
func TestPositionFindsALostTail(t *testing.T) {
	t.Parallel()
	b := setup(t, onePartition)
	r := must(b.bus.Read(t.Context(), 0, 1))
	defer r.Close()
	go func() {
		for range 40 {
			_, _ = b.js.Publish(t.Context(), "retune.metrics.m", []byte("x"))
			time.Sleep(5 * time.Millisecond)
		}
	}()
	steal(t, b, 1)
	bustest.Eventually(t, 20*time.Second, "the loss is found", func() bool {
		if _, err := r.Take(1000); errors.Is(err, bus.ErrGap) {
			return true
		}
		at, err := r.Position(t.Context())
		if err == nil && at.CaughtUp {
			t.Fatal("caught up, although a message was lost")
		}
		return errors.Is(err, bus.ErrGap)
	})
}

// TestCheckPlace is about inputs that are not those that the offset speaks of.
func TestCheckPlace(t *testing.T) {
	t.Parallel()
	b := setup(t, onePartition)
	b.publish(t, 10)
	stream := must(b.js.Stream(t.Context(), b.set.Subjects.InputStream()))
	created, expired, err := b.bus.CheckPlace(t.Context(), bus.Place{})
	if err != nil || expired || created.IsZero() {
		t.Fatalf("never read: %v %v %v", created, expired, err)
	}
	stored := must(stream.GetMsg(t.Context(), 7)).Time
	at := bus.Place{Sequence: 7, Time: stored, Created: created}
	check := func(what string, at bus.Place, wantExpired bool, want error) {
		t.Helper()
		_, expired, err := b.bus.CheckPlace(t.Context(), at)
		if !errors.Is(err, want) || err == nil && expired != wantExpired {
			t.Errorf("%s: expired %v, error %v", what, expired, err)
		}
	}
	check("as it was", at, false, nil)
	check("nothing applied yet", bus.Place{Created: created}, false, nil)
	check("restored with other times", bus.Place{Sequence: 7, Time: stored.Add(time.Nanosecond), Created: created}, false, bus.ErrInputs)
	check("lost its tail", bus.Place{Sequence: 11, Time: stored, Created: created}, false, bus.ErrInputs)
	check("recreated", bus.Place{Sequence: 7, Time: stored, Created: created.Add(-time.Hour)}, false, bus.ErrInputs)
	for _, p := range []struct {
		keep    uint64
		expired bool
	}{{8, false}, {9, true}, {11, true}} {
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(p.keep)); err != nil {
			t.Fatal(err)
		}
		check("kept from "+strconv.FormatUint(p.keep, 10), at, p.expired, nil)
	}
	check("never read and partly expired", bus.Place{Created: created}, true, nil)
	if err := b.js.DeleteStream(t.Context(), b.set.Subjects.InputStream()); err != nil {
		t.Fatal(err)
	}
	if err := b.bus.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.publish(t, 20)
	check("deleted and made anew", at, false, bus.ErrInputs)
	if end := must(b.bus.StoredBy(t.Context(), time.Now().Add(time.Hour))); end != 20 {
		t.Errorf("the inputs end at %d", end)
	}
}

// TestStoredBy finds where a stream that was restored goes on after what was read.
func TestStoredBy(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Open(t, srv.ClientURL(), bustest.Settings())
	_, js := bustest.Client(t, srv.ClientURL())
	var times []time.Time
	for range 3 {
		if _, err := js.Publish(t.Context(), "retune.metrics.m", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := js.Stream(t.Context(), "RETUNE_METRICS")
	if err != nil {
		t.Fatal(err)
	}
	for sequence := range uint64(3) {
		m, err := stream.GetMsg(t.Context(), sequence+1)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, m.Time)
	}
	for at, want := range map[time.Time]uint64{{}: 0, times[0].Add(-1): 0, times[0]: 1, times[1]: 2, times[2].Add(-1): 2, times[2]: 3, times[2].Add(time.Hour): 3} {
		if got, err := b.StoredBy(t.Context(), at); err != nil || got != want {
			t.Errorf("stored by %v: %d %v, want %d", at, got, err, want)
		}
	}
}

// TestReadAheadIsBounded: large inputs that nobody takes are not all fetched.
func TestReadAheadIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, onePartition)
	for range 100 {
		must(b.js.Publish(t.Context(), "retune.metrics.m", make([]byte, 1<<20)))
	}
	r := must(b.bus.Read(t.Context(), 0, 1))
	defer r.Close()
	// What nobody takes stays with the server: wait until nothing more comes.
	for last, same := -1, 0; same < 10; same++ {
		time.Sleep(50 * time.Millisecond)
		if n := r.Buffered(); n != last {
			last, same = n, 0
		}
	}
	if inputs, most := must(r.Take(5000)), 2*int(max(4<<20, b.bus.MaxPayload()+1<<20)>>20); len(inputs) > most {
		t.Errorf("%d MiB are held, want at most %d", len(inputs), most)
	}
}
