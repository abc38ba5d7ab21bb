package bus_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

// agentsBundle is a bucket whose trials of model m are shared out, with an ack wait of a second.
type agentsBundle struct {
	t   *testing.T
	bus *bus.Bus
	js  jetstream.JetStream
}

func newAgentsBundle(t *testing.T, url string) agentsBundle {
	t.Helper()
	_, js := bustest.Client(t, url)
	a := agentsBundle{t, bustest.Open(t, url, bustest.Settings()), js}
	_, err := js.CreateConsumer(t.Context(), "KV_retune", jetstream.ConsumerConfig{
		Durable: bus.AgentsConsumer("m"), FilterSubject: "retune.config.m.*.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// suggest stores a config as a commit does.
func (a agentsBundle) suggest(trial, body string) {
	a.t.Helper()
	if _, err := a.js.Publish(a.t.Context(), "commit.retune.config.m.s."+trial, []byte(body)); err != nil {
		a.t.Fatal(err)
	}
}

func (a agentsBundle) join() *bus.Queue {
	a.t.Helper()
	trials, err := a.bus.Trials(a.t.Context(), "m")
	if err != nil {
		a.t.Fatal(err)
	}
	return trials
}

func (a agentsBundle) take(trials *bus.Queue, want string) bus.Output {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	out, err := trials.Take(ctx)
	if err != nil || string(out.Body) != want {
		a.t.Fatalf("%s %v, wanted %s", out.Body, err, want)
	}
	return out
}

// none is left, neither waiting nor taken.
func (a agentsBundle) none() {
	a.t.Helper()
	consumer, err := a.js.Consumer(a.t.Context(), "KV_retune", bus.AgentsConsumer("m"))
	if err != nil {
		a.t.Fatal(err)
	}
	if info := consumer.CachedInfo(); info.NumPending != 0 || info.NumAckPending != 0 {
		a.t.Errorf("%d wait, %d are taken", info.NumPending, info.NumAckPending)
	}
}

func TestTrialsAreSharedOut(t *testing.T) {
	t.Parallel()
	a := newAgentsBundle(t, bustest.Server(t).ClientURL())
	if _, err := a.bus.Trials(t.Context(), "other"); !errors.Is(err, bus.ErrNoTrials) {
		t.Error(err)
	}
	first, second := a.join(), a.join()
	if first.AckWait() != time.Second {
		t.Error(first.AckWait())
	}
	a.suggest("0", "zero")
	a.suggest("1", "one")
	held := a.take(first, "zero")
	other := a.take(second, "one")
	if held.Attempt != 1 || held.Subject != "retune.config.m.s.0" || held.Sequence == 0 {
		t.Errorf("%+v", held)
	}
	if err := other.Retry(0); err != nil {
		t.Fatal(err)
	}
	other = a.take(first, "one") // at once
	if other.Attempt != 2 {
		t.Errorf("%+v", other)
	}
	// Working keeps it beyond the ack wait, silence gives it to another.
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err := other.Working(); err != nil {
			t.Fatal(err)
		}
	}
	if again := a.take(second, "zero"); again.Attempt != 2 {
		t.Errorf("%+v", again)
	}
	if err := held.Settle(t.Context()); err != nil { // of its earlier delivery, which counts too
		t.Error(err)
	}
	if err := other.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	a.none()
}

func TestATakerWhoGoesLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	a := newAgentsBundle(t, bustest.Server(t).ClientURL())
	trials := a.join()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := trials.Take(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	bustest.Eventually(t, 5*time.Second, "its request is gone", func() bool {
		consumer, err := a.js.Consumer(t.Context(), "KV_retune", bus.AgentsConsumer("m"))
		return err == nil && consumer.CachedInfo().NumWaiting == 0
	})
	a.suggest("0", "zero")
	start := time.Now()
	if out := a.take(trials, "zero"); out.Attempt != 1 || time.Since(start) > time.Second {
		t.Errorf("%+v after %s", out, time.Since(start))
	}
}

func TestAServerThatRestartsIsWaitedFor(t *testing.T) {
	t.Parallel()
	var options *server.Options
	srv := bustest.Server(t, func(o *server.Options) { options = o })
	a := newAgentsBundle(t, srv.ClientURL())
	trials := a.join()
	taken := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for {
			out, err := trials.Take(ctx)
			if err == nil {
				err = out.Settle(ctx)
			} else if ctx.Err() == nil {
				continue // the server goes away
			}
			taken <- err
			return
		}
	}()
	options.Port = srv.Addr().(*net.TCPAddr).Port
	srv.Shutdown()
	srv.WaitForShutdown()
	published := make(chan error, 1)
	go func() {
		published <- a.bus.PublishOnce(t.Context(), "retune.metrics.m", "application/json", "id", []byte("{}"))
	}()
	bustest.Server(t, func(o *server.Options) { *o = *options })
	if err := <-published; err != nil {
		t.Error(err)
	}
	a.suggest("0", "zero")
	if err := <-taken; err != nil {
		t.Error(err)
	}
	a.none()
}

func TestARequestThatIsLostWithTheConnectionIsMadeAgain(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	a := newAgentsBundle(t, srv.ClientURL())
	trials := a.join()
	start := time.Now()
	taken := make(chan error, 1)
	go func() {
		_, err := trials.Take(t.Context())
		taken <- err
	}()
	consumer, err := a.js.Consumer(t.Context(), "KV_retune", bus.AgentsConsumer("m"))
	if err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, 5*time.Second, "a request waits", func() bool {
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumWaiting == 1
	})
	bustest.Cut(t, srv, t.Name())
	bustest.Eventually(t, 5*time.Second, "it is connected again", a.bus.Connected)
	a.suggest("0", "zero")
	if err := <-taken; err != nil || time.Since(start) > 8*time.Second { // a missing heartbeat would show after 10 s
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestPublishOnce(t *testing.T) {
	t.Parallel()
	a := newAgentsBundle(t, bustest.Server(t).ClientURL())
	for range 3 {
		if err := a.bus.PublishOnce(t.Context(), "retune.metrics.m", "application/json", "id", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := a.js.Stream(t.Context(), "RETUNE_METRICS")
	if err != nil || stream.CachedInfo().State.Msgs != 1 {
		t.Errorf("%+v %v", stream.CachedInfo().State, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := a.bus.PublishOnce(ctx, "nobody.listens", "", "id", nil); err == nil || !strings.Contains(err.Error(), "nobody.listens") {
		t.Error(err)
	}
	if err := a.bus.PublishOnce(t.Context(), "retune.metrics.m", "", "large", make([]byte, 17<<20)); err == nil {
		t.Error("larger than the server takes")
	}
}
