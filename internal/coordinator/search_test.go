package coordinator

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// TestPrunedTrial: a trial that does worse than the others gets its stop, and
// another takes its place in the same commit.
func TestPrunedTrial(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	b.worker()
	b.command("m", startStudy, "s", `"max_trials":4,"seed":1,"pruner":{"type":"median","options":{"n_startup_trials":1}}`)
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"s","trial":0,"step":1,"metrics":{"loss":1}}`)
	b.report("m", `{"study":"s","trial":0,"metrics":{"loss":0.5}}`)
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"s","trial":1,"step":1,"metrics":{"loss":2}}`)
	b.expect(all, map[string]int{"config": 1, "stop pruned": 1})
	b.report("m", `{"study":"s","trial":1,"metrics":{"loss":0.1}}`) // too late
	b.command("m", `{"op":"stop","name":"s"}`)
	end := b.expect(all, map[string]int{"stop study_ended": 1, "summary": 1, "retrain": 1})
	for _, m := range end {
		if m.Subject == "retune.summary.m.s" {
			want := map[string]any{"complete": 1.0, "pruned": 1.0, "stopped": 1.0}
			if got := decode(t, m)["counts"]; !reflect.DeepEqual(got, want) {
				t.Errorf("counts %v, want %v", got, want)
			}
		}
	}
}

// TestWarmStart: what a study of another model found informs this one, also after
// the worker that started it has gone.
func TestWarmStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.set.Partitions = 1
	all, dead := b.subscribe("retune.*.*.>"), b.subscribe("retune.dead.>")
	w := b.worker()
	b.command("first", startStudy, "old", `"max_trials":2,"seed":1`)
	b.next(all)
	b.report("first", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
	b.next(all)
	b.report("first", `{"study":"old","trial":1,"metrics":{"loss":0.5}}`)
	b.command("second", startStudy, "new", `"max_trials":5,"seed":1,"warm_start":["first/old"]`)
	b.expect(all, map[string]int{"summary": 1, "retrain": 1, "config": 1})
	w.stop()
	keys := b.keys("$KV.retune.prior.0.second.new")
	if len(keys) != 1 {
		t.Fatalf("keys %v", keys)
	}
	b.worker()
	b.report("second", `{"study":"new","trial":0,"metrics":{"loss":1}}`)
	b.expect(all, map[string]int{"config": 1})
	b.command("second", `{"op":"stop","name":"new"}`)
	b.expect(all, map[string]int{"stop study_ended": 1, "summary": 1, "retrain": 1})
	b.command("first", `{"op":"forget"}`)
	b.command("second", startStudy, "new", `"max_trials":5,"seed":1,"warm_start":["first/old"]`) // again: does nothing
	b.settle()
	b.none(dead)
	if e, err := b.kv().Get(t.Context(), wire.PriorKey(0, "second", "new")); err == nil {
		t.Errorf("the results that an ended study started with are still there: %d bytes", len(e.Value()))
	}
	b.command("third", `{"op":"start","study":{"name":"x","objective":{"metric":"loss","goal":"maximize"},"max_trials":3,"warm_start":["second/new"],"space":{"x":{"values":[1,2]}}}}`)
	if m, _ := b.next(dead); m.Header.Get("Retune-Error") != "study.warm_start[0]: study new of model second has another objective (minimize loss): name studies that maximize loss" {
		t.Errorf("dead letter: %s", m.Header.Get("Retune-Error"))
	}
}

