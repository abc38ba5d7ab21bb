package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// TestARefusedStartStaysRefused: a start is refused while a study runs, a tick ends
// that study, the worker crashes. The replay sees the start with no study running.
func TestARefusedStartStaysRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead, summaries, configs := b.subscribe("retune.dead.>"), b.subscribe("retune.summary.>"), b.subscribe("retune.config.>")
	w := b.worker()
	b.command("m", startStudy, "s", `"max_duration":"3s"`)
	b.next(configs)
	names := map[string]string{}
	for i := 0; ; i++ {
		b.report("quiet", `{"metrics":{"loss":1}}`) // keeps the offset behind
		name := fmt.Sprint("other", i)
		names[fmt.Sprint(b.command("m", startStudy, name, `"max_trials":3`))] = name
		if _, err := summaries.NextMsg(60 * time.Millisecond); err == nil {
			break
		}
	}
	w.crash()
	refused := map[string]bool{}
	for _, m := range b.drain(dead) {
		refused[names[m.Header.Get("Retune-Sequence")]] = true
	}
	if len(refused) == 0 {
		t.Fatal("nothing was refused")
	}
	b.drain(configs)
	b.worker()
	b.settle()
	for _, m := range b.drain(configs) {
		if name := strings.Split(m.Subject, ".")[3]; refused[name] {
			t.Errorf("study %s has a dead letter and runs after the crash", name)
		}
	}
}

// TestALimitStaysALimit: reports that came past the limit on models are dead letters
// for good, also when there is room at their replay.
func TestALimitStaysALimit(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.MaxModels = 2 })
	dead := b.subscribe("retune.dead.>")
	w := b.worker()
	b.report("a", `{"metrics":{"loss":1}}`)
	b.report("b", `{"metrics":{"loss":1}}`)
	b.settle()
	for range 8 {
		b.report("a", `{"metrics":{"loss":1}}`)
		b.report("c", `{"metrics":{"loss":1},"config":{"lr":1}}`)
		b.next(dead)
	}
	b.command("b", `{"op":"forget"}`)
	bustest.Eventually(t, 10*time.Second, "b is forgotten", func() bool { return b.model("b").Reports == 0 })
	w.crash()
	configs := b.subscribe("retune.config.>")
	b.worker()
	b.settle()
	if n := len(b.drain(configs)); n > 0 {
		t.Errorf("%d reports have a dead letter and an answer", n)
	}
}

// bare is a partition that can decide but not commit: a commit panics.
func (b *testBundle) bare() *partition {
	limits := newLimits(nil, &b.config)
	limits.counted = time.Now()
	return &partition{
		config: &b.config, bus: b.open(), log: bustest.Logger(b.t), stop: b.t.Context(), limits: limits,
		models: map[string]*model{}, due: map[string]time.Time{}, running: map[string]bool{},
		poison: map[uint64]error{}, oversized: map[string]error{}, frozen: map[string]bool{},
	}
}

// TestADeadLetterComesWithItsState: what a report did to its model and its dead
// letter are one commit, however full that is.
func TestADeadLetterComesWithItsState(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.tuner(func(strategy.Request) (map[string]any, error) { return nil, errors.New("no idea") })
	})
	p := b.bare()
	p.models["m"] = newModel("m", b.config.policy("m"))
	p.batch.keys = 934 // with the report's 2 writes there is no room for another step
	d := &decoded{kind: wire.KindMetrics, model: "m", report: must(wire.DecodeReport([]byte(`{"metrics":{"loss":NaN},"config":{"lr":1}}`), ""))}
	d.in.Sequence, d.in.Time = 7, time.Now()
	if err := p.decide(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if len(p.batch.outputs) != 2 || len(p.batch.dead) != 1 {
		t.Errorf("%d outputs and %d dead letters are in one batch, want 2 and 1", len(p.batch.outputs), len(p.batch.dead))
	}
}

// TestATickCountsAsRead: what was read and ignored before a tick changed the model
// is not decided anew after it.
func TestATickCountsAsRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.bare()
	now := time.Now()
	m := newModel("m", b.config.policy("m"))
	p.models["m"] = m
	start := must(wire.DecodeCommand(fmt.Appendf(nil, startStudy, "s", `"max_duration":"3s"`), ""))
	if err := p.step("m", 5, now, "").command(m, &start); err != nil {
		t.Fatal(err)
	}
	m.sequence, p.applied.Sequence = 5, 9
	if err := p.tickModel(t.Context(), "m", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if m.study != nil || m.sequence != 9 {
		t.Errorf("after the tick the model is at %d, want 9", m.sequence)
	}
}

