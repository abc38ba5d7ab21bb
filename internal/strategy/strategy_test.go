package strategy

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func mustNew(t testing.TB, name string, options map[string]any, space *Space) Strategy {
	t.Helper()
	s, err := New(name, options, space)
	if err != nil {
		t.Fatalf("New(%s): %v", name, err)
	}
	return s
}

func suggest(t testing.TB, s Strategy, r Request) map[string]any {
	t.Helper()
	config, err := s.Suggest(r)
	if err != nil {
		t.Fatalf("Suggest(%+v): %v", r, err)
	}
	return config
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	space := example(t)
	for _, c := range []struct {
		name    string
		options tree
		space   *Space
		want    string
	}{
		{"bayes", nil, space, `strategy: "bayes" is not a strategy: give one of ` + strings.Join(Names(), ", ")},
		{"grid", nil, nil, "space: is missing: give one: strategy grid searches it"},
		{"random", nil, nil, "space: is missing: give one: strategy random searches it"},
		{"auto", nil, nil, "space: is missing: give one: strategy auto searches it"},
		{"grid", nil, space, "space.lr: is continuous, a grid needs single values: give it a step, or values"},
		{"explore", tree{"rat": 1}, nil, "options.rat: is not an option of the strategy: use rate, relative"},
		{"explore", tree{"rate": "x"}, nil, `options.rate: "x" is not a finite number: give one such as 0.1`},
		{"explore", tree{"rate": -0.1}, nil, "options.rate: -0.1 is negative: give at least 0"},
		{"explore", tree{"rate": 2, "relative": true}, nil, "options.rate: 2 would change signs: give less than 2, or leave out relative"},
		{"explore", tree{"relative": 1}, nil, "options.relative: 1 is not a bool: give true or false"},
		{"step", tree{"step": math.Inf(1)}, nil, "options.step: +Inf is not a finite number: give one such as 0.05"},
		{"step", tree{"rate": 1}, nil, "options.rate: is not an option of the strategy: use step"},
	} {
		s, err := New(c.name, c.options, c.space)
		if got := message(t, err); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
		if s != nil {
			t.Errorf("%q: a strategy beside the error", c.want)
		}
	}
}

func TestStep(t *testing.T) {
	t.Parallel()
	base := tree{"depth": int64(3), "lr": 0.25, "model": "tree", "on": true, "huge": math.MaxFloat64}
	for _, c := range []struct {
		options tree
		want    tree
	}{
		{nil, tree{"depth": 3.05, "lr": 0.3, "model": "tree", "on": true, "huge": math.MaxFloat64}},
		{tree{"step": -1}, tree{"depth": 2.0, "lr": -0.75, "model": "tree", "on": true, "huge": math.MaxFloat64}},
	} {
		if got := suggest(t, mustNew(t, "step", c.options, nil), Request{Base: base}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
}

func TestWalkWithoutStart(t *testing.T) {
	t.Parallel()
	_, err := mustNew(t, "step", nil, nil).Suggest(Request{})
	if got := message(t, err); !strings.HasPrefix(got, "config: is missing") {
		t.Fatal(got)
	}
	space := example(t)
	r := Request{Seed: 4, Number: 2}
	if got := suggest(t, mustNew(t, "explore", nil, space), r); !reflect.DeepEqual(got, space.Sample(r.rand())) {
		t.Fatalf("got %v, which is not the sample", got)
	}
}

// A live config may hold more, and less, than the space of its tuner.
func TestWalkClampsLiveConfig(t *testing.T) {
	t.Parallel()
	got := suggest(t, mustNew(t, "step", tree{"step": 4}, example(t)), Request{Base: tree{"depth": 3, "lr": 0.01, "other": 1}})
	if want := (tree{"depth": int64(8), "lr": 0.1, "other": 5.0}); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// A base in the space gives a config in the space, also where a number crosses the condition of another.
func TestWalkCrossesCondition(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"layers": tree{"type": "int", "low": 1, "high": 3},
		"width":  tree{"values": []any{8}, "when": tree{"layers": []any{2}}},
	})
	s := mustNew(t, "step", tree{"step": 1}, space)
	first := suggest(t, s, Request{Base: tree{"layers": 1}})
	second := suggest(t, s, Request{Base: first})
	if want := (tree{"layers": int64(2), "width": int64(8)}); !reflect.DeepEqual(first, want) {
		t.Errorf("got %v, want %v", first, want)
	}
	if want := (tree{"layers": int64(3)}); !reflect.DeepEqual(second, want) {
		t.Errorf("got %v, want %v", second, want)
	}
}

func TestExploreNoise(t *testing.T) {
	t.Parallel()
	absolute := mustNew(t, "explore", tree{"rate": 0.2}, nil)
	relative := mustNew(t, "explore", tree{"rate": 0.2, "relative": true}, nil)
	low, high := math.Inf(1), math.Inf(-1)
	for number := range 2000 {
		r := Request{Seed: 9, Number: number, Base: tree{"big": 1000.0, "negative": -2.0, "zero": 0}}
		a, b := suggest(t, absolute, r), suggest(t, relative, r)
		noise := a["big"].(float64) - 1000
		low, high = min(low, noise), max(high, noise)
		// Both draw the same noise, names in sorted order.
		if math.Abs(b["big"].(float64)-1000*(1+noise)) > 1e-9 || b["zero"] != 0.0 || b["negative"].(float64) >= 0 {
			t.Fatalf("absolute %v, relative %v", a, b)
		}
	}
	if low < -0.1 || low > -0.099 || high > 0.1 || high < 0.099 {
		t.Fatalf("noise between %v and %v, want ±0.1", low, high)
	}
}

func TestRandomIgnoresIndex(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "random", nil, example(t))
	a := suggest(t, s, Request{Seed: 1, Number: 5, Index: 5})
	if b := suggest(t, s, Request{Seed: 1, Number: 5, Index: 2}); !reflect.DeepEqual(a, b) {
		t.Fatalf("trial 5 is %v or %v", a, b)
	}
	if c := suggest(t, s, Request{Seed: 2, Number: 5}); reflect.DeepEqual(a, c) {
		t.Fatal("the seed has no effect")
	}
}

// The values are part of the promise that a study repeated with its seed repeats its trials.
func TestRandomIsStable(t *testing.T) {
	t.Parallel()
	got := suggest(t, mustNew(t, "random", nil, mustParse(t, tree{
		"depth": tree{"type": "int", "low": 1, "high": 1000},
		"lr":    tree{"type": "float", "low": 0, "high": 1},
	})), Request{Seed: 42, Number: 7})
	if want := (tree{"depth": int64(719), "lr": 0.45161915482686277}); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, want %#v", got, want)
	}
}

func TestGoal(t *testing.T) {
	t.Parallel()
	for _, g := range []Goal{Minimize, Maximize} {
		if back, err := ParseGoal(g.String()); err != nil || back != g {
			t.Errorf("%v became %v, %v", g, back, err)
		}
		if g.Better(1, 1) || g.Better(math.NaN(), 1) {
			t.Errorf("%v: not strictly better", g)
		}
	}
	if !Minimize.Better(1, 2) || Minimize.Better(2, 1) || !Maximize.Better(2, 1) || Maximize.Better(1, 2) {
		t.Error("wrong direction")
	}
	_, err := ParseGoal("min")
	if got := message(t, err); got != `goal: "min" is not a goal: give minimize or maximize` {
		t.Error(got)
	}
}
