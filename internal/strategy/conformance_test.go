package strategy

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestConformance holds every registered strategy to the contract of Strategy.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("options", func(t *testing.T) { t.Parallel(); testOptions(t, name) })
			t.Run("suggestions", func(t *testing.T) { t.Parallel(); rapid.Check(t, func(t *rapid.T) { testSuggestions(t, name) }) })
			t.Run("concurrent", func(t *testing.T) { t.Parallel(); testConcurrent(t, name) })
		})
	}
}

func testOptions(t *testing.T, name string) {
	space := mustParse(t, tree{"x": tree{"values": []any{1, 2}}})
	mustNew(t, name, nil, space)
	s, err := New(name, tree{"no such option": 1}, space)
	if s != nil {
		t.Fatal("a strategy beside the error")
	}
	if got := message(t, err); !strings.HasPrefix(got, "options.no such option: ") {
		t.Fatalf("an unknown option: %q", got)
	}
}

// testSuggestions plays a study: each suggestion is in the space, repeats, and leaves the request as it was.
func testSuggestions(t *rapid.T, name string) {
	description, _ := drawSpace(t, name == "grid" || rapid.Bool().Draw(t, "discrete only"))
	space, err := ParseSpace(description)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(name, nil, space)
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Seed: rapid.Uint64().Draw(t, "seed"), Goal: Goal(rapid.IntRange(0, 1).Draw(t, "goal"))}
	for range rapid.IntRange(1, 12).Draw(t, "trials") {
		config, err := s.Suggest(r)
		again, errAgain := s.Suggest(r)
		if !reflect.DeepEqual(config, again) || !errors.Is(errAgain, err) {
			t.Fatalf("not deterministic: %v, %v then %v, %v", config, err, again, errAgain)
		}
		if _, finite := space.Size(); finite && !repeats[name] {
			checkFresh(t, space, r.History, config)
		}
		if errors.Is(err, ErrExhausted) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := space.Check(config); err != nil {
			t.Fatalf("%v: %v", config, err)
		}
		checkTypes(t, config)
		r = nextRequest(t, r, config)
	}
}

func nextRequest(t *rapid.T, r Request, config map[string]any) Request {
	state := rapid.SampledFrom([]TrialState{Pending, Complete, Failed, Pruned}).Draw(t, "state")
	trial := Trial{Number: r.Number, Config: config, State: state}
	if state == Complete {
		trial.Value = rapid.OneOf(rapid.Float64Range(-10, 10), rapid.SampledFrom(oddValues)).Draw(t, "value")
		r.Base = config
	}
	r.History = append(r.History, trial)
	r.Number++
	r.Index++
	return r
}

// oddValues are equal, huge or not finite: a study may hold them all the same.
var oddValues = []float64{1, 1, 1e300, -1e300, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}

// repeats names the strategies that move from where they are, and may come back.
var repeats = map[string]bool{"explore": true, "step": true, "local": true}

// checkFresh: in a finite space no config comes twice, and the end comes after the last.
func checkFresh(t *rapid.T, space *Space, history []Trial, config map[string]any) {
	for _, trial := range history {
		if reflect.DeepEqual(trial.Config, config) {
			t.Fatalf("%v again, after trial %d", config, trial.Number)
		}
	}
	if n, _ := space.Size(); config == nil && uint64(len(history)) != n {
		t.Fatalf("exhausted after %d of %d configs", len(history), n)
	}
}

func checkTypes(t *rapid.T, config map[string]any) {
	for name, v := range config {
		switch v.(type) {
		case float64, int64, string, bool:
		default:
			t.Fatalf("%s is a %T", name, v)
		}
	}
}

func testConcurrent(t *testing.T, name string) {
	space := mustParse(t, tree{
		"depth": tree{"type": "int", "low": 1, "high": 4, "when": tree{"model": []any{"tree"}}},
		"model": tree{"values": []any{"tree", "line"}},
	})
	s := mustNew(t, name, nil, space)
	base := map[string]any{"depth": int64(2), "model": "tree"}
	want := suggest(t, s, Request{Seed: 3, Number: 1, Index: 1, Base: base})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got, err := s.Suggest(Request{Seed: 3, Number: 1, Index: 1, Base: base})
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
	group.Wait()
	if !reflect.DeepEqual(base, map[string]any{"depth": int64(2), "model": "tree"}) {
		t.Errorf("the base became %v", base)
	}
}
