package coordinator

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// What a worker stored, as it stored it, is kept in testdata/state and read by the
// workers after it. A golden is never written again by a later worker: for a new form
// of state add one, under a new name. To have one of an earlier worker copy this file
// into its tree and run
//
//	go test ./internal/coordinator -run TestWriteState -write-state NAME
var writeState = flag.String("write-state", "", "write what this worker stores to testdata/state/NAME.json")

// storedKey is one key of the bucket.
type storedKey struct {
	Means   any    // the same for people; not read
	Msgpack string // in hex: what is stored
}

// first is the golden of workers that knew no strategy that thinks; later ones store
// what those could not.
const first = "v1-first"

func stateFile(name string) string { return filepath.Join("testdata", "state", name+".json") }

func TestWriteState(t *testing.T) {
	if *writeState == "" {
		t.Skip("only with -write-state")
	}
	b := setup(t)
	b.stateConfig(*writeState)
	w := b.worker()
	b.fillState()
	if *writeState != first {
		b.fillSearchState()
	}
	b.settle()
	w.stop()
	state := map[string]storedKey{}
	for _, subject := range b.keys("$KV.retune.>") {
		key := strings.TrimPrefix(subject, "$KV.retune.")
		var means any
		if b.read(key, &means) {
			body := must(b.kv().Get(t.Context(), key)).Value()
			state[key] = storedKey{Means: means, Msgpack: hex.EncodeToString(body)}
		}
	}
	body := must(json.MarshalIndent(state, "", " "))
	if err := os.WriteFile(stateFile(*writeState), append(body, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stateConfig is the same for whoever writes the golden and whoever reads it.
func (b *testBundle) stateConfig(name string) {
	if name != first {
		local := Policy{Match: "learner", Tuner: &Tuner{Name: "local", Strategy: must(strategy.New("local", nil, nil))}, Monitor: b.config.Policies[0].Monitor}
		b.config.Policies = append([]Policy{local}, b.config.Policies...)
	}
}

// fillState has a model in each state that all workers have known.
func (b *testBundle) fillState() {
	configs, retrains, summaries, dead := b.subscribe("retune.config.>"), b.subscribe("retune.retrain.>"), b.subscribe("retune.summary.>"), b.subscribe("retune.dead.>")
	for range 3 {
		b.report("live", `{"metrics":{"loss":1},"config":{"lr":0.5,"name":"x"},"version":"a"}`)
		b.next(configs)
	}
	for _, loss := range []float64{1, 1, 1, 1, 9} {
		b.report("degraded", `{"metrics":{"loss":%g}}`, loss)
	}
	b.next(retrains)
	for range 4 {
		b.report("watched", `{"metrics":{"loss":2}}`)
	}
	b.command("trained", stateStudy, "old", "random", `"max_trials":1`)
	b.next(configs)
	b.report("trained", `{"study":"old","trial":0,"metrics":{"loss":0.9}}`)
	b.next(summaries)
	b.command("trained", stateStudy, "s", "random", `"max_trials":4,"parallelism":2,"retries":1`)
	b.half("trained", "s")
	b.report("gone", `{"metrics":{"loss":1}}`)
	b.command("gone", `{"op":"forget"}`)
	b.publish("retune.metrics.live", "rubbish")
	b.next(dead)
}

// fillSearchState adds what came with the strategies that think: earlier results, a
// pruner, a tuner that learns.
func (b *testBundle) fillSearchState() {
	configs := b.subscribe("retune.config.>")
	b.command("thinker", stateStudy, "slow", "gp", `"max_trials":4,"parallelism":2,"warm_start":["trained/old"],"pruner":{"type":"median"}`)
	b.half("thinker", "slow")
	for i := range 5 {
		b.report("learner", `{"metrics":{"loss":%d},"config":{"lr":0.5}}`, 5-i)
		for m, _ := b.next(configs); m.Subject != "retune.config.learner.live"; m, _ = b.next(configs) {
			continue
		}
	}
}

// half completes trial 0 of a study of two at once, and leaves trial 1 in its midst and
// trial 2 waiting.
func (b *testBundle) half(model, study string) {
	for n := range 3 {
		key := wire.TrialKey(0, model, study, n)
		for deadline := time.Now().Add(20 * time.Second); !b.read(key, new(any)); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.t.Fatalf("not within 20 s: %s", key)
			}
		}
		switch n {
		case 0:
			b.report(model, `{"study":%q,"trial":0,"metrics":{"loss":0.5},"duration_ms":7,"run_id":"r"}`, study)
		case 1:
			b.report(model, `{"study":%q,"trial":1,"step":1,"metrics":{"loss":0.7}}`, study)
		}
	}
}

const stateStudy = `{"op":"start","study":{"name":%q,"objective":{"metric":"loss","goal":"minimize"},"strategy":%q,"seed":1,"space":{"x":{"type":"float","low":0,"high":1},"kind":{"type":"categorical","choices":["a","b"]}},%s}}`

// stored reads a golden.
func stored(t *testing.T, name string) map[string][]byte {
	t.Helper()
	var keys map[string]storedKey
	if err := json.Unmarshal(must(os.ReadFile(stateFile(name))), &keys); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	state := map[string][]byte{}
	for key, v := range keys {
		body, err := hex.DecodeString(v.Msgpack)
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %s: %w", name, key, err))
		}
		state[key] = body
	}
	return state
}
