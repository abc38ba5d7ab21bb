package coordinator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus/bustest"
)

// TestOutputsImplyState crashes a worker whose last commit held outputs of one
// model, while others had changed and were not written yet. Its successor neither
// repeats outputs nor loses changes.
func TestOutputsImplyState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs := b.subscribe("retune.config.>")
	const rounds, quiet = 20, 10
	for range rounds {
		for i := range quiet {
			b.report(fmt.Sprintf("quiet-%d", i), `{"metrics":{"loss":1}}`)
		}
		b.report("loud", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	}
	w := b.worker()
	for range rounds {
		b.next(configs)
	}
	w.crash()
	last := uint64(rounds * (quiet + 1))
	if at := b.offset().Sequence; at >= last || b.model("quiet-0").Reports > 0 || b.model("loud").Reports == 0 {
		t.Fatalf("the crash came too late: the offset is %d of %d", at, last)
	}
	b.worker()
	b.report("loud", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	for _, m := range []string{"loud"} {
		msg, body := b.next(configs)
		if body["number"] != float64(rounds) || body["model_id"] != m {
			t.Errorf("after the crash: %s, wanted number %d", msg.Data, rounds)
		}
	}
	b.settle()
	b.none(configs)
	for i := range quiet {
		if r := b.model(fmt.Sprintf("quiet-%d", i)); r.Reports != rounds {
			t.Errorf("%d of %d reports of quiet-%d count", r.Reports, rounds, i)
		}
	}
	if r := b.model("loud"); r.Reports != rounds+1 || r.Number != rounds+1 {
		t.Errorf("loud has %d reports and %d configs", r.Reports, r.Number)
	}
}

// TestMonitorMemorySurvivesACrash: the episode that was told is not told again.
func TestMonitorMemorySurvivesACrash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	retrains := b.subscribe("retune.retrain.>")
	for _, loss := range []float64{1, 1, 1, 1, 2} {
		b.report("m", `{"metrics":{"loss":%v},"state":"running","step":1}`, loss)
	}
	w := b.worker()
	b.next(retrains)
	w.crash()
	b.worker()
	b.report("m", `{"metrics":{"loss":3}}`)
	b.settle()
	b.none(retrains)
}

func TestDeadLettersAreNotRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead := b.subscribe("retune.dead.>")
	b.report("quiet", `{"metrics":{"loss":1}}`)
	for i := range 30 {
		b.publish("retune.metrics.m", fmt.Sprintf("rubbish %d", i))
	}
	w := b.worker()
	for i := range 30 {
		m, _ := b.next(dead)
		if want := fmt.Sprintf("retune.dead.0.%d", i); m.Subject != want || string(m.Data) != fmt.Sprintf("rubbish %d", i) {
			t.Fatalf("%s %s, wanted %s", m.Subject, m.Data, want)
		}
	}
	w.crash()
	if at := b.offset(); at.Sequence > 0 || len(at.Dead) != 30 {
		t.Fatalf("the crash came too late: %+v", at)
	}
	b.worker()
	b.publish("retune.metrics.m", "more")
	m, _ := b.next(dead)
	if m.Subject != "retune.dead.0.30" || string(m.Data) != "more" || m.Header.Get("Retune-Sequence") != "32" {
		t.Errorf("after the crash: %s %v %s", m.Subject, m.Header, m.Data)
	}
	b.settle()
	b.none(dead)
	if r := b.model("quiet"); r.Reports != 1 {
		t.Errorf("quiet has %d reports", r.Reports)
	}
}

func TestDeadLettersAreARing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = 1005
	dead := b.subscribe("retune.dead.>")
	for i := range n {
		must(b.js.PublishAsync("retune.metrics.m", []byte(fmt.Sprintf("rubbish %d", i)), jetstream.WithStallWait(20*time.Second)))
	}
	<-b.js.PublishAsyncComplete()
	b.worker()
	for i := range n {
		if m, _ := b.next(dead); m.Subject != fmt.Sprintf("retune.dead.0.%d", i%1000) || string(m.Data) != fmt.Sprintf("rubbish %d", i) {
			t.Fatalf("%d: %s %s", i, m.Subject, m.Data)
		}
	}
	b.settle()
	if stored := b.keys("retune.dead.>"); len(stored) != 1000 {
		t.Errorf("%d are stored", len(stored))
	}
	if m := b.model("m"); m.Schema != 0 {
		t.Errorf("rubbish made a model: %+v", m)
	}
}

// TestTrialsSurviveACrash crashes in the middle of a study.
func TestTrialsSurviveACrash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	b.command("m", startStudy, "s", `"max_trials":6,"parallelism":2,"seed":1`)
	w := b.worker()
	seen := map[string]int{}
	next := func() (*nats.Msg, map[string]any) {
		m, body := b.next(all)
		if seen[m.Subject]++; seen[m.Subject] > 1 {
			t.Errorf("%s came twice", m.Subject)
		}
		return m, body
	}
	for range 6 {
		_, c := next()
		b.report("m", `{"study":"s","trial":%v,"step":1,"metrics":{"loss":3}}`, c["trial"])
		b.report("m", `{"study":"s","trial":%v,"metrics":{"loss":%v}}`, c["trial"], c["trial"])
		if c["trial"] == 2.0 || c["trial"] == 3.0 {
			w.crash()
			w = b.worker()
		}
	}
	m, sum := next()
	if !strings.HasPrefix(m.Subject, "retune.summary.") || sum["reason"] != "max_trials" || sum["counts"].(map[string]any)["complete"] != 6.0 {
		t.Errorf("%s %s", m.Subject, m.Data)
	}
	next() // improved
	b.settle()
	b.none(all)
}

const startStudy = `{"op":"start","study":{"name":%q,"objective":{"metric":"loss","goal":"minimize"},"strategy":"random","space":{"x":{"type":"float","low":0,"high":1}},%s}}`

func TestDuplicatesCountOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker()
	for range 3 {
		m := nats.NewMsg("retune.metrics.m")
		m.Header.Set("Nats-Msg-Id", "one")
		m.Data = []byte(`{"metrics":{"loss":1}}`)
		must(b.js.PublishMsg(t.Context(), m))
	}
	b.settle()
	if r := b.model("m"); r.Reports != 1 {
		t.Errorf("%d reports count", r.Reports)
	}
}

// TestTwoWorkers moves partitions between workers that come, go and crash.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.set.Partitions = 8 })
	configs := b.subscribe("retune.config.>")
	const models = 20
	sent := 0
	round := func() {
		for range 5 {
			for m := range models {
				b.report(fmt.Sprintf("m%d", m), `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
			}
			sent++
		}
	}
	one := b.worker()
	round()
	two := b.worker()
	round()
	bustest.Eventually(t, 10*time.Second, "both own something", func() bool { return len(must(one.bus.Workers(t.Context()))) == 2 })
	round()
	one.stop()
	round()
	three := b.worker()
	round()
	two.crash()
	round()
	three.stop()
	b.worker()
	round()
	next := map[string]int{}
	for range models * sent {
		m, c := b.next(configs)
		id := c["model_id"].(string)
		if c["number"] != float64(next[id]) {
			t.Fatalf("%s, wanted number %d", m.Data, next[id])
		}
		next[id]++
	}
	b.none(configs)
}
