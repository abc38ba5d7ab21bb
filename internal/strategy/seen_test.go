package strategy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Asking for fresh configs gives each config of a finite space once, then ErrExhausted.
func TestFreshCoversSpace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		description, drawn := drawSpace(t, true)
		space, err := ParseSpace(description)
		if err != nil {
			t.Fatal(err)
		}
		left := map[string]bool{}
		for _, config := range bruteForce(drawn, description) {
			left[fmt.Sprint(config)] = true
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		stubborn := space.Sample(r)
		s := newSeen(space, Request{})
		for range min(len(left), 200) {
			config, err := s.fresh(r, func() map[string]any { return stubborn })
			if key := fmt.Sprint(config); err != nil || !left[key] {
				t.Fatalf("%v (%v) is not new", config, err)
			}
			delete(left, fmt.Sprint(config))
			s.add(config)
			if !s.has(config) || s.exhausted() != (len(left) == 0) {
				t.Fatalf("%d left after %v: has %v, exhausted %v", len(left), config, s.has(config), s.exhausted())
			}
		}
		if _, err := s.fresh(r, func() map[string]any { return stubborn }); len(left) == 0 && !errors.Is(err, ErrExhausted) {
			t.Fatalf("after the last: %v", err)
		}
	})
}

func TestSeenReadsHistory(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"depth": tree{"type": "int", "low": 1, "high": 2, "when": tree{"model": []any{"tree"}}},
		"model": tree{"values": []any{"line", "tree"}},
	})
	history := []Trial{
		{Config: tree{"model": "line", "depth": 1}, State: Complete}, // none of the space's
		{Config: tree{"model": "tree", "depth": 3}, State: Complete},
		{Config: tree{"model": "tree", "depth": 1, "lr": 1}, State: Complete},
		{Config: tree{"model": "tree"}, State: Complete},
		{Config: tree{"model": "tree", "depth": 2.0}, State: Failed},
		{Config: tree{"model": "line"}, State: Pending},
		{Config: tree{"model": "line"}, State: Pruned},
	}
	s := newSeen(space, Request{History: history})
	if !s.has(tree{"model": "tree", "depth": int64(2)}) || !s.has(tree{"model": "line"}) {
		t.Error("a config of the history is missing")
	}
	if s.exhausted() || s.has(tree{"model": "tree", "depth": int64(1)}) {
		t.Error("one config is left")
	}
	s.add(tree{"model": "tree", "depth": int64(1)})
	if !s.exhausted() {
		t.Error("no config is left")
	}
}

func TestFreshInInfiniteSpace(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})
	config := tree{"x": 0.5}
	s := newSeen(space, Request{History: []Trial{{Config: config}}})
	if !s.has(config) || s.exhausted() || s.has(tree{"x": 0.25}) {
		t.Error("a continuous space can be asked too")
	}
	if got, err := s.fresh(Request{}.rand(), func() map[string]any { return config }); err != nil || got["x"] == 0.5 {
		t.Errorf("got %v, %v", got, err)
	}
	one := mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1, "when": tree{"y": []any{2}}}, "y": tree{"type": "categorical", "choices": []any{1, 2}}})
	all := newSeen(one, Request{History: []Trial{{Config: tree{"y": int64(1)}}}})
	for i := range uint64(20) {
		random := rand.New(rand.NewPCG(i, i))
		if got, err := all.fresh(random, func() map[string]any { return tree{"y": int64(1)} }); err != nil || len(got) != 2 {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func BenchmarkSeen(b *testing.B) {
	description := tree{}
	for i := range 10 {
		description[fmt.Sprint("p", i)] = tree{"type": "int", "low": 1, "high": 9}
	}
	space := mustParse(b, description)
	history := make([]Trial, 10_000)
	for i := range history {
		history[i].Config = space.Sample(Request{Number: i}.rand())
	}
	s := mustNew(b, "random", nil, space)
	for b.Loop() {
		suggest(b, s, Request{Number: len(history), History: history})
	}
}
