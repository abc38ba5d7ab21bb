package strategy

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// playStudy runs a study of n trials, parallel at once, in the order they were proposed. It returns the
// history, values as f gave them.
func playStudy(t testing.TB, s Strategy, r Request, n, parallel int, f func(map[string]any) float64) []Trial {
	t.Helper()
	finish := func(i int) {
		trial := &r.History[i]
		trial.State, trial.Value = Complete, f(trial.Config)
	}
	for i := range n {
		r.Number, r.Index = i, i
		r.History = append(r.History, Trial{Number: i, Config: suggest(t, s, r)})
		if i >= parallel-1 {
			finish(i - parallel + 1)
		}
	}
	for i := max(n-parallel+1, 0); i < n; i++ {
		finish(i)
	}
	return r.History
}

func smallest(history []Trial) float64 {
	return slices.MinFunc(history, func(a, b Trial) int { return int(math.Copysign(1, a.Value-b.Value)) }).Value
}

// mixedSpace has an axis of every kind; mixedLoss is 0 at its best.
func mixedSpace(t testing.TB) *Space {
	return mustParse(t, tree{
		"depth":    tree{"type": "int", "low": 1, "high": 12},
		"dropout":  tree{"type": "float", "low": 0, "high": 0.9, "step": 0.1},
		"layers":   tree{"values": []any{1, 2, 4, 8}},
		"model":    tree{"type": "categorical", "choices": []any{"a", "b", "c", "d"}},
		"momentum": tree{"type": "float", "low": 0, "high": 1, "when": tree{"model": []any{"b", "c"}}},
		"rate":     tree{"type": "float", "low": 1e-6, "high": 1, "log": true},
		"units":    tree{"type": "int", "low": 1, "high": 4096, "log": true},
	})
}

func mixedLoss(config map[string]any) float64 {
	off := func(name string, ideal, unit float64) float64 {
		x, _ := number(config[name])
		return math.Pow((x-ideal)/unit, 2)
	}
	log := func(name string, ideal float64) float64 {
		x, _ := number(config[name])
		return math.Pow(math.Log10(x/ideal), 2)
	}
	loss := off("depth", 7, 6) + off("dropout", 0.3, 0.5) + off("layers", 4, 4) + log("rate", 1e-3) + log("units", 100)
	if config["model"] != "b" {
		return loss + 0.3
	}
	return loss + off("momentum", 0.9, 0.5)
}

func TestTPEBeatsRandom(t *testing.T) {
	t.Parallel()
	space := mixedSpace(t)
	for parallel, gain := range map[int]float64{1: 0.7, 8: 0.4} {
		logs := map[string]float64{}
		for _, name := range []string{"random", "tpe"} {
			for seed := range uint64(5) {
				s := mustNew(t, name, nil, space)
				history := playStudy(t, s, Request{Seed: seed}, 100, parallel, mixedLoss)
				logs[name] += math.Log10(smallest(history)+1e-4) / 5
			}
		}
		if logs["tpe"] > logs["random"]-gain {
			t.Errorf("%d at once: the loss is 10^%.2f, of random search 10^%.2f", parallel, logs["tpe"], logs["random"])
		}
	}
}

// To maximise is to minimise the opposite.
func TestTPEGoal(t *testing.T) {
	t.Parallel()
	space := mixedSpace(t)
	low := playStudy(t, mustNew(t, "tpe", nil, space), Request{Seed: 1}, 40, 1, mixedLoss)
	high := playStudy(t, mustNew(t, "tpe", nil, space), Request{Seed: 1, Goal: Maximize}, 40, 1, func(c map[string]any) float64 { return -mixedLoss(c) })
	for i := range low {
		if !reflect.DeepEqual(low[i].Config, high[i].Config) {
			t.Fatalf("trial %d: %v and %v", i, low[i].Config, high[i].Config)
		}
	}
}