// TestStudyOnRetrain: a retrain event starts a study whose first trial is the
// config in force, and no second one while it runs.
func TestStudyOnRetrain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Policies[0].Tuner = nil
	b.config.Policies[0].Study = must(wire.DecodeTree([]byte(`{"objective":{"metric":"loss","goal":"minimize"},"strategy":"random",
		"space":{"lr":{"type":"float","low":0,"high":1}},"max_trials":3,"parallelism":2,"enqueue":[{"lr":0.5}]}`), "")).(map[string]any)
	all := b.subscribe("retune.*.m.>")
	b.worker()
	for _, loss := range []int{1, 1, 1, 1, 9} {
		b.report("m", `{"config":{"lr":7.5,"note":"x"},"metrics":{"loss":%d}}`, loss)
	}
	got := map[string]any{}
	var name string
	for _, m := range b.expect(all, map[string]int{"retrain": 1, "config": 2}) {
		message := decode(t, m)
		if message["trial"] != nil {
			name = message["study"].(string)
			got[fmt.Sprint(message["trial"])] = message["config"]
		} else {
			defer func(id any) {
				if name != fmt.Sprintf("retrain-%s", id) {
					t.Errorf("study %s, event %s", name, id)
				}
			}(message["id"])
		}
	}
	want := map[string]any{"0": map[string]any{"lr": 1.0}, "1": map[string]any{"lr": 0.5}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("first trials %v, want %v", got, want)
	}
	b.report("m", `{"config":{"lr":7.5},"metrics":{"loss":1}}`)
	b.report("m", `{"config":{"lr":7.5},"metrics":{"loss":99}}`)
	b.expect(all, map[string]int{"retrain": 1})
}

// TestTunerThatLearns: what it knows of a model survives the worker.
func TestTunerThatLearns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Policies[0] = Policy{Match: "*", Tuner: &Tuner{Name: "local", Strategy: must(strategy.New("local", nil, nil))}, Monitor: unmatched.Monitor}
	sub := b.subscribe("retune.config.m.live")
	w := b.worker()
	config, first, last := map[string]any{"lr": 1.0, "kind": "a"}, 0.0, 0.0
	for i := range 120 {
		if i%40 == 39 {
			w.stop()
			w = b.worker()
		}
		lr := config["lr"].(float64)
		last = math.Abs(math.Log10(lr / 0.1))
		if i == 0 {
			first = last
		}
		b.report("m", "%s", must(json.Marshal(map[string]any{"config": config, "metrics": map[string]float64{"loss": last}})))
		_, answer := b.next(sub)
		config = answer["config"].(map[string]any)
		if config["kind"] != "a" || config["lr"].(float64) <= 0 {
			t.Fatalf("config %v", config)
		}
	}
	best := b.model("m").Memory
	t.Logf("loss %.3f, after 120 reports %.3f, memory %+v", first, last, best)
	if best.Value > first/4 {
		t.Errorf("the best loss is %.3f, the first was %.3f", best.Value, first)
	}
}

// TestSlowStrategyAcrossWorkers: the same results in the same order give the same
// suggestions, whichever workers compute them, and each is published once.
func TestSlowStrategyAcrossWorkers(t *testing.T) {
	t.Parallel()
	undisturbed, _ := slowStudy(t, func(_ *testBundle, w *running, _ int) *running { return w })
	disturbed, messages := slowStudy(t, func(b *testBundle, w *running, trial int) *running {
		switch trial % 6 {
		case 2:
			w.stop()
			return b.worker()
		case 5:
			w.crash()
			return b.worker()
		}
		return w
	})
	if !reflect.DeepEqual(undisturbed, disturbed) {
		t.Errorf("undisturbed\n%v\nwith restarts\n%v", undisturbed, disturbed)
	}
	ids := map[string]bool{}
	for _, m := range messages {
		if ids[m.Header.Get("ce-id")] {
			t.Errorf("%s: the id %s is used twice", m.Subject, m.Header.Get("ce-id"))
		}
		ids[m.Header.Get("ce-id")] = true
		if c := decode(t, m); c["sequence"] == nil || c["strategy"] != "gp" {
			t.Errorf("%s", m.Data)
		}
	}
}

