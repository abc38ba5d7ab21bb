package coordinator

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestBadInputs: each comes back as a dead letter that says what is wrong, and the
// worker goes on.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead, configs := b.subscribe("retune.dead.>"), b.subscribe("retune.config.good.live")
	b.worker()
	study := func(space string, more string) string {
		return fmt.Sprintf(`{"op":"start","study":{"name":"s","objective":{"metric":"loss","goal":"minimize"},"max_trials":3,"space":%s%s}}`, space, more)
	}
	x := `{"x":{"type":"float","low":0,"high":1}}`
	for name, c := range map[string]struct{ subject, body, want string }{
		"neither msgpack nor JSON":      {"retune.metrics.m", "hello, world", "body"},
		"binary rubbish":                {"retune.metrics.m", "\xc1\xff\x00\x01", "body"},
		"truncated JSON":                {"retune.metrics.m", `{"metrics":{"loss":`, "body"},
		"truncated msgpack":             {"retune.metrics.m", "\x81\xa7metrics\x81\xa4lo", "body"},
		"a length that is a lie":        {"retune.metrics.m", "\x81\xa7metrics\xdf\xff\xff\xff\xff", "body"},
		"a wrong type":                  {"retune.metrics.m", `{"metrics":{"loss":"high"}}`, `metrics.loss: "high"`},
		"a nesting bomb":                {"retune.metrics.m", `{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `,"metrics":{"loss":1}}`, "nest"},
		"a nesting bomb in msgpack":     {"retune.metrics.m", "\x82\xa1x" + strings.Repeat("\x91", 100_000) + "\xc0\xa7metrics\x80", "nest"},
		"no metrics":                    {"retune.metrics.m", `{"metrics":{}}`, "metrics"},
		"an empty body":                 {"retune.metrics.m", "", "body"},
		"an unknown study":              {"retune.metrics.m", `{"study":"no","trial":0,"metrics":{"loss":1}}`, `study: "no"`},
		"a trial without a study":       {"retune.metrics.m", `{"trial":0,"metrics":{"loss":1}}`, "study"},
		"an illegal model":              {"retune.metrics.mödel", `{"metrics":{"loss":1}}`, "model"},
		"an unknown operation":          {"retune.study.m", `{"op":"pause"}`, `op: "pause"`},
		"an empty space":                {"retune.study.m", study(`{}`, ""), "space"},
		"a contradictory space":         {"retune.study.m", study(`{"x":{"type":"float","low":2,"high":1}}`, ""), "space.x"},
		"an unknown strategy":           {"retune.study.m", study(x, `,"strategy":"magic"`), "magic"},
		"a grid without end":            {"retune.study.m", study(x, `,"strategy":"grid"`), "space.x"},
		"no bound":                      {"retune.study.m", `{"op":"start","study":{"objective":{"metric":"loss","goal":"minimize"},"space":` + x + `}}`, "max_trials"},
		"a pruner there is not":         {"retune.study.m", study(x, `,"pruner":{"type":"magic"}`), "pruner.type"},
		"an earlier study there is not": {"retune.study.m", study(x, `,"warm_start":["other/s0"]`), "warm_start[0]: study s0 of model other"},
		"stop of no study":              {"retune.study.m", `{"op":"stop","name":"no"}`, "no"},
		"a config that is not finite":   {"retune.metrics.m", `{"metrics":{"loss":NaN},"config":{"lr":NaN}}`, "config.lr: NaN is not a finite number"},
		"a config of 300 KB":            {"retune.metrics.m", `{"metrics":{"loss":1},"config":{"x":"` + strings.Repeat("y", 300_000) + `"}}`, "config"},
		"a study above 512 KiB":         {"retune.study.m", study(`{"x":{"values":["`+strings.Repeat("y", 600_000)+`"]}}`, ""), "524288"},
	} {
		b.publish(c.subject, c.body)
		m, _ := b.next(dead)
		if got := m.Header.Get("Retune-Error"); !strings.Contains(got, c.want) || len(got) > 1100 {
			t.Errorf("%s: Retune-Error is %q, want %q in it", name, got, c.want)
		}
		if got := m.Header.Get("Retune-Subject"); got != c.subject {
			t.Errorf("%s: Retune-Subject is %q", name, got)
		}
		if want := c.body[:min(len(c.body), 16<<10)]; string(m.Data) != want {
			t.Errorf("%s: the dead letter has %d bytes, want the first %d", name, len(m.Data), len(want))
		}
	}
	b.report("good", `{"metrics":{"loss":1},"config":{"lr":0.1}}`)
	b.next(configs)
}

// TestALargeBody: a report of 10 MB is read, its metrics count; the same with
// rubbish in it is a dead letter of 16 KiB that says where the whole is.
func TestALargeBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead, configs := b.subscribe("retune.dead.>"), b.subscribe("retune.config.m.live")
	b.worker()
	notes := strings.Repeat("z", 10<<20)
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.1},"notes":"%s"}`, notes)
	b.next(configs)
	sequence := b.publish("retune.metrics.m", notes)
	m, _ := b.next(dead)
	if len(m.Data) != 16<<10 || m.Header.Get("Retune-Sequence") != fmt.Sprint(sequence) {
		t.Errorf("%d bytes, Retune-Sequence %q, want %d", len(m.Data), m.Header.Get("Retune-Sequence"), sequence)
	}
}