// What a strategy object remembers may save time only.
func TestTPEWithoutMemoryIsTheSame(t *testing.T) {
	t.Parallel()
	space := mixedSpace(t)
	old := mustNew(t, "tpe", nil, space)
	history := playStudy(t, old, Request{Seed: 3}, 40, 4, mixedLoss)
	for _, n := range []int{12, 39, 25, 0, 30} { // not in order either
		r := Request{Seed: 3, Number: n, Index: n, History: slices.Clone(history[:n])}
		if got, want := suggest(t, old, r), suggest(t, mustNew(t, "tpe", nil, space), r); !reflect.DeepEqual(got, want) {
			t.Fatalf("trial %d: %v, without memory %v", n, got, want)
		}
		slices.Reverse(history[:n])
	}
}

func TestTPEExhaustsFiniteSpaces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		space, err := ParseSpace(tree{
			"a": tree{"type": "categorical", "choices": []any{"x", "y", "z"}},
			"b": tree{"type": "int", "low": 1, "high": 4, "log": true},
			"c": tree{"values": []any{1, 5}, "when": tree{"a": []any{"x", "z"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s, _ := newTPE(nil, space)
		r := Request{Seed: rapid.Uint64().Draw(t, "seed")}
		proposed := map[string]bool{}
		for range 20 {
			config, err := s.Suggest(r)
			if err != nil || space.Check(config) != nil || proposed[fmt.Sprint(config)] {
				t.Fatalf("%v after %v: %v", config, proposed, err)
			}
			proposed[fmt.Sprint(config)] = true
			state := rapid.SampledFrom([]TrialState{Pending, Complete, Failed, Pruned}).Draw(t, "state")
			r.History = append(r.History, Trial{Number: r.Number, Config: config, State: state, Value: rapid.Float64().Draw(t, "value")})
			r.Number, r.Index = r.Number+1, r.Index+1
		}
		if _, err := s.Suggest(r); !errors.Is(err, ErrExhausted) {
			t.Fatalf("all 20 were proposed: %v", err)
		}
	})
}

// Values and configs that make sums overflow, widths vanish or models empty.
func TestTPEExtremes(t *testing.T) {
	t.Parallel()
	spaces := []tree{
		{"x": tree{"type": "float", "low": 2, "high": 2}},
		{"x": tree{"type": "categorical", "choices": []any{"only"}}, "y": tree{"type": "float", "low": 0, "high": 1}},
		{"x": tree{"type": "float", "low": 5e-324, "high": 1.7e308, "log": true}, "y": tree{"type": "int", "low": math.MinInt64, "high": math.MaxInt64}},
		{"x": tree{"type": "float", "low": 1, "high": 1.0000000000000002}, "y": tree{"type": "int", "low": 1, "high": 1000000000000, "log": true}},
		{"x": tree{"type": "float", "low": -8e307, "high": 8e307}, "y": tree{"type": "float", "low": 0, "high": 1e-300, "step": 1e-301}},
	}
	values := []func(i int) float64{
		func(int) float64 { return 1 },
		func(int) float64 { return math.NaN() },
		func(i int) float64 { return math.Copysign(1e300, float64(i%2)-0.5) },
		func(i int) float64 { return []float64{math.Inf(1), math.Inf(-1), math.NaN(), 0}[i%4] },
		func(i int) float64 { return float64(-i) },
	}
	for _, description := range spaces {
		space := mustParse(t, description)
		for _, value := range values {
			for _, state := range []TrialState{Complete, Failed, Pruned, Pending} {
				checkExtreme(t, space, value, state)
			}
		}
	}
}

func checkExtreme(t *testing.T, space *Space, value func(int) float64, state TrialState) {
	s := mustNew(t, "tpe", tree{"startup": 2}, space)
	r := Request{Seed: 5}
	for i := range 24 {
		r.Number, r.Index = i, i
		config, err := s.Suggest(r)
		if errors.Is(err, ErrExhausted) {
			return
		}
		if err == nil {
			err = space.Check(config)
		}
		if err != nil {
			t.Fatalf("%v: %v", config, err)
		}
		r.History = append(r.History, Trial{Number: i, Config: config, State: state, Value: value(i)})
	}
}

func TestTPELearnsFromPendingFailedAndPruned(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})
	g := &mustNew(t, "tpe", nil, space).(*tpe).groups[0]
	point := func(x, value float64, state TrialState, step int64) tpePoint {
		return tpePoint{x: []float64{x}, value: value, state: state, step: step}
	}
	points := []tpePoint{
		point(0.1, math.NaN(), Pending, 0), point(0.2, math.NaN(), Failed, 0),
		point(0.3, 0, Pruned, 5), point(0.4, 9, Pruned, 7), point(0.5, math.NaN(), Pruned, 7),
	}
	for i := range 6 {
		points = append(points, point(0.6+0.01*float64(i), float64(i), Complete, 0))
	}
	good, bad := g.split(points)
	if len(good.x) != 1 || good.x[0][0] != 0.6 || len(bad.x) != 10 {
		t.Fatalf("good are %v, bad %v", good.x, bad.x)
	}
	slices.SortFunc(points, better)
	var order []float64
	for _, p := range points {
		if p.finished() {
			order = append(order, p.x[0])
		}
	}
	if want := []float64{0.6, 0.61, 0.62, 0.63, 0.64, 0.65, 0.4, 0.5, 0.3}; !reflect.DeepEqual(order, want) {
		t.Fatalf("the order is %v, want %v", order, want)
	}
}

