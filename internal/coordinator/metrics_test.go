package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// measured runs a worker until stop, or the end of the test, and tells what its metrics are.
func (b *testBundle) measured() (value func(name string, labels ...string) float64, stop func()) {
	b.t.Helper()
	registry := prometheus.NewRegistry()
	w := New(bustest.Open(b.t, b.srv.ClientURL(), b.set), b.config, NewMetrics(registry), bustest.Logger(b.t))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return func(name string, labels ...string) float64 { return gathered(b.t, registry, "retune_"+name, labels) }, stop
}

// gathered is the value of the series with these values of labels, in the order of their names; -1: there is none.
func gathered(t *testing.T, g prometheus.Gatherer, name string, labels []string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			var values []string
			for _, l := range m.Label {
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

func (b *testBundle) eventually(value func(string, ...string) float64, want float64, name string, labels ...string) {
	b.t.Helper()
	bustest.Eventually(b.t, 15*time.Second, fmt.Sprintf("%s%q is %v", name, labels, want), func() bool { return value(name, labels...) == want })
}

// TestHealthIsCounted: the count outlives restarts, is made where an older worker left none, and forgets with the model.
func TestHealthIsCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	value, stop := b.measured()
	for _, loss := range []string{"1", "1", "1", "1", "9"} {
		b.report("bad", `{"metrics":{"loss":%s}}`, loss)
		b.report("worse", `{"metrics":{"loss":%s}}`, loss)
	}
	b.eventually(value, 2, "models_degraded", "warning")
	b.report("worse", `{"metrics":{"loss":NaN}}`)
	b.eventually(value, 1, "models_degraded", "critical")
	b.eventually(value, 1, "models_degraded", "warning")
	b.settle()
	stop()

	o := b.offset() // as an older worker writes it
	o.Health = nil
	if _, err := b.kv().Put(t.Context(), wire.OffsetKey(0), must(wire.MarshalState(o))); err != nil {
		t.Fatal(err)
	}
	value, stop = b.measured()
	b.eventually(value, 1, "models_degraded", "critical")
	b.eventually(value, 1, "models_degraded", "warning")
	b.command("worse", `{"op":"forget"}`)
	b.eventually(value, 0, "models_degraded", "critical")
	for range 6 {
		b.report("bad", `{"metrics":{"loss":1}}`)
	}
	b.eventually(value, 0, "models_degraded", "warning")
	b.eventually(value, 1, "models")
	b.settle()
	stop()
	if o := b.offset(); o.Health == nil || *o.Health != (healthCounts{}) || o.Models != 1 {
		t.Errorf("%+v of %d models", o.Health, o.Models)
	}
}

func TestStallsAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.set.BucketBytes = 512 << 10 })
	kv := b.kv()
	for i := 0; ; i++ {
		if _, err := kv.Put(t.Context(), fmt.Sprintf("filler.%d", i), make([]byte, 8_000)); err != nil {
			break
		}
	}
	for i := range 1000 {
		if _, err := kv.Put(t.Context(), fmt.Sprintf("sand.%d", i), make([]byte, 50)); err != nil {
			break
		}
	}
	value, _ := b.measured()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	b.eventually(value, 1, "partition_stalled", "0")
	b.eventually(value, 512<<10, "bucket_limit_bytes")
	bustest.Eventually(t, 10*time.Second, "it is tried again", func() bool { return value("commits_total", "full") > 1 })
	if value("stalls_total") != 1 || value("bucket_bytes") < 500_000 {
		t.Errorf("stalls %v, bytes %v", value("stalls_total"), value("bucket_bytes"))
	}
	if err := must(b.js.Stream(t.Context(), "KV_retune")).Purge(t.Context(), jetstream.WithPurgeSubject("$KV.retune.filler.>")); err != nil {
		t.Fatal(err)
	}
	b.eventually(value, 0, "partition_stalled", "0")
	b.eventually(value, 1, "commits_total", "stored")
	b.eventually(value, 1, "stalls_total")
}

func TestOutcomesOfCommits(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	for outcome, err := range map[string]error{
		"stored": nil, "conflict": fmt.Errorf("x: %w", bus.ErrConflict), "full": fmt.Errorf("%w (x)", bus.ErrFull),
		"unknown": fmt.Errorf("%w: %w", bus.ErrUnknown, context.Canceled), "refused": errors.New("x"),
	} {
		m.commit(err)
		if got := gathered(t, registry, "retune_commits_total", []string{outcome}); got != 1 {
			t.Errorf("%s: %v", outcome, got)
		}
	}
}