// TestForgetStopsTrials: also when a worker crashes in the middle of it.
func TestForgetStopsTrials(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs, stops := b.subscribe("retune.config.>"), b.subscribe("retune.stop.>")
	w := b.worker()
	b.command("m", startStudy, "s", `"max_trials":5,"parallelism":2`)
	b.next(configs)
	b.next(configs)
	b.settle()
	w.crash()
	// As far as a worker gets before it commits.
	if err := b.open().PurgeStudies(t.Context(), 0, "m", 1<<60); err != nil {
		t.Fatal(err)
	}
	b.command("m", `{"op":"forget"}`)
	b.worker()
	b.settle()
	if n := len(b.drain(stops)); n != 2 {
		t.Errorf("%d stops, want 2", n)
	}
}

func TestForgetDropsTheLiveConfig(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs := b.subscribe("retune.config.>")
	b.worker()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":1}}`)
	b.next(configs)
	b.command("m", `{"op":"forget"}`)
	b.settle()
	if left := b.keys("retune.config.>"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestOutgrownState: a model whose state no message can hold loses its own inputs
// to dead letters, and holds up nobody else's.
func TestOutgrownState(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.srv = bustest.Server(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
		b.nc, b.js = bustest.Client(t, b.srv.ClientURL())
	})
	b.config.Policies[0].Monitor = must(observer.Parse([]any{map[string]any{"metric": "loss", "detector": "rolling_mean", "window": 10_000, "threshold": 9}}))
	configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
	b.worker()
	for range 9000 {
		must(b.js.PublishAsync("retune.metrics.big", []byte(`{"metrics":{"loss":1.5}}`), jetstream.WithStallWait(20*time.Second)))
	}
	<-b.js.PublishAsyncComplete()
	m, _ := b.next(dead)
	if !strings.Contains(m.Header.Get("Retune-Error"), "max_payload") {
		t.Errorf("%v", m.Header)
	}
	b.report("innocent", `{"metrics":{"loss":1},"config":{"lr":1}}`)
	b.next(configs)
	b.settle()
}

// TestNoRoomForConsumers: a study whose agents cannot have their consumer is
// refused; other models go on.
func TestNoRoomForConsumers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
	b.worker()
	b.report("innocent", `{"metrics":{"loss":1},"config":{"lr":1}}`)
	b.next(configs)
	// The limit is on a stream's consumers; findDue needs one when the partition is
	// read again, which is why there is one to spare.
	for i := range 2 {
		must(b.js.CreateConsumer(t.Context(), "KV_retune", jetstream.ConsumerConfig{Durable: fmt.Sprint("c", i)}))
	}
	stream := must(b.js.Stream(t.Context(), "KV_retune")).CachedInfo().Config
	stream.MaxConsumers = 2
	if _, err := b.js.UpdateStream(t.Context(), stream); err != nil {
		t.Skipf("this server does not change max_consumers: %v", err)
	}
	b.command("m", startStudy, "s", `"max_trials":5`)
	m, _ := b.next(dead)
	if !strings.Contains(m.Header.Get("Retune-Error"), "consumer") {
		t.Errorf("%v", m.Header)
	}
}

// TestTheVersionInUseIsRemembered, however many canaries come and go beside it.
func TestTheVersionInUseIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	retrains := b.subscribe("retune.retrain.>")
	b.worker()
	for i := range 16 {
		b.report("m", `{"metrics":{"loss":1},"version":"stable"}`)
		b.report("m", `{"metrics":{"loss":1},"version":"c%d"}`, i)
	}
	for range 4 { // each new canary has emptied the window
		b.report("m", `{"metrics":{"loss":1},"version":"c15"}`)
	}
	b.report("m", `{"metrics":{"loss":5},"version":"stable"}`)
	b.next(retrains)
}

// TestAQuietPartitionMovesOn: its offset follows the stream, so that nobody thinks
// later that its inputs had expired.
func TestAQuietPartitionMovesOn(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.set.Partitions, b.set.InputAge = 2, 10*time.Second })
	b.worker()
	b.report("quiet", `{"metrics":{"loss":1}}`)
	layout := must(b.open().Layout(t.Context()))
	quiet := layout.Partition("quiet")
	other := "quiet"
	for i := 0; layout.Partition(other) == quiet && i < 100; i++ {
		other = fmt.Sprint("other", i)
	}
	var last uint64
	for range 20 {
		last = b.report(other, `{"metrics":{"loss":1}}`)
	}
	bustest.Eventually(t, 15*time.Second, "the quiet partition's offset follows", func() bool { return b.offsetOf(quiet).Sequence == last })
}