// A parallel study must not propose the same place again and again.
func TestTPESpreadsPending(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})
	s := mustNew(t, "tpe", nil, space)
	r := Request{Seed: 1}
	r.History = playStudy(t, s, r, 20, 1, func(c map[string]any) float64 { return math.Abs(c["x"].(float64) - 0.4) })
	for i := 20; i < 40; i++ {
		r.Number, r.Index = i, i
		r.History = append(r.History, Trial{Number: i, Config: suggest(t, s, r)})
	}
	low, high := 1.0, 0.0
	for _, trial := range r.History[20:] {
		x := trial.Config["x"].(float64)
		low, high = min(low, x), max(high, x)
	}
	if high-low < 0.1 {
		t.Fatalf("20 pending trials lie between %.3f and %.3f", low, high)
	}
}

func TestTPEStartsFromPriors(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"rate":  tree{"type": "float", "low": 1e-6, "high": 1, "log": true},
		"width": tree{"type": "int", "low": 1, "high": 64},
	})
	loss := func(c map[string]any) float64 {
		return math.Abs(math.Log10(c["rate"].(float64)/1e-4)) + math.Abs(float64(c["width"].(int64))-20)/20
	}
	var prior []Trial
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 60 { // of another scale, best first
		c := space.Sample(random)
		c["foreign"] = "x"
		prior = append(prior, Trial{Number: i, Config: c, State: Complete, Value: 1000 + 50*loss(c)})
	}
	prior = append(prior, Trial{Config: tree{"rate": 1e-4, "width": 1000}, State: Complete, Value: 900})
	slices.SortFunc(prior, func(a, b Trial) int { return int(math.Copysign(1, a.Value-b.Value)) })
	with, without := 0.0, 0.0
	for seed := range uint64(5) {
		history := playStudy(t, mustNew(t, "tpe", nil, space), Request{Seed: seed, Prior: prior}, 12, 1, loss)
		if seed == 0 && (history[0].Config["rate"] != 1e-4 && math.Abs(history[0].Config["rate"].(float64)-1e-4) > 1e-12 || history[0].Config["width"] != int64(64)) {
			t.Errorf("%v is not the best config of before, moved into the space", history[0].Config)
		}
		with += smallest(history)
		without += smallest(playStudy(t, mustNew(t, "tpe", nil, space), Request{Seed: seed}, 12, 1, loss))
	}
	if with > 0.7*without {
		t.Fatalf("after 12 trials %.3f with priors, %.3f without", with/5, without/5)
	}
}

func TestTPEOptions(t *testing.T) {
	t.Parallel()
	space := mixedSpace(t)
	for _, c := range []struct {
		options tree
		want    string
	}{
		{tree{"startup": 0}, "options.startup: 0 is no number of trials: give an integer from 1 to 1000000"},
		{tree{"startup": 2.5}, "options.startup: 2.5 is no number of trials: give an integer from 1 to 1000000"},
		{tree{"startup": "x"}, `options.startup: "x" is not a finite number: give one such as 10`},
		{tree{"gamma": 1}, "options.gamma: is not an option of the strategy: use startup"},
	} {
		_, err := New("tpe", c.options, space)
		if got := message(t, err); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
