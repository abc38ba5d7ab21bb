package coordinator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// monitored is a bundle whose models have a monitor and no tuner.
func monitored(t *testing.T, monitor string) (*testBundle, *nats.Subscription) {
	t.Helper()
	b := setup(t)
	b.config.Policies = []Policy{{Match: "*", Monitor: must(observer.Parse(must(wire.DecodeTree([]byte(monitor), ""))))}}
	return b, b.subscribe("retune.retrain.>")
}

const staleSoon = `{"rules":[],"stale_after":"1s"}`

// TestASilentModelIsStale, once, and again after it has spoken.
func TestASilentModelIsStale(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, staleSoon)
	b.worker()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5},"version":"v7"}`)
	m, e := b.next(retrains)
	if e["trigger"] != "stale" || e["severity"] != "warning" || e["version"] != "v7" || e["config"] == nil || e["reference"] != 1.0 ||
		e["sequence"] != nil || e["metric"] != nil || e["detector"] != nil || !strings.HasPrefix(e["reason"].(string), "No report for ") {
		t.Errorf("%s", m.Data)
	}
	if m, err := retrains.NextMsg(2500 * time.Millisecond); err == nil {
		t.Errorf("told again: %s", m.Data)
	}
	b.report("m", `{"state":"failed","error":"out of memory"}`) // alive
	if _, again := b.next(retrains); again["id"] == e["id"] {
		t.Errorf("the same event: %v", again)
	}
}

// TestASilentModelIsFoundAtTakeOver although it has no further input, and the worker that knew of it is gone.
func TestASilentModelIsFoundAtTakeOver(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*running){"stop": (*running).stop, "crash": (*running).crash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, retrains := monitored(t, staleSoon)
			w := b.worker()
			b.report("other", `{"metrics":{"loss":1}}`)
			b.report("m", `{"metrics":{"loss":1}}`)
			b.next(retrains) // of one of the two, perhaps just before the worker goes
			leave(w)
			w = b.worker()
			b.next(retrains)
			leave(w)
			w = b.worker() // that it was told is known
			if m, err := retrains.NextMsg(2500 * time.Millisecond); err == nil {
				t.Errorf("told again: %s", m.Data)
			}
			b.report("m", `{"metrics":{"loss":1}}`)
			b.command("m", `{"op":"forget"}`)
			b.settle()
			leave(w)
			b.worker()
			if m, err := retrains.NextMsg(2500 * time.Millisecond); err == nil {
				t.Errorf("a forgotten model is stale: %s", m.Data)
			}
		})
	}
}

// TestASilentModelStartsAStudy, as any retrain event does.
func TestASilentModelStartsAStudy(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, staleSoon)
	b.config.Policies[0].Study = must(wire.DecodeTree([]byte(`{"objective":{"metric":"loss","goal":"minimize"},"strategy":"random",
		"space":{"lr":{"type":"float","low":0,"high":1}},"max_trials":3}`), "")).(map[string]any)
	configs := b.subscribe("retune.config.m.*.0")
	b.worker()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	_, event := b.next(retrains)
	if _, config := b.next(configs); config["study"] != "retrain-"+event["id"].(string) {
		t.Errorf("study %v, event %v", config["study"], event["id"])
	}
}

// TestReportsThatWaitBreakTheSilence: time passes for a model only when nothing waits that it has said.
func TestReportsThatWaitBreakTheSilence(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, `{"rules":[],"stale_after":"6s"}`)
	w := b.worker()
	b.report("m", `{"metrics":{"loss":1}}`)
	b.settle()
	w.stop()
	for range 2 { // an outage of the workers, not of the model
		time.Sleep(3500 * time.Millisecond)
		b.report("m", `{"metrics":{"loss":1}}`)
	}
	b.worker()
	b.settle()
	b.none(retrains)
}

// TestEpisodeAcrossTakeOver: a crash in the middle of an episode neither tells it again nor ends it, whatever is
// counted on the way.
func TestEpisodeAcrossTakeOver(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, `{"rules":[{"metric":"loss","detector":"threshold","limit":1,"confirm":"3 of 5","recover":3,"for":"10m"}],"cool_down":"1h"}`)
	w := b.worker()
	minute := 0
	send := func(losses ...string) {
		for _, loss := range losses {
			at := time.Date(2026, 3, 1, 0, minute, 0, 0, time.UTC)
			b.report("m", `{"metrics":{"loss":%s},"time":%q}`, loss, at.Format(time.RFC3339))
			minute += 5
		}
		b.settle()
		w.crash()
		w = b.worker()
	}
	send("2", "0", "2", "2") // three of five are degraded for the first time
	b.none(retrains)
	send("2", "2") // and for ten minutes
	_, e := b.next(retrains)
	if e["reports"] != 4.0 || e["since"] != "2026-03-01T00:10:00Z" {
		t.Errorf("%v", e)
	}
	send("0", "0", "2", "0", "0", "0", "2", "2", "2", "2", "2") // recovered, and degraded again: within the cool-down
	b.none(retrains)
	send("2") // now an hour has passed
	b.next(retrains)
}

// TestANewBaselineOnRequest lets what has come to be normal be normal.
func TestANewBaselineOnRequest(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, `{"rules":[{"metric":"loss","detector":"shewhart","warm_up":5}]}`)
	w := b.worker()
	send := func(losses ...float64) {
		for _, loss := range losses {
			b.report("m", `{"metrics":{"loss":%v}}`, loss)
		}
		b.settle()
	}
	send(1, 1.1, 0.9, 1, 1, 5, 5.1)
	b.next(retrains)
	dead := b.subscribe("retune.dead.>")
	b.command("m", `{"op":"baseline"}`)
	b.command("unknown", `{"op":"baseline"}`)
	if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), "unknown has no live report") {
		t.Errorf("%v", m.Header)
	}
	b.settle()
	w.crash()
	b.worker()
	send(5, 5.1, 4.9, 5, 5, 5.1)
	b.none(retrains)
	send(9)
	if _, e := b.next(retrains); e["reference"] != 5.0 {
		t.Errorf("%v", e)
	}
	if keys := b.keys("$KV.retune.model.0.unknown"); len(keys) > 0 {
		t.Errorf("a model that never reported is known: %v", keys)
	}
}

// TestLateReportsAreNotJudged, but they are counted.
func TestLateReportsAreNotJudged(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, `{"rules":[{"metric":"loss","detector":"threshold","limit":1}]}`)
	b.worker()
	for _, line := range []string{`12:00:00Z","metrics":{"loss":2}`, `11:00:00Z","metrics":{"loss":0}`, `12:01:00Z","metrics":{"loss":2}`} {
		b.report("m", `{"time":"2026-03-01T%s}`, line)
	}
	b.next(retrains)
	b.settle()
	b.none(retrains)
	if e := b.model("m").Episode; e == nil || e.Late != 1 || e.Newest == nil || !e.Newest.Equal(time.Date(2026, 3, 1, 12, 1, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
}

// TestAStudyEndsAsItsModelTurnsStale: what the end stops and what the silence starts is too much for one commit.
func TestAStudyEndsAsItsModelTurnsStale(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, `{"rules":[],"stale_after":"3s"}`)
	const study = `{%s"objective":{"metric":"loss","goal":"minimize"},"strategy":"random","space":{"lr":{"type":"float","low":0,"high":1}},"max_trials":1000,"parallelism":256%s}`
	b.config.Policies[0].Study = must(wire.DecodeTree(fmt.Appendf(nil, study, "", ""), "")).(map[string]any)
	configs := b.subscribe("retune.config.m.>")
	b.worker()
	b.report("m", `{"metrics":{"loss":1}}`)
	b.command("m", `{"op":"start","study":`+study+`}`, `"name":"s",`, `,"max_duration":"3s"`)
	for range 256 {
		b.next(configs)
	}
	b.next(retrains)
	b.report("m", `{"metrics":{"loss":1}}`)
	b.settle()
}

