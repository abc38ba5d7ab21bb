package coordinator

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// upgraded is a worker of today on the state that an earlier one left.
func upgraded(t *testing.T, name string) (b *testBundle, state map[string][]byte) {
	t.Helper()
	b, state = setup(t), stored(t, name)
	b.stateConfig(name)
	for key, value := range state {
		must(b.kv().Put(t.Context(), key, value))
	}
	// The inputs are of another stream than those that the state speaks of.
	b.config.AdoptInputs = true
	b.worker()
	bustest.Eventually(t, 10*time.Second, "the state is taken over", func() bool { return b.offset().Epoch == 1 })
	return b, state
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	files := must(filepath.Glob(stateFile("*")))
	if len(files) < 3 {
		t.Fatalf("only %q", files)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		for what, goesOn := range map[string]func(*testBundle, map[string][]byte){
			"live": (*testBundle).liveGoesOn, "monitor": (*testBundle).monitorGoesOn, "study": (*testBundle).studyGoesOn,
			"known": (*testBundle).knownStays, "slow study": (*testBundle).slowStudyGoesOn, "tuner": (*testBundle).tunerGoesOn,
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				b, state := upgraded(t, name)
				goesOn(b, state)
			})
		}
	}
}

// liveGoesOn: numbers of live configs and of dead letters have no gap and none twice.
func (b *testBundle) liveGoesOn(map[string][]byte) {
	configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
	b.report("live", `{"metrics":{"loss":1},"config":{"lr":0.5},"version":"a"}`)
	if m, c := b.next(configs); c["number"] != 3.0 {
		b.t.Errorf("%s: wanted number 3", m.Data)
	}
	b.publish("retune.metrics.live", "rubbish")
	if m, _ := b.next(dead); m.Subject != "retune.dead.0.1" {
		b.t.Errorf("dead letter at %s, wanted the next slot", m.Subject)
	}
	b.settle()
	if r := b.model("live"); r.Reports != 4 || !slices.Equal(r.Versions, []string{"a"}) {
		b.t.Errorf("%+v", r)
	}
}

// monitorGoesOn: an episode that runs is not told again, and what was normal is known.
func (b *testBundle) monitorGoesOn(map[string][]byte) {
	retrains := b.subscribe("retune.retrain.>")
	b.report("degraded", `{"metrics":{"loss":30}}`)
	b.report("watched", `{"metrics":{"loss":9}}`)
	if m, e := b.next(retrains); e["model_id"] != "watched" || e["reference"] != 2.0 {
		b.t.Errorf("%s: wanted one of watched, beside its mean of 2", m.Data)
	}
	for range 5 {
		b.report("degraded", `{"metrics":{"loss":1}}`)
	}
	b.report("degraded", `{"metrics":{"loss":9}}`)
	if m, e := b.next(retrains); e["model_id"] != "degraded" || e["value"] != 9.0 {
		b.t.Errorf("%s: wanted the second episode of degraded", m.Data)
	}
	b.settle()
	b.none(retrains)
}

func (b *testBundle) studyGoesOn(map[string][]byte) {
	b.finish("trained", "s", nil)
	b.command("trained", stateStudy, "s", "random", `"max_trials":1`)
	if m, _ := b.next(b.subscribe("retune.dead.>")); !strings.Contains(m.Header.Get("Retune-Error"), "name") {
		b.t.Errorf("%v", m.Header)
	}
}

// slowStudyGoesOn: the earlier results that a study started with are still at hand.
func (b *testBundle) slowStudyGoesOn(state map[string][]byte) {
	if state[wire.StudyKey(0, "thinker")] == nil {
		b.t.Skip("such workers had none")
	}
	if prior, err := decodePrior(state[wire.PriorKey(0, "thinker", "slow")]); err != nil || len(prior) != 1 || prior[0].Value != 0.9 {
		b.t.Errorf("earlier results: %+v, %v", prior, err)
	}
	b.finish("thinker", "slow", func() {
		var r struct {
			Schema int `msgpack:"v"`
		}
		if b.read(wire.StudyKey(0, "thinker"), &r); r.Schema != schemaSlow {
			b.t.Errorf("the running study is written as version %d, wanted %d", r.Schema, schemaSlow)
		}
	})
}

