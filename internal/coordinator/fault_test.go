package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// suggestFunc is a strategy made of a function.
type suggestFunc func(strategy.Request) (map[string]any, error)

func (f suggestFunc) Suggest(r strategy.Request) (map[string]any, error) { return f(r) }

// bomb goes off when it is encoded: after the model has been changed.
type bomb struct{}

func (bomb) MarshalBinary() ([]byte, error) { panic("bomb") }
func (bomb) MarshalText() ([]byte, error)   { panic("bomb") }
func (bomb) MarshalJSON() ([]byte, error)   { panic("bomb") }

func (b *testBundle) tuner(f suggestFunc) {
	b.config.Policies[0].Tuner = &Tuner{Name: "test", Strategy: f}
}

// TestPanic makes one input of a chunk panic in the middle of its step: it becomes
// a dead letter, the others are applied once, and so are those after it.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) {
		b.tuner(func(r strategy.Request) (map[string]any, error) {
			if r.Base["bad"] == true {
				return map[string]any{"x": bomb{}}, nil
			}
			return r.Base, nil
		})
	})
	configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
	for i := range 30 {
		b.report(fmt.Sprintf("m%d", i%3), `{"metrics":{"loss":1},"config":{"bad":%v}}`, i == 13)
		b.report("quiet", `{"metrics":{"loss":1}}`)
	}
	b.worker()
	m, _ := b.next(dead)
	if e := m.Header.Get("Retune-Error"); !strings.Contains(e, "bomb") || m.Header.Get("Retune-Sequence") != "27" || m.Header.Get("Retune-Model") != "m1" {
		t.Errorf("%v", m.Header)
	}
	b.report("m1", `{"metrics":{"loss":1},"config":{"bad":false}}`)
	next := map[string]int{}
	for range 30 {
		m, c := b.next(configs)
		id := c["model_id"].(string)
		if c["number"] != float64(next[id]) {
			t.Errorf("%s, wanted number %d", m.Data, next[id])
		}
		next[id]++
	}
	b.settle()
	b.none(configs)
	b.none(dead)
	if m1, quiet := b.model("m1"), b.model("quiet"); m1.Reports != 10 || m1.Number != 10 || quiet.Reports != 30 {
		t.Errorf("m1 %+v, quiet %+v", m1, quiet)
	}
}

// TestFailingTuner: the report is a dead letter, but the monitor has seen it.
func TestFailingTuner(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]suggestFunc{
		"error": func(strategy.Request) (map[string]any, error) { return nil, errors.New("no idea") },
		"panic": func(strategy.Request) (map[string]any, error) { panic("no idea") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(b *testBundle) { b.tuner(fail) })
			retrains, dead := b.subscribe("retune.retrain.>"), b.subscribe("retune.dead.>")
			b.worker()
			for _, loss := range []int{1, 1, 1, 1, 9} {
				b.report("m", `{"metrics":{"loss":%d},"config":{"lr":0.5}}`, loss)
				if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), "no idea") {
					t.Errorf("%v", m.Header)
				}
			}
			if _, e := b.next(retrains); e["value"] != 9.0 || e["reference"] != 1.0 {
				t.Errorf("%v", e)
			}
			b.settle()
			b.none(dead)
			if r := b.model("m"); r.Reports != 5 || r.Number != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestBrokenState damages each kind of key of one model: its inputs are dead
// letters until it is forgotten, other models go on.
func TestBrokenState(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"model": wire.ModelKey(0, "m"), "study": wire.StudyKey(0, "m"),
		"trial": wire.TrialKey(0, "m", "s", 0), "finished": wire.FinishedKey(0, "m", "old"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
			w := b.worker()
			b.command("m", startStudy, "old", `"max_trials":1`)
			b.next(configs)
			b.report("m", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
			b.command("m", startStudy, "s", `"max_trials":1`)
			b.next(configs)
			b.settle()
			w.stop()
			must(b.kv().Put(t.Context(), key, []byte("\xc1 not msgpack")))
			b.worker()
			b.report("m", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
			if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), "forget") {
				t.Errorf("%v", m.Header)
			}
			b.report("other", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
			if m, _ := b.next(configs); m.Subject != "retune.config.other.live" {
				t.Errorf("%s", m.Subject)
			}
			b.command("m", `{"op":"forget"}`)
			b.command("m", startStudy, "old", `"max_trials":1`)
			if m, _ := b.next(configs); m.Subject != "retune.config.m.old.0" {
				t.Errorf("%s", m.Subject)
			}
			b.settle()
			b.none(dead)
			if n := b.offset().Models; n != 2 {
				t.Errorf("%d models are known, wanted 2", n)
			}
		})
	}
}

// fatal waits until the worker stops by itself.
func (r *running) fatal() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(15 * time.Second):
		r.t.Fatal("the worker goes on")
		return nil
	}
}

