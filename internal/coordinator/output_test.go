package coordinator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/visutility/retune/internal/wire"
)

// TestHeaders: every kind of output is a CloudEvent and continues the trace of the
// report that caused it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.*.>")
	b.worker()
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	send := func(subject, body string) {
		m := nats.NewMsg(subject)
		m.Header.Set("traceparent", trace)
		m.Data = []byte(body)
		must(b.js.PublishMsg(t.Context(), m))
	}
	for _, loss := range []int{1, 1, 1, 1, 5} {
		send("retune.metrics.m", fmt.Sprintf(`{"metrics":{"loss":%d},"config":{"lr":0.5},"run_id":"r1"}`, loss))
	}
	send("retune.study.m", fmt.Sprintf(startStudy, "s", `"max_trials":1`))
	send("retune.study.m", `{"op":"stop","name":"s"}`)
	send("retune.metrics.m", "rubbish")
	ids, kinds := map[string]bool{}, map[string]int{}
	for range 5 + 1 + 1 + 1 + 1 + 1 {
		m, err := all.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("%v after %v", err, kinds)
		}
		kind := strings.Split(m.Subject, ".")[1]
		if kind == "metrics" || kind == "study" {
			t.Fatalf("an input: %s", m.Subject)
		}
		kinds[kind]++
		for name, want := range map[string]string{
			"ce-specversion": "1.0", "ce-type": "retune." + kind + ".v1", "ce-source": "/retune", "ce-subject": "m",
			"ce-datacontenttype": m.Header.Get("Content-Type"),
		} {
			if got := m.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, wanted %q", m.Subject, name, got, want)
			}
		}
		if at, err := time.Parse(time.RFC3339Nano, m.Header.Get("ce-time")); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("%s: ce-time: %v %v", m.Subject, at, err)
		}
		if id := m.Header.Get("ce-id"); id == "" || ids[id] {
			t.Errorf("%s: ce-id %q is empty or used twice", m.Subject, id)
		} else {
			ids[id] = true
		}
		parts := strings.Split(m.Header.Get("traceparent"), "-")
		if len(parts) != 4 || parts[1] != "0af7651916cd43dd8448eb211c80319c" || parts[2] == "b7ad6b7169203331" || len(parts[2]) != 16 || parts[3] != "01" {
			t.Errorf("%s: traceparent %v", m.Subject, parts)
		}
		if want := map[string]string{"config": "application/json", "retrain": "application/json", "stop": "application/json", "summary": "application/json", "dead": "application/octet-stream"}[kind]; m.Header.Get("Content-Type") != want {
			t.Errorf("%s: Content-Type %s, wanted %s", m.Subject, m.Header.Get("Content-Type"), want)
		}
		if kind == "retrain" && !strings.HasSuffix(m.Subject, "."+m.Header.Get("ce-id")) {
			t.Errorf("%s has ce-id %s", m.Subject, m.Header.Get("ce-id"))
		}
		if kind == "dead" && (m.Header.Get("Retune-Subject") != "retune.metrics.m" || m.Header.Get("Retune-Sequence") != "8" || string(m.Data) != "rubbish") {
			t.Errorf("%v %s", m.Header, m.Data)
		}
	}
	if fmt.Sprint(kinds) != "map[config:6 dead:1 retrain:1 stop:1 summary:1]" {
		t.Errorf("%v", kinds)
	}
}

func TestEncodingPerKind(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.Encoding = map[string]wire.Encoding{KindRetrain: wire.JSON} })
	configs, retrains := b.subscribe("retune.config.>"), b.subscribe("retune.retrain.>")
	b.worker()
	for _, loss := range []int{1, 1, 1, 1, 5} {
		b.report("m", `{"metrics":{"loss":%d},"config":{"lr":0.5}}`, loss)
	}
	m, _ := b.next(configs)
	tree, err := wire.DecodeTree(m.Data, m.Header.Get("Content-Type"))
	if c, ok := tree.(map[string]any); err != nil || !ok || m.Header.Get("Content-Type") != "application/msgpack" || c["model_id"] != "m" {
		t.Errorf("%v %v %v", m.Header, tree, err)
	}
	if m, e := b.next(retrains); m.Header.Get("Content-Type") != "application/json" || e["reason"] != "Loss degraded 400.00% vs. rolling mean" {
		t.Errorf("%v %s", m.Header, m.Data)
	}
}

// TestVersions: a new version is a new baseline, one among the last is a canary.
func TestVersions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	retrains := b.subscribe("retune.retrain.>")
	w := b.worker()
	send := func(version string, losses ...float64) {
		for _, loss := range losses {
			b.report("m", `{"metrics":{"loss":%v},"version":%q}`, loss, version)
		}
	}
	send("v1", 1, 1, 1, 1)
	send("v2", 5, 5, 5, 5) // worse, but a baseline of its own
	b.settle()
	b.none(retrains)
	w.stop()
	b.worker() // the versions are remembered
	send("v1", 9)
	if _, e := b.next(retrains); e["version"] != "v1" || e["reference"] != 5.0 {
		t.Errorf("a canary among the last versions began a new baseline: %v", e)
	}
	for i := range rememberedVersions {
		send(fmt.Sprintf("w%d", i), 1)
	}
	send("w15", 3, 3, 3)
	send("v1", 9, 9, 9, 9, 20) // forgotten by now, so new: four make a baseline
	if _, e := b.next(retrains); e["version"] != "v1" || e["reference"] != 9.0 {
		t.Errorf("%v", e)
	}
	b.settle()
	b.none(retrains)
}

// TestConfigInForce is that of the latest report that bore one, whatever came in
// between through the same decoder.
func TestConfigInForce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	retrains := b.subscribe("retune.retrain.>")
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.25,"opt":"adam"}}`)
	for i := range 50 {
		b.report("other", `{"metrics":{"loss":1},"config":{"lr":%d.5,"opt":"sgd-%d"}}`, i, i)
	}
	for _, loss := range []int{1, 1, 1, 7} {
		b.report("m", `{"metrics":{"loss":%d}}`, loss)
	}
	b.worker()
	m, e := b.next(retrains)
	if fmt.Sprint(e["config"]) != "map[lr:0.25 opt:adam]" {
		t.Errorf("%s", m.Data)
	}
}

func TestNotFiniteIsCriticalOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	retrains, dead := b.subscribe("retune.retrain.>"), b.subscribe("retune.dead.>")
	b.worker()
	for _, loss := range []string{"1", "NaN", "Infinity", `"NaN"`, "1", "1", "1", "1"} {
		b.report("m", `{"metrics":{"loss":%s,"other":NaN}}`, loss)
	}
	if m, e := b.next(retrains); e["severity"] != "critical" || e["value"] != "NaN" || strings.Contains(string(m.Data), "reference") {
		t.Errorf("%s", m.Data)
	}
	b.settle()
	b.none(retrains)
	b.none(dead)
}