// TestAConsumerThatWasRefusedIsForgotten: with room again, the next silence starts a study.
func TestAConsumerThatWasRefusedIsForgotten(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, `{"rules":[],"stale_after":"1500ms"}`)
	b.config.Policies[0].Study = must(wire.DecodeTree([]byte(`{"objective":{"metric":"loss","goal":"minimize"},"strategy":"random",
		"space":{"lr":{"type":"float","low":0,"high":1}},"max_trials":3}`), "")).(map[string]any)
	configs := b.subscribe("retune.config.>")
	b.worker()
	for i := range 2 {
		must(b.js.CreateConsumer(t.Context(), "KV_retune", jetstream.ConsumerConfig{Durable: fmt.Sprint("c", i)}))
	}
	set := must(b.js.Stream(t.Context(), "KV_retune")).CachedInfo().Config
	set.MaxConsumers = 2
	must(b.js.UpdateStream(t.Context(), set))
	b.report("m1", `{"metrics":{"loss":1}}`)
	b.next(retrains)
	b.none(configs)
	set.MaxConsumers = -1
	must(b.js.UpdateStream(t.Context(), set))
	b.report("m2", `{"metrics":{"loss":1}}`)
	b.next(retrains)
	b.next(configs)
}

// TestAStaleModelThatIsBrokenIsNoLongerCounted once it is forgotten.
func TestAStaleModelThatIsBrokenIsNoLongerCounted(t *testing.T) {
	t.Parallel()
	b, retrains := monitored(t, staleSoon)
	w := b.worker()
	b.report("m", `{"metrics":{"loss":1}}`)
	b.next(retrains)
	b.settle()
	w.stop()
	if h := b.offset().Health; h == nil || h.Stale != 1 {
		t.Fatalf("%+v", h)
	}
	must(b.js.Publish(t.Context(), "$KV.retune.study.0.m", []byte("garbage")))
	b.worker()
	b.command("m", `{"op":"forget"}`)
	b.settle()
	bustest.Eventually(t, 10*time.Second, "no model is counted", func() bool {
		o := b.offset()
		return o.Models == 0 && o.Health.Stale == 0
	})
}