// TestInputsAreOthers deletes the input stream: the worker stops and says so,
// unless it is told to adopt what is there.
func TestInputsAreOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs := b.subscribe("retune.config.>")
	w := b.worker()
	for range 3 {
		b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
		b.next(configs)
	}
	w.stop()
	if err := b.js.DeleteStream(t.Context(), b.set.Subjects.InputStream()); err != nil {
		t.Fatal(err)
	}
	bustest.Open(t, b.srv.ClientURL(), b.set)
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	if err := b.worker().fatal(); !errors.Is(err, bus.ErrInputs) || !strings.Contains(err.Error(), "--adopt-inputs") {
		t.Errorf("stopped with: %v", err)
	}
	b.config.AdoptInputs = true
	w = b.worker()
	if _, c := b.next(configs); c["number"] != 3.0 {
		t.Errorf("number %v, wanted 3", c["number"])
	}
	b.settle()
	w.crash()
	b.worker() // once adopted, it is the one that was read before
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	if _, c := b.next(configs); c["number"] != 4.0 {
		t.Errorf("number %v, wanted 4", c["number"])
	}
}

// TestAdoptedOnce: a partition that has no input after it was adopted is adopted
// all the same, whether the stream was made anew or lost its tail.
func TestAdoptedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.worker()
	b.report("m", `{"metrics":{"loss":1}}`)
	b.settle()
	w.stop()
	if err := b.js.DeleteStream(t.Context(), b.set.Subjects.InputStream()); err != nil {
		t.Fatal(err)
	}
	bustest.Open(t, b.srv.ClientURL(), b.set)
	b.config.AdoptInputs = true
	w = b.worker()
	bustest.Eventually(t, 10*time.Second, "it is adopted", func() bool { return b.offset().Epoch == 1 })
	w.crash()
	b.config.AdoptInputs = false
	b.worker()
	b.report("m", `{"metrics":{"loss":1}}`)
	b.settle()
	if r := b.model("m"); r.Reports != 2 || r.Epoch != 1 {
		t.Errorf("%+v", r)
	}
}

// TestExpiredInputsAreCounted discards inputs while no worker runs.
func TestExpiredInputsAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	configs := b.subscribe("retune.config.>")
	w := b.worker()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	b.next(configs)
	w.stop()
	for range 5 {
		b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	}
	if err := must(b.js.Stream(t.Context(), b.set.Subjects.InputStream())).Purge(t.Context(), jetstream.WithPurgeSequence(5)); err != nil {
		t.Fatal(err)
	}
	b.worker()
	for i := range 2 {
		if _, c := b.next(configs); c["number"] != float64(i+1) || c["sequence"] != float64(i+5) {
			t.Errorf("%v", c)
		}
	}
	b.settle()
	if n := b.offset().Expired; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestAlteredBucketStopsTheWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.worker()
	b.report("m", `{"metrics":{"loss":1}}`)
	b.settle()
	must(b.js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "retune", LimitMarkerTTL: time.Minute}))
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	if err := w.fatal(); !errors.Is(err, bus.ErrAltered) {
		t.Errorf("stopped with: %v", err)
	}
}

// TestFullBucketStalls: nothing is lost or doubled while the bucket is full.
func TestFullBucketStalls(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.set.BucketBytes = 512 << 10 })
	configs := b.subscribe("retune.config.>")
	kv := b.kv()
	body := make([]byte, 50_000)
	full := 0
	for ; full < 100; full++ {
		if _, err := kv.Put(t.Context(), fmt.Sprintf("filler.%d", full), body); err != nil {
			break
		}
	}
	for full2 := 0; full2 < 1000; full2++ {
		if _, err := kv.Put(t.Context(), fmt.Sprintf("sand.%d", full2), body[:100]); err != nil {
			break
		}
	}
	b.worker()
	const n = 20
	for range n {
		b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	}
	if m, err := configs.NextMsg(time.Second); err == nil {
		t.Fatalf("the bucket is not full: %s", m.Data)
	}
	if err := must(b.js.Stream(t.Context(), "KV_retune")).Purge(t.Context(), jetstream.WithPurgeSubject("$KV.retune.filler.>")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if m, c := b.next(configs); c["number"] != float64(i) {
			t.Fatalf("%s, wanted number %d", m.Data, i)
		}
	}
	b.settle()
	b.none(configs)
}

func TestModelLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.MaxModels = 3 })
	dead := b.subscribe("retune.dead.>")
	for i := range 5 {
		b.report(fmt.Sprintf("m%d", i), `{"metrics":{"loss":1}}`)
	}
	w := b.worker()
	for _, model := range []string{"m3", "m4"} {
		if m, _ := b.next(dead); m.Header.Get("Retune-Model") != model || !strings.Contains(m.Header.Get("Retune-Error"), "limits.models") {
			t.Errorf("%v", m.Header)
		}
	}
	b.report("m0", `{"metrics":{"loss":1}}`)
	b.command("m1", `{"op":"forget"}`)
	b.report("m3", `{"metrics":{"loss":1}}`)
	b.settle()
	w.stop()
	b.worker()
	b.report("m4", `{"metrics":{"loss":1}}`)
	if m, _ := b.next(dead); m.Header.Get("Retune-Model") != "m4" {
		t.Errorf("%v", m.Header)
	}
	b.settle()
	b.none(dead)
	if n := b.offset().Models; n != 3 || b.model("m0").Reports != 2 || b.model("m3").Reports != 1 {
		t.Errorf("%d models are known", n)
	}
}
