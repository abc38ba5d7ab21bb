package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// testBundle is a server, a plain client on it and a way to start workers.
type testBundle struct {
	t      *testing.T
	srv    *server.Server
	nc     *nats.Conn
	js     jetstream.JetStream
	set    bus.Settings
	config Config
}

func setup(t *testing.T, change ...func(*testBundle)) *testBundle {
	t.Helper()
	srv := bustest.Server(t)
	nc, js := bustest.Client(t, srv.ClientURL())
	b := &testBundle{t: t, srv: srv, nc: nc, js: js, set: bustest.Settings(), config: testConfig()}
	b.set.Partitions = 1
	for _, f := range change {
		f(b)
	}
	b.open()
	return b
}

// open provisions and returns a bus of its own.
func (b *testBundle) open() *bus.Bus {
	b.t.Helper()
	return bustest.Open(b.t, b.srv.ClientURL(), b.set)
}

func testConfig() Config {
	explore := must(strategy.New("explore", map[string]any{"rate": 0.1, "relative": true}, nil))
	monitor := must(observer.Parse([]any{map[string]any{"metric": "loss", "detector": "rolling_mean", "window": 4, "threshold": 0.05}}))
	return Config{
		Policies:  []Policy{{Match: "*", Tuner: &Tuner{Name: "explore", Strategy: explore}, Monitor: monitor}},
		Encoding:  map[string]wire.Encoding{KindConfig: wire.JSON, KindRetrain: wire.JSON, KindStop: wire.JSON, KindSummary: wire.JSON},
		TTL:       map[string]time.Duration{KindConfig: time.Hour, KindStop: time.Hour, KindRetrain: time.Hour, KindSummary: time.Hour, KindDead: time.Hour},
		MaxModels: 1000, CachedModels: 1000, Version: "test", Hash: "test",
	}
}

// running is a worker at work.
type running struct {
	t      *testing.T
	bus    *bus.Bus
	cancel context.CancelFunc
	done   chan error
	once   sync.Once
	err    error
}

// worker runs one until the test ends, or it is stopped, or it crashes.
func (b *testBundle) worker() *running {
	b.t.Helper()
	r := &running{t: b.t, bus: bustest.Open(b.t, b.srv.ClientURL(), b.set), done: make(chan error, 1)}
	w := New(r.bus, b.config, NewMetrics(prometheus.NewRegistry()), bustest.Logger(b.t))
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	go func() { r.done <- w.Run(ctx) }()
	b.t.Cleanup(func() { r.wait() })
	return r
}

func (r *running) wait() error {
	r.once.Do(func() {
		r.cancel()
		select {
		case r.err = <-r.done:
		case <-time.After(20 * time.Second):
			r.t.Error("the worker did not stop within 20 s")
		}
	})
	return r.err
}

// stop hands over as on SIGTERM.
func (r *running) stop() {
	r.t.Helper()
	if err := r.wait(); err != nil {
		r.t.Errorf("worker: %v", err)
	}
}

// crash takes the connection away first, so that nothing is written any more.
func (r *running) crash() {
	r.bus.Close()
	_ = r.wait()
}

// report publishes a report as JSON and returns its sequence.
func (b *testBundle) report(model, format string, args ...any) uint64 {
	b.t.Helper()
	return b.publish("retune.metrics."+model, fmt.Sprintf(format, args...))
}

func (b *testBundle) command(model, format string, args ...any) uint64 {
	b.t.Helper()
	return b.publish("retune.study."+model, fmt.Sprintf(format, args...))
}

