package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
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

func setup(t *testing.T) *testBundle {
	t.Helper()
	srv := bustest.Server(t)
	nc, js := bustest.Client(t, srv.ClientURL())
	b := &testBundle{t: t, srv: srv, nc: nc, js: js, set: bustest.Settings(), config: testConfig()}
	bustest.Open(t, srv.ClientURL(), b.set)
	return b
}

func testConfig() Config {
	explore := must(strategy.New("explore", map[string]any{"rate": 0.1, "relative": true}, nil))
	monitor := must(observer.New(must(observer.ParseSpecs([]any{map[string]any{"metric": "loss", "detector": "rolling_mean", "window": 4, "threshold": 0.05}}))))
	return Config{
		Policies:  []Policy{{Match: "*", Tuner: &Tuner{Name: "explore", Strategy: explore}, Monitor: monitor}},
		Encoding:  map[string]wire.Encoding{KindConfig: wire.JSON, KindRetrain: wire.JSON, KindStop: wire.JSON, KindSummary: wire.JSON},
		TTL:       map[string]time.Duration{KindConfig: time.Hour, KindStop: time.Hour, KindRetrain: time.Hour, KindSummary: time.Hour, KindDead: time.Hour},
		MaxModels: 1000, CachedModels: 1000, Version: "test", Hash: "test",
	}
}

// worker runs one until the test ends or stop is called.
func (b *testBundle) worker() (stop func()) {
	b.t.Helper()
	w := New(bustest.Open(b.t, b.srv.ClientURL(), b.set), b.config, NewMetrics(prometheus.NewRegistry()), bustest.Logger(b.t))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("worker: %v", err)
		}
	}
	b.t.Cleanup(stop)
	return stop
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
		b.report("m", `{"study":"s","trial":%v,"metrics":{"loss":%v},"duration_ms":5}`, c["trial"], x*x)
	}
	m, _ := b.next(summaries)
	t.Logf("%s", m.Data)
	m, event := b.next(retrains)
	t.Logf("%s", m.Data)
	if event["trigger"] != "improved" {
		t.Fatalf("%s", m.Data)
	}
}