// TestStolenPartitionIsCounted commits behind the worker's back.
func TestStolenPartitionIsCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	value, _ := b.measured()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	b.eventually(value, 1, "commits_total", "stored")
	b.settle()
	if _, err := b.kv().Put(t.Context(), wire.OffsetKey(0), must(wire.MarshalState(b.offset()))); err != nil {
		t.Fatal(err)
	}
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	b.eventually(value, 1, "commits_total", "conflict")
	b.eventually(value, 1, "commit_conflicts_total")
	b.eventually(value, 3, "inputs_read_total")
	b.eventually(value, 2, "inputs_applied_total")
}

// recorded keeps spans.
type recorded struct {
	mu    sync.Mutex
	spans []Span
}

func (r *recorded) Record(s Span) {
	r.mu.Lock()
	r.spans = append(r.spans, s)
	r.mu.Unlock()
}

func (r *recorded) named(name string) (found []Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// TestTraceOfASlowStrategy: its configs come in commits of their own, below the span of whoever started the study.
func TestTraceOfASlowStrategy(t *testing.T) {
	t.Parallel()
	spans := &recorded{}
	b := setup(t, func(b *testBundle) { b.config.Tracer = spans })
	configs := b.subscribe("retune.config.>")
	b.worker()
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	start := `{"op":"start","study":{"name":"s","objective":{"metric":"loss","goal":"minimize"},"strategy":"gp","max_trials":2,"parallelism":2,"space":{"x":{"type":"float","low":0,"high":1}}}}`
	if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{
		Subject: "retune.study.m", Data: []byte(start), Header: nats.Header{"traceparent": {"00-" + trace + "-" + parent + "-01"}},
	}); err != nil {
		t.Fatal(err)
	}
	b.next(configs)
	b.next(configs)
	bustest.Eventually(t, 10*time.Second, "spans of both configs", func() bool { return len(spans.named("config")) == 2 && len(spans.named("commit")) > 1 })
	report := spans.named("report")
	if len(report) != 1 || report[0].Parent != parent || report[0].Sequence != 1 {
		t.Fatalf("%+v", report)
	}
	commits := map[string]Span{}
	for _, c := range spans.named("commit") {
		if commits[c.ID] = c; c.Trace != trace || c.Parent != report[0].ID && (c.Parent != parent || !c.Remote) {
			t.Errorf("%+v", c)
		}
	}
	for _, c := range spans.named("config") {
		if commits[c.Parent].ID == "" || c.Trace != trace || c.Subject == "" {
			t.Errorf("%+v", c)
		}
	}
}

// TestTraceOfAQuietReport: one without an output is told once it is written, not with the commit of another model.
func TestTraceOfAQuietReport(t *testing.T) {
	t.Parallel()
	spans := &recorded{}
	b := setup(t, func(b *testBundle) { b.config.Tracer = spans })
	for _, m := range []struct{ model, body, flags string }{
		{"quiet", `{"metrics":{"loss":1}}`, "01"}, {"unsampled", `{"metrics":{"loss":1}}`, "00"}, {"m", `{"metrics":{"loss":1},"config":{"lr":1}}`, "01"},
	} {
		if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{
			Subject: "retune.metrics." + m.model, Data: []byte(m.body),
			Header: nats.Header{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" + m.flags}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	b.worker()
	b.settle()
	bustest.Eventually(t, 5*time.Second, "spans", func() bool { return len(spans.named("commit")) >= 2 })
	c := spans.named("commit")
	if len(c) != 2 || c[0].Model != "m" || c[1].Model != "quiet" || c[1].Start.Sub(c[0].End) < flushAfter/2 {
		t.Errorf("%+v", c)
	}
	if r, a := spans.named("report"), spans.named("apply"); len(r) != 2 || len(a) != 2 || c[1].Parent != r[1].ID || a[1].Parent != r[1].ID {
		t.Errorf("%+v %+v", r, a)
	}
}

func TestSampled(t *testing.T) {
	t.Parallel()
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for parent, want := range map[string]bool{
		"00-" + trace + "-" + span + "-01": true, "00-" + trace + "-" + span + "-03": true, "cc-" + trace + "-" + span + "-01-more": true,
		"00-" + trace + "-" + span + "-00": false, "00-" + trace + "-" + span + "-02": false, "": false, "00-" + trace + "-" + span: false,
		"00-00000000000000000000000000000000-" + span + "-01": false, "00-" + trace + "-0000000000000000-01": false, "00-" + trace + "-" + span + "-zz": false,
	} {
		if _, _, ok := sampled(parent); ok != want {
			t.Errorf("%q: %v", parent, ok)
		}
	}
}