func (b *testBundle) publish(subject, body string) uint64 {
	b.t.Helper()
	ack, err := b.js.Publish(b.t.Context(), subject, []byte(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return ack.Sequence
}

func (b *testBundle) subscribe(subject string) *nats.Subscription {
	b.t.Helper()
	sub, err := b.nc.SubscribeSync(subject)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.nc.Flush(); err != nil {
		b.t.Fatal(err)
	}
	return sub
}

// next waits for the next message and decodes it if it is JSON.
func (b *testBundle) next(sub *nats.Subscription) (*nats.Msg, map[string]any) {
	b.t.Helper()
	m, err := sub.NextMsg(10 * time.Second)
	if err != nil {
		b.t.Fatal(err)
	}
	var body map[string]any
	_ = json.Unmarshal(m.Data, &body)
	return m, body
}

// none makes sure that no message has come, once all that was published is applied.
func (b *testBundle) none(sub *nats.Subscription) {
	b.t.Helper()
	if m, err := sub.NextMsg(50 * time.Millisecond); err == nil {
		b.t.Errorf("unexpected: %s %v %s", m.Subject, m.Header, m.Data)
	}
}

// drain returns all that has come.
func (b *testBundle) drain(sub *nats.Subscription) (all []*nats.Msg) {
	for {
		m, err := sub.NextMsg(100 * time.Millisecond)
		if err != nil {
			return all
		}
		all = append(all, m)
	}
}

// settle waits until all inputs are applied and written. Only with one partition.
func (b *testBundle) settle() {
	b.t.Helper()
	stream := must(b.js.Stream(b.t.Context(), b.set.Subjects.InputStream()))
	end := stream.CachedInfo().State.LastSeq
	bustest.Eventually(b.t, 20*time.Second, "all inputs are written", func() bool { return b.offset().Sequence >= end })
}

func (b *testBundle) offsetOf(partition int) (o offsetRecord) {
	b.t.Helper()
	b.read(wire.OffsetKey(partition), &o)
	return o
}

func (b *testBundle) offset() (o offsetRecord) {
	b.read(wire.OffsetKey(0), &o)
	return o
}

func (b *testBundle) model(id string) (r record) {
	b.read(wire.ModelKey(0, id), &r)
	return r
}

// read decodes a key of the bucket and tells whether it is there.
func (b *testBundle) read(key string, v any) bool {
	b.t.Helper()
	e, err := b.kv().Get(b.t.Context(), key)
	if err != nil {
		return false
	}
	if err := wire.UnmarshalState(e.Value(), v); err != nil {
		b.t.Fatal(err)
	}
	return true
}

func (b *testBundle) kv() jetstream.KeyValue {
	return must(b.js.KeyValue(b.t.Context(), b.set.Subjects.Bucket()))
}

func (b *testBundle) keys(pattern string) []string {
	b.t.Helper()
	info, err := must(b.js.Stream(b.t.Context(), b.set.Subjects.BucketStream())).Info(b.t.Context(), jetstream.WithSubjectFilter(pattern))
	if err != nil {
		b.t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(info.State.Subjects))
}

func TestALiveReportIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sub := b.subscribe("retune.config.>")
	b.worker()
	for i := range 3 {
		b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5,"name":"x"}}`)
		m, body := b.next(sub)
		if m.Subject != "retune.config.m.live" || body["number"] != float64(i) {
			t.Fatalf("%s %s", m.Subject, m.Data)
		}
		t.Logf("%s %v", m.Data, m.Header)
	}
}

func TestStudyRunsToItsSummary(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs, summaries, retrains := b.subscribe("retune.config.>"), b.subscribe("retune.summary.>"), b.subscribe("retune.retrain.>")
	b.worker()
	b.command("m", `{"op":"start","study":{"name":"s","objective":{"metric":"loss","goal":"minimize"},"space":{"x":{"type":"float","low":0,"high":1}},"max_trials":5,"parallelism":2,"seed":1}}`)
	for range 5 {
		_, c := b.next(configs)
		x := c["config"].(map[string]any)["x"].(float64)
		b.report("m", `{"study":"s","trial":%v,"metrics":{"loss":%v},"duration_ms":5,"run_id":"run-%v"}`, c["trial"], x*x, c["trial"])
	}
	m, _ := b.next(summaries)
	t.Logf("%s", m.Data)
	m, event := b.next(retrains)
	t.Logf("%s", m.Data)
	if event["trigger"] != "improved" || event["run_id"] != "run-4" {
		t.Fatalf("%s", m.Data)
	}
}
