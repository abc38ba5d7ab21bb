package coordinator

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/visutility/retune/internal/bus/bustest"
)

func TestGracefulStopWritesAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs := b.subscribe("retune.config.>")
	b.report("quiet", `{"metrics":{"loss":1}}`)
	b.report("loud", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	w := b.worker()
	b.next(configs)
	if at := b.offset(); at.Sequence != 0 {
		t.Fatalf("already written: %+v", at)
	}
	w.stop()
	if at, r := b.offset(), b.model("quiet"); at.Sequence != 2 || r.Reports != 1 {
		t.Errorf("after the stop: %+v %+v", at, r)
	}
	if workers := b.live(); len(workers) > 0 {
		t.Errorf("still announced: %v", workers)
	}
}

func (b *testBundle) live() []string {
	b.t.Helper()
	kv := must(b.js.KeyValue(b.t.Context(), b.set.Subjects.WorkersBucket()))
	lister := must(kv.ListKeys(b.t.Context()))
	var keys []string
	for k := range lister.Keys() {
		keys = append(keys, k)
	}
	return keys
}

// TestDueIsFoundAtTakeOver: a trial times out although its model has no further
// input and the worker that knew of it is gone.
func TestDueIsFoundAtTakeOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	w := b.worker()
	b.command("m", startStudy, "s", `"max_trials":1,"trial_timeout":"2s"`)
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"s","trial":0,"state":"running"}`)
	b.settle()
	w.stop()
	b.worker()
	b.expect(all, map[string]int{"stop timed_out": 1, "summary": 1})
}

// TestTwoOwners lets two workers serve one partition for as long as it lasts, as
// if neither knew of the other: only the fence keeps them apart.
func TestTwoOwners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
	for range 2 {
		w := New(bustest.Open(t, b.srv.ClientURL(), b.set), b.config, NewMetrics(prometheus.NewRegistry()), bustest.Logger(t))
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		w.committer = must(w.bus.NewCommitter(ctx, 2, nil))
		w.start(0)
		t.Cleanup(w.stopAll)
	}
	const rounds = 100
	for i := range rounds {
		b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
		b.report("quiet", `{"metrics":{"loss":1}}`)
		if i%10 == 0 {
			b.publish("retune.metrics.m", "rubbish")
		}
	}
	for i := range rounds {
		if m, c := b.next(configs); c["number"] != float64(i) {
			t.Fatalf("%s, wanted number %d", m.Data, i)
		}
	}
	b.settle()
	b.none(configs)
	if n := len(b.drain(dead)); n != rounds/10 {
		t.Errorf("%d dead letters", n)
	}
	if m, q := b.model("m"), b.model("quiet"); m.Reports != rounds || q.Reports != rounds {
		t.Errorf("%d and %d reports count, wanted %d", m.Reports, q.Reports, rounds)
	}
}
