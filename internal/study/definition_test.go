package study

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visutility/retune/internal/strategy"
)

func TestParseDefaults(t *testing.T) {
	t.Parallel()
	d, err := Parse(definition(tree{"strategy": nil, "pruner": nil, "warm_start": []any{}, "color": "blue"}))
	if err != nil {
		t.Fatal(err)
	}
	if d.Strategy != "auto" || d.Parallelism != 1 || d.Retries != 0 || d.MaxTrials != 100 || d.MaxDuration != 0 ||
		d.TrialTimeout != 0 || d.Baseline != nil || d.Seed != nil || d.Name != "" || d.Goal != strategy.Minimize {
		t.Fatalf("definition %+v", d)
	}
}

func TestParseEveryField(t *testing.T) {
	t.Parallel()
	d, err := Parse(tree{
		"name": "s-1", "objective": tree{"metric": "accuracy", "goal": "maximize"},
		"space": tree{"lr": tree{"type": "float", "low": 0.0, "high": 1.0}}, "strategy": "explore",
		"options": tree{"rate": 0.2}, "seed": uint64(9), "parallelism": 256, "max_trials": 3.0,
		"max_duration": "10m", "trial_timeout": "90s", "retries": int64(2), "baseline": int64(1),
		"enqueue": []any{tree{"lr": 0.5}, tree{}}, "pruner": tree{"type": "median"},
		"warm_start": []any{"s-0", "other/s-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "s-1" || d.Metric != "accuracy" || d.Goal != strategy.Maximize || d.Strategy != "explore" ||
		d.Options["rate"] != 0.2 || *d.Seed != 9 || d.Parallelism != 256 || d.MaxTrials != 3 ||
		d.MaxDuration != 10*time.Minute || d.TrialTimeout != 90*time.Second || d.Retries != 2 || *d.Baseline != 1 ||
		d.Pruner == nil || !slices.Equal(d.WarmStart, []Source{{"", "s-0"}, {"other", "s-1"}}) || len(d.Enqueue) != 2 || d.Enqueue[0]["lr"] != 0.5 {
		t.Fatalf("definition %+v", d)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		replaced tree
		want     string // beginning of the error
	}{
		{tree{"objective": nil}, "study.objective.metric: missing"},
		{tree{"objective": "loss"}, `study.objective: "loss" is not valid: give an object`},
		{tree{"objective": tree{"goal": "minimize"}}, "study.objective.metric: missing"},
		{tree{"objective": tree{"metric": "", "goal": "minimize"}}, `study.objective.metric: ""`},
		{tree{"objective": tree{"metric": "loss"}}, "study.objective.goal: missing"},
		{tree{"objective": tree{"metric": "loss", "goal": "min"}}, `study.objective.goal: "min" is not valid: give minimize or maximize`},
		{tree{"name": "a.b"}, `study.name: "a.b"`},
		{tree{"name": strings.Repeat("a", 129)}, `study.name: "aaa`},
		{tree{"space": nil}, "study.space: missing"},
		{tree{"space": tree{"lr": tree{"type": "float", "low": "x", "high": 1.0}}}, "study.space.lr.low: "},
		{tree{"parallelism": int64(0)}, "study.parallelism: 0"},
		{tree{"parallelism": int64(257)}, "study.parallelism: 257"},
		{tree{"parallelism": 1.5}, "study.parallelism: 1.5"},
		{tree{"parallelism": true}, "study.parallelism: true"},
		{tree{"max_trials": nil}, "study.max_trials: missing"},
		{tree{"max_trials": int64(0)}, "study.max_trials: 0"},
		{tree{"max_trials": 1e300}, "study.max_trials: 1e+300"},
		{tree{"max_duration": int64(5)}, "study.max_duration: 5"},
		{tree{"max_duration": "-1s"}, `study.max_duration: "-1s"`},
		{tree{"trial_timeout": "soon"}, `study.trial_timeout: "soon"`},
		{tree{"retries": int64(-1)}, "study.retries: -1"},
		{tree{"seed": int64(-1)}, "study.seed: -1"},
		{tree{"baseline": math.NaN()}, "study.baseline: NaN"},
		{tree{"baseline": "low"}, `study.baseline: "low"`},
		{tree{"options": []any{}}, "study.options: []"},
		{tree{"strategy": int64(3)}, "study.strategy: 3"},
		{tree{"enqueue": tree{}}, "study.enqueue: {}"},
		{tree{"enqueue": []any{tree{}, "x"}}, `study.enqueue[1]: "x"`},
		{tree{"enqueue": []any{tree{"lr": 2.0}}}, "study.enqueue[0]: "},
		{tree{"enqueue": []any{tree{}, tree{}}, "max_trials": int64(1)}, "study.enqueue: 2 configs but max_trials is 1"},
		{tree{"pruner": tree{"type": "magic"}}, "study.pruner.type: "},
		{tree{"pruner": tree{"type": "median", "options": tree{"share": 1}}}, "study.pruner.options.share: "},
		{tree{"pruner": "median"}, "study.pruner: "},
		{tree{"warm_start": []any{"other", "a/b/c"}}, "study.warm_start[1]: "},
		{tree{"warm_start": []any{"a", "b", "c", "d", "e", "f"}}, "study.warm_start: "},
		{tree{"warm_start": "other"}, "study.warm_start: "},
	} {
		d, err := Parse(definition(c.replaced))
		if err == nil || d != nil || !strings.HasPrefix(err.Error(), c.want) || len(err.Error()) > 300 {
			t.Errorf("%v: %v, want %s", c.replaced, err, c.want)
		}
	}
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		replaced tree
		want     string
	}{
		{tree{"strategy": "magic"}, "study.strategy: "},
		{tree{"strategy": "grid"}, "study.space.lr: "},
		{tree{"strategy": "grid", "max_trials": nil}, "study.space.lr: "},
		{tree{"strategy": "step", "options": tree{"stride": 1.0}}, "study.options.stride: "},
	} {
		d, err := Parse(definition(c.replaced))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = New(d, "s", 1, 1, nil, start); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.replaced, err, c.want)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	d, err := Parse(definition(tree{"baseline": 1.0}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		replaced tree
		same     bool
	}{
		{tree{"baseline": int8(1)}, true},
		{tree{"baseline": 1.0, "seed": nil}, true},
		{tree{"baseline": 1.0, "max_trials": uint64(100)}, true},
		{tree{"baseline": 1.5}, false},
		{tree{"baseline": "1"}, false},
		{tree{}, false},
		{tree{"baseline": 1.0, "seed": int64(1)}, false},
		{tree{"baseline": 1.0, "space": tree{}}, false},
		{tree{"baseline": 1.0, "enqueue": []any{}}, false},
	} {
		if d.Same(definition(c.replaced)) != c.same {
			t.Errorf("%v: want %v", c.replaced, c.same)
		}
	}
	if !d.Same(recoded(t, d.Tree)) {
		t.Error("a definition differs from itself once it is stored")
	}
}

// A config that gives a conditional parameter without its condition is
// accepted: what it leaves out is chosen so that the condition holds.
func TestEnqueueMeetsConditions(t *testing.T) {
	t.Parallel()
	space := tree{
		"optimizer": tree{"type": "categorical", "choices": []any{"sgd", "adam", "lamb", "lion"}},
		"momentum":  tree{"type": "float", "low": 0.0, "high": 1.0, "when": tree{"optimizer": []any{"lion"}}},
	}
	for seed := range int64(20) {
		s := newStudy(t, definition(tree{"space": space, "seed": seed, "enqueue": []any{tree{"momentum": 0.5}}}))
		s.Fill(start)
		if got := s.Trial(0).Config; got["optimizer"] != "lion" || got["momentum"] != 0.5 {
			t.Fatalf("seed %d: config %v", seed, got)
		}
	}
}

// TestEnqueuedAlike: what equal configs leave out differs, as long as it can.
func TestEnqueuedAlike(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"auto", "tpe", "cmaes", "sobol", "random", "local"} {
		s := newStudy(t, definition(tree{"strategy": strategy, "space": tree{
			"a": tree{"type": "int", "low": int64(1), "high": int64(3)},
			"b": tree{"type": "int", "low": int64(1), "high": int64(4)},
		}, "max_trials": int64(12), "enqueue": []any{tree{"a": int64(1)}, tree{"a": int64(1)}, tree{"a": int64(1)}, tree{"a": int64(1)}}}))
		s.Fill(start)
		seen := map[[2]any]bool{}
		for n := range 12 {
			for s.Asking() {
				q, _ := s.Question()
				s.Answer(q.Answer(), start)
			}
			config := s.Trial(n).Config
			seen[[2]any{config["a"], config["b"]}] = true
			s.Report(completed(n, float64(n)), start)
		}
		if len(seen) != 12 {
			t.Errorf("%s tried %d of 12 configs in 12 trials", strategy, len(seen))
		}
	}
}

// TestEnqueuedApart: what completes enqueued configs is of another part of the design than the proposals to come.
func TestEnqueuedApart(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"sobol", "gp"} {
		s := newStudy(t, definition(tree{"strategy": strategy, "space": tree{
			"a": tree{"type": "float", "low": 0.0, "high": 1.0}, "b": tree{"type": "float", "low": 0.0, "high": 1.0},
		}, "max_trials": int64(20), "parallelism": int64(8), "enqueue": []any{tree{"a": 0.5}, tree{"a": 0.5}, tree{"a": 0.5}}}))
		s.Fill(start)
		for s.Asking() {
			q, _ := s.Question()
			s.Answer(q.Answer(), start)
		}
		seen := map[any]int{}
		for n := range 8 {
			seen[s.Trial(n).Config["b"]]++
		}
		if len(seen) < 7 { // the first has the point of index 0, as the first proposal has
			t.Errorf("%s: %v", strategy, seen)
		}
	}
}