// TestNumbersThatAreNone: Python writes NaN and Infinity bare. In a report they are
// values like others; a monitored one is a critical event.
func TestNumbersThatAreNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	retrains := b.subscribe("retune.retrain.>")
	b.worker()
	for i, body := range []string{`{"metrics":{"loss":NaN}}`, `{"metrics":{"loss":-Infinity,"other":NaN}}`, `{"metrics":{"loss":"Infinity"}}`, "\x81\xa7metrics\x81\xa4loss\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01"} {
		model := fmt.Sprintf("m%d", i)
		b.publish("retune.metrics."+model, body)
		m, event := b.next(retrains)
		if event["severity"] != "critical" || event["model_id"] != model {
			t.Errorf("%q leads to %s", body, m.Data)
		}
		if !bytes.Contains(m.Data, []byte(`"value":"`)) {
			t.Errorf("%s: a value that is not finite is a string in JSON", m.Data)
		}
	}
}

// TestAHugeGrid: a grid of 10^9 points starts at once and gives its first points.
func TestAHugeGrid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs, summaries := b.subscribe("retune.config.>"), b.subscribe("retune.summary.>")
	b.worker()
	b.command("m", `{"op":"start","study":{"name":"huge","objective":{"metric":"loss","goal":"minimize"},"strategy":"grid","parallelism":3,
		"space":{"a":{"type":"int","low":1,"high":1000},"b":{"type":"int","low":1,"high":1000},"c":{"type":"int","low":1,"high":1000}}}}`)
	for i := range 3 {
		_, c := b.next(configs)
		config := c["config"].(map[string]any)
		if config["a"] != 1.0 || config["b"] != 1.0 || config["c"] != float64(i+1) {
			t.Errorf("point %d is %v", i, config)
		}
	}
	b.command("m", `{"op":"stop","name":"huge"}`)
	if _, s := b.next(summaries); s["reason"] != "stopped" {
		t.Errorf("%v", s)
	}
}

// TestForgedHeaders: headers of a report that look like the server's own change
// nothing.
func TestForgedHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs := b.subscribe("retune.config.m.live")
	b.worker()
	for _, status := range []string{"100", "404", "409", "503"} {
		if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: "retune.metrics.m", Header: nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}, "Nats-Pending-Messages": {"7"}}}); err != nil {
			t.Fatal(err)
		}
	}
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.1}}`)
	b.next(configs)
}