// finish evaluates what is left of a study of four trials, of which one has ended.
func (b *testBundle) finish(model, study string, midway func()) {
	b.t.Helper()
	configs, summaries := b.subscribe("retune.config."+model+".>"), b.subscribe("retune.summary.>")
	report := func(trial int, loss float64) {
		b.report(model, `{"study":%q,"trial":%d,"metrics":{"loss":%g}}`, study, trial, loss)
	}
	report(1, 0.4)
	if m, c := b.next(configs); c["trial"] != 3.0 {
		b.t.Errorf("%s: wanted trial 3", m.Data)
	}
	if midway != nil {
		midway()
	}
	report(2, 0.6)
	report(3, 0.8)
	m, s := b.next(summaries)
	counts, best := fmt.Sprint(s["counts"]), fmt.Sprint(s["best_trial"])
	if counts != "map[complete:4]" || s["reason"] != "max_trials" || !strings.Contains(best, "trial:1") {
		b.t.Errorf("%s", m.Data)
	}
}

// knownStays: names that were used, models that are known, models that were forgotten.
func (b *testBundle) knownStays(map[string][]byte) {
	configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
	known := b.offset().Models
	b.command("trained", stateStudy, "old", "random", `"max_trials":1`) // the same again: nothing
	b.report("trained", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
	b.settle()
	b.none(configs)
	b.none(dead)
	b.report("gone", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	if m, c := b.next(configs); c["number"] != 0.0 {
		b.t.Errorf("%s: wanted a fresh start", m.Data)
	}
	b.settle()
	if n := b.offset().Models; n != known+1 {
		b.t.Errorf("%d models are known, wanted %d", n, known+1)
	}
}

// tunerGoesOn: what a live tuner has learnt is not lost.
func (b *testBundle) tunerGoesOn(state map[string][]byte) {
	body := state[wire.ModelKey(0, "learner")]
	if body == nil {
		b.t.Skip("such workers had none that learns")
	}
	var before record
	if err := wire.UnmarshalState(body, &before); err != nil {
		b.t.Fatal(err)
	}
	configs := b.subscribe("retune.config.>")
	b.report("learner", `{"metrics":{"loss":9},"config":{"lr":0.5}}`)
	if m, c := b.next(configs); c["number"] != float64(before.Number) {
		b.t.Errorf("%s: wanted number %d", m.Data, before.Number)
	}
	b.settle()
	after := b.model("learner")
	if before.Memory == nil || after.Memory == nil || fmt.Sprint(before.Memory.Best) != fmt.Sprint(after.Memory.Best) || before.Memory.Repeats == 0 || after.Memory.Repeats < before.Memory.Repeats {
		b.t.Errorf("before %s, after %s", must(json.Marshal(before.Memory)), must(json.Marshal(after.Memory)))
	}
}

// TestNewerState gives each kind of key a version of the future: the worker says so and
// ends, before it has written anything.
func TestNewerState(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		wire.ModelKey(0, "m"), wire.OffsetKey(0), wire.StudyKey(0, "m"), wire.TrialKey(0, "m", "s", 0),
		wire.FinishedKey(0, "m", "old"), wire.PriorKey(0, "m", "s"),
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			configs, summaries, dead := b.subscribe("retune.config.>"), b.subscribe("retune.summary.>"), b.subscribe("retune.dead.>")
			w := b.worker()
			b.command("m", startStudy, "old", `"max_trials":1`)
			b.next(configs)
			b.report("m", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
			b.next(summaries)
			b.command("m", startStudy, "s", `"max_trials":2,"warm_start":["old"]`)
			b.next(configs)
			b.settle()
			w.stop()
			must(b.kv().Put(t.Context(), key, must(wire.MarshalState(map[string]any{"v": newestSchema + 1}))))
			before := b.everything()
			w = b.worker()
			if key != wire.FinishedKey(0, "m", "old") { // which is read with the first report that names it
				b.report("m", `{"study":"s","trial":0,"metrics":{"loss":1}}`)
			}
			b.report("m", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
			if err := w.fatal(); !errors.Is(err, errNewerSchema) || !strings.Contains(err.Error(), "upgrade") {
				t.Errorf("stopped with: %v", err)
			}
			b.none(dead)
			if after := b.everything(); after != before {
				t.Errorf("the bucket was at %d, and is at %d", before, after)
			}
		})
	}
}

// everything is the last sequence of the bucket: it moves with whatever is written.
func (b *testBundle) everything() uint64 {
	b.t.Helper()
	return must(b.js.Stream(b.t.Context(), b.set.Subjects.BucketStream())).CachedInfo().State.LastSeq
}