// slowStudy runs a study of 24 trials, three at once, whose results come in order;
// disturb is called after each of them, while the strategy thinks.
func slowStudy(t *testing.T, disturb func(*testBundle, *running, int) *running) (configs map[string]any, messages []*nats.Msg) {
	t.Helper()
	b := setup(t)
	sub, summaries := b.subscribe("retune.config.m.>"), b.subscribe("retune.summary.m.s")
	w := b.worker()
	b.command("m", `{"op":"start","study":{"name":"s","objective":{"metric":"loss","goal":"minimize"},"strategy":"gp","seed":3,"max_trials":24,"parallelism":3,
		"space":{"x":{"type":"float","low":0,"high":1},"n":{"type":"int","low":1,"high":9}},"enqueue":[{"x":0.25},{"n":4}]}}`)
	configs = map[string]any{}
	results := map[int]float64{}
	for done := 0; done < 24; {
		for results[done] == 0 {
			m, c := b.next(sub)
			messages = append(messages, m)
			config := c["config"].(map[string]any)
			configs[m.Subject] = config
			results[int(c["trial"].(float64))] = 1 + math.Pow(config["x"].(float64)-0.3, 2) + config["n"].(float64)/10
		}
		b.report("m", `{"study":"s","trial":%d,"metrics":{"loss":%v}}`, done, results[done])
		w = disturb(b, w, done)
		done++
	}
	b.next(summaries)
	if len(messages) != 24 || len(configs) != 24 {
		t.Errorf("%d messages, %d configs", len(messages), len(configs))
	}
	b.none(sub)
	return configs, messages
}

// TestStudyOnRetrainThatCannotStart: the event is not lost with it.
func TestStudyOnRetrainThatCannotStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Policies[0].Study = map[string]any{"objective": map[string]any{"metric": "loss", "goal": "minimize"}, "max_trials": int64(3),
		"strategy": "magic", "space": map[string]any{"lr": map[string]any{"values": []any{1.0, 2.0}}}}
	all := b.subscribe("retune.*.m.>")
	b.worker()
	for _, loss := range []int{1, 1, 1, 1, 9} {
		b.report("m", `{"config":{"lr":1},"metrics":{"loss":%d}}`, loss)
	}
	b.expect(all, map[string]int{"config": 5, "retrain": 1})
}

// TestAnswerToAnotherStudy: a study of the same name may have come after a forget.
func TestAnswerToAnotherStudy(t *testing.T) {
	t.Parallel()
	config := testConfig()
	begun := func(sequence uint64) *model {
		m := newModel("m", config.policy("m"))
		s := &step{cause: cause{model: "m", sequence: sequence, now: time.Unix(1e9, 0)}, config: &config, names: wire.Subjects{Prefix: "retune"}, room: 1 << 20}
		c := must(wire.DecodeCommand([]byte(`{"op":"start","study":{"name":"s","objective":{"metric":"loss","goal":"minimize"},"strategy":"gp","max_trials":3,"space":{"x":{"type":"float","low":0,"high":1}}}}`), ""))
		if err := s.command(m, &c); err != nil {
			t.Fatal(err)
		}
		return m
	}
	question, _ := begun(1).study.Question()
	m := begun(2)
	s := &step{cause: cause{model: "m", now: time.Unix(1e9, 0)}, config: &config, names: wire.Subjects{Prefix: "retune"}, room: 1 << 20}
	s.answered(m, answered{model: "m", study: "s", started: 1, answer: question.Answer()})
	if len(s.outputs) > 0 || s.changed {
		t.Errorf("%d outputs, changed %v", len(s.outputs), s.changed)
	}
	s.answered(m, answered{model: "m", study: "s", started: 2, answer: question.Answer()})
	if len(s.outputs) != 1 || !s.changed {
		t.Errorf("%d outputs, changed %v", len(s.outputs), s.changed)
	}
}

func decode(t *testing.T, m *nats.Msg) (body map[string]any) {
	t.Helper()
	if err := json.Unmarshal(m.Data, &body); err != nil {
		t.Fatal(err)
	}
	return body
}
