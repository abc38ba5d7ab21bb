package pruner

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
)

// needed are the options without which a kind is not built.
var needed = map[string]map[string]any{
	"percentile": {"percentile": 25.0},
	"patience":   {"patience": int64(3)},
	"threshold":  {"lower": -1.0, "upper": 1.0},
}

func build(t testing.TB, kind string, options map[string]any) Pruner {
	t.Helper()
	p, err := New(kind, options)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// curve reports values at the steps 1, 2, ….
func curve(number int, state strategy.TrialState, values ...float64) Curve {
	c := Curve{Number: number, State: state}
	for i, value := range values {
		c.Points = append(c.Points, Point{int64(i + 1), value})
	}
	return c
}

// sparse reports a value at every so many steps.
func sparse(number int, state strategy.TrialState, every int64, values ...float64) Curve {
	c := curve(number, state, values...)
	for i := range c.Points {
		c.Points[i].Step *= every
	}
	return c
}

// complete are trials with one value each at step 1.
func complete(values ...float64) (all []Curve) {
	for i, value := range values {
		all = append(all, curve(i, strategy.Complete, value))
	}
	return all
}

func request(goal strategy.Goal, trial Curve, others ...Curve) Request {
	return Request{Goal: goal, Trial: trial, Step: trial.Points[len(trial.Points)-1].Step, Others: others}
}

// decide fails the test unless the pruner decides as wanted, with a reason if and only if it prunes.
func decide(t *testing.T, p Pruner, r Request, want bool) (reason string) {
	t.Helper()
	reason, got := p.Prune(r)
	if got != want || (reason != "") != got {
		t.Errorf("%+v at step %d: pruned %v %q, want %v", r.Trial, r.Step, got, reason, want)
	}
	return reason
}

func TestAt(t *testing.T) {
	t.Parallel()
	c := Curve{Points: []Point{{0, 1}, {3, 2}, {3, 3}, {1 << 62, 4}}}
	for _, want := range []struct {
		step  int64
		value float64
		ok    bool
	}{{-1, 0, false}, {0, 1, true}, {2, 1, true}, {3, 3, true}, {4, 3, true}, {1 << 62, 4, true}, {math.MaxInt64, 4, true}} {
		if value, ok := c.At(want.step); value != want.value || ok != want.ok {
			t.Errorf("At(%d) = %v, %v; want %v, %v", want.step, value, ok, want.value, want.ok)
		}
	}
	if _, ok := (Curve{}).At(5); ok {
		t.Error("an empty curve has a value")
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	want := []string{"asha", "hyperband", "median", "none", "patience", "percentile", "threshold"}
	if !slices.Equal(Kinds(), want) {
		t.Errorf("Kinds() = %q, want %q", Kinds(), want)
	}
	for _, kind := range Kinds() {
		if p := build(t, kind, needed[kind]); (p == nil) != (kind == "none") {
			t.Errorf("New(%q) = %v", kind, p)
		}
	}
}

// TestOptions gives each kind every option in the forms in which decoders hand numbers over.
func TestOptions(t *testing.T) {
	t.Parallel()
	for kind, options := range map[string]map[string]any{
		"asha":       {"min_resource": 3.0, "max_resource": int64(81), "reduction_factor": uint64(3), "min_early_stopping_rate": 1},
		"hyperband":  {"min_resource": int64(1), "max_resource": 1, "reduction_factor": 2},
		"median":     {"n_startup_trials": 0, "n_warmup_steps": int64(1) << 62, "interval_steps": 5.0, "n_min_trials": nil},
		"percentile": {"percentile": int64(100), "n_startup_trials": uint64(2)},
		"patience":   {"patience": 3.0, "min_delta": 0.01},
		"threshold":  {"upper": int64(-3), "lower": nil, "n_warmup_steps": 1, "interval_steps": 2},
	} {
		build(t, kind, options)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    string
		options map[string]any
		want    string
	}{
		{"sha", nil, `pruner.type: "sha" is not a pruner: give one of asha, hyperband, median, none, patience, percentile, threshold`},
		{"none", map[string]any{"x": 1}, `pruner.options.x: is not an option of this pruner: leave it out, this pruner has no options`},
		{"median", map[string]any{"warmup": 1}, `pruner.options.warmup: is not an option of this pruner: use n_startup_trials, n_warmup_steps, interval_steps, n_min_trials`},
		{"median", map[string]any{"interval_steps": 0}, `pruner.options.interval_steps: 0 is not a whole number ≥ 1: give one, or leave it out for 1`},
		{"median", map[string]any{"n_startup_trials": 2.5}, `pruner.options.n_startup_trials: 2.5 is not a whole number ≥ 0: give one, or leave it out for 5`},
		{"median", map[string]any{"n_min_trials": uint64(1) << 63}, `pruner.options.n_min_trials: 9223372036854775808 is not a whole number`},
		{"percentile", nil, `pruner.options.percentile: is missing: give the share of trials to keep, 25 keeps the best quarter`},
		{"percentile", map[string]any{"percentile": 101}, `pruner.options.percentile: 101 is not a number from 0 to 100: give one`},
		{"percentile", map[string]any{"percentile": nan}, `pruner.options.percentile: NaN is not a number from 0 to 100: give one`},
		{"asha", map[string]any{"min_resource": "car"}, `pruner.options.min_resource: "car" is not a step ≥ 1 or "auto": give one of these`},
		{"asha", map[string]any{"min_resource": 0}, `pruner.options.min_resource: 0 is not a step ≥ 1 or "auto": give one of these`},
		{"asha", map[string]any{"reduction_factor": 1}, `pruner.options.reduction_factor: 1 is not a whole number ≥ 2: give one, or leave it out for 4`},
		{"asha", map[string]any{"bootstrap_count": 3}, `pruner.options.bootstrap_count: is not an option of this pruner: use min_resource, max_resource, reduction_factor, min_early_stopping_rate`},
		{"asha", map[string]any{"min_resource": 9, "max_resource": 8}, `pruner.options.max_resource: 8 is not at least min_resource: give the last step of a trial`},
		{"hyperband", map[string]any{"min_resource": "auto"}, `pruner.options.min_resource: "auto" is not a whole number ≥ 1: give one, or leave it out for 1`},
		{"patience", nil, `pruner.options.patience: is missing: give the number of reports within which a trial has to improve`},
		{"patience", map[string]any{"patience": 501}, `pruner.options.patience: 501 is not at most 500: report less often, or wait for fewer reports`},
		{"patience", map[string]any{"patience": 2, "min_delta": -1}, `pruner.options.min_delta: -1 is not a number ≥ 0: give one`},
		{"threshold", nil, `pruner.options.lower: is missing: give lower, upper or both`},
		{"threshold", map[string]any{"upper": []any{}}, `pruner.options.upper: a list is not a number: give one`},
		{"threshold", map[string]any{"upper": 1, "lower": 2}, `pruner.options.lower: 2 is not at most upper, 1: exchange them`},
	} {
		p, err := New(c.kind, c.options)
		if err == nil || p != nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("New(%q, %v) = %v, %v; want %s", c.kind, c.options, p, err, c.want)
		}
	}
}

// TestLongMistake: what a stranger sent appears in an error, cut.
func TestLongMistake(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 1000)
	for _, options := range []map[string]any{{long: 1}, {"min_resource": long}, {"min_resource": map[string]any{long: 1}}} {
		if _, err := New("asha", options); err == nil || len(err.Error()) > 300 {
			t.Errorf("New(asha, %q) = %v", slices.Collect(maps.Keys(options)), err)
		}
	}
	if _, err := New(long, nil); err == nil || len(err.Error()) > 300 {
		t.Error(err)
	}
}
