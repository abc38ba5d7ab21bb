package strategy

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawRand(t *rapid.T) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
}

func TestSampleIsInSpace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		description, _ := drawSpace(t, false)
		s, err := ParseSpace(description)
		if err != nil {
			t.Fatal(err)
		}
		config := s.Sample(drawRand(t))
		if err := s.Check(config); err != nil {
			t.Fatalf("%v: %v", config, err)
		}
		if clamped := s.Clamp(config); !reflect.DeepEqual(clamped, config) {
			t.Fatalf("Clamp moved %v to %v", config, clamped)
		}
		again, err := s.Complete(config, nil, nil)
		if err != nil || !reflect.DeepEqual(again, config) {
			t.Fatalf("Complete made %v, %v of %v", again, err, config)
		}
	})
}

func TestCompleteKeepsFixed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		description, _ := drawSpace(t, false)
		s, err := ParseSpace(description)
		if err != nil {
			t.Fatal(err)
		}
		r := drawRand(t)
		fixed, proposed := s.Sample(r), s.Sample(r)
		for name := range maps.Clone(fixed) {
			if rapid.Bool().Draw(t, "drop") {
				delete(fixed, name)
			}
		}
		config, err := s.Complete(fixed, proposed, r)
		if err != nil {
			// Without its parents a fixed child may be inactive; nothing else can be wrong.
			if !strings.Contains(err.Error(), "does not exist") {
				t.Fatal(err)
			}
			return
		}
		if err := s.Check(config); err != nil {
			t.Fatal(err)
		}
		for name, v := range config {
			if want, ok := fixed[name]; ok && v != want {
				t.Fatalf("%s: %v, fixed was %v", name, v, want)
			}
			if want, ok := proposed[name]; ok && fixed[name] == nil && v != want {
				t.Fatalf("%s: %v, proposed was %v", name, v, want)
			}
		}
	})
}

func example(t testing.TB) *Space {
	return mustParse(t, tree{
		"batch": tree{"values": []any{16, 32, 64.0}},
		"depth": tree{"type": "int", "low": 2, "high": 9, "step": 3, "when": tree{"model": []any{"tree"}}},
		"lr":    tree{"type": "float", "low": 0.001, "high": 0.1, "log": true},
		"model": tree{"type": "categorical", "choices": []any{"tree", "line"}},
		"rate":  tree{"type": "float", "low": 0, "high": 0.3, "step": 0.1},
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	valid := tree{"batch": 16, "depth": 5.0, "lr": 0.01, "model": "tree", "rate": 0.1 * 3}
	for _, c := range []struct {
		change tree // nil removes
		want   string
	}{
		{tree{}, ""},
		{tree{"batch": uint64(64)}, ""},
		{tree{"model": "line", "depth": nil}, ""},
		{tree{"lr": 0.1000001}, "config.lr: 0.1000001 is outside the space: give a number from 0.001 to 0.1"},
		{tree{"lr": "0.01"}, `config.lr: "0.01" is outside the space: give a number from 0.001 to 0.1`},
		{tree{"lr": math.NaN()}, "config.lr: NaN is outside the space: give a number from 0.001 to 0.1"},
		{tree{"lr": nil}, "config.lr: is missing: give a number from 0.001 to 0.1"},
		{tree{"depth": 3}, "config.depth: 3 is outside the space: give an integer from 2 to 9 in steps of 3"},
		{tree{"depth": 2.5}, "config.depth: 2.5 is outside the space: give an integer from 2 to 9 in steps of 3"},
		{tree{"rate": 0.25}, "config.rate: 0.25 is outside the space: give a number from 0 to 0.3 in steps of 0.1"},
		{tree{"batch": true}, "config.batch: true is outside the space: give one of 16, 32, 64"},
		{tree{"batch": []any{16}}, "config.batch: a list is outside the space: give one of 16, 32, 64"},
		{tree{"model": "line"}, "config.depth: 5 is given where the parameter does not exist: leave it out, or meet its condition on model"},
		{tree{"dept": 5}, "config.dept: is no parameter of the space: leave it out"},
	} {
		config := maps.Clone(valid)
		for name, v := range c.change {
			config[name] = v
			if v == nil {
				delete(config, name)
			}
		}
		err := example(t).Check(config)
		if got := message(t, err); got != c.want {
			t.Errorf("%v:\n got %q\nwant %q", c.change, got, c.want)
		}
	}
}

// message also checks that err, if any, is a *FieldError with all its parts.
func message(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var field *FieldError
	if !errors.As(err, &field) || field.Field == "" || field.Problem == "" || field.Remedy == "" {
		t.Fatalf("%#v is no complete *FieldError", err)
	}
	return err.Error()
}

func TestCompleteTypesAndErrors(t *testing.T) {
	t.Parallel()
	s, r := example(t), rand.New(rand.NewPCG(1, 2))
	got, err := s.Complete(tree{"depth": 8.0, "model": "tree", "batch": 64}, tree{"lr": 0.02, "rate": 7, "other": 1}, r)
	if err != nil {
		t.Fatal(err)
	}
	if got["depth"] != int64(8) || got["batch"] != 64.0 || got["lr"] != 0.02 || s.Check(got) != nil {
		t.Fatalf("got %v", got)
	}
	if _, err := s.Complete(tree{"lr": 3}, nil, r); err == nil {
		t.Fatal("a fixed value outside the space was taken")
	}
}

func TestClamp(t *testing.T) {
	t.Parallel()
	given := tree{"batch": 40, "depth": 6.4, "lr": 7, "model": "forest", "rate": 0.16, "free": 1.5, "on": true}
	before := maps.Clone(given)
	got := example(t).Clamp(given)
	want := tree{"batch": int64(32), "depth": int64(5), "lr": 0.1, "model": "forest", "rate": 0.2, "free": 1.5, "on": true}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
	if !reflect.DeepEqual(given, before) {
		t.Fatal("Clamp changed its argument")
	}
}

func TestClampKeepsWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	given := tree{"batch": "many", "depth": true, "lr": "fast", "rate": nil}
	if got := example(t).Clamp(given); !reflect.DeepEqual(got, given) {
		t.Fatalf("got %v", got)
	}
}

func TestClampAnyNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		description, _ := drawSpace(t, false)
		s, err := ParseSpace(description)
		if err != nil {
			t.Fatal(err)
		}
		x := rapid.OneOf(rapid.Float64().AsAny(), rapid.Int64().AsAny(),
			rapid.SampledFrom([]any{math.NaN(), math.Inf(1), math.Inf(-1), uint64(math.MaxUint64), 3})).Draw(t, "x")
		for _, p := range s.parameters {
			v := p.axis.nearest(x)
			_, inside := p.axis.accept(v)
			if l, ok := p.axis.(list); ok && !inside && len(l.numbers()) == 0 {
				continue // nothing to move to
			}
			if !inside {
				t.Fatalf("%s: %v became %v, outside", p.Name, x, v)
			}
		}
	})
}

func (a list) numbers() (all []float64) {
	for _, choice := range a.choices {
		if f, ok := number(choice); ok {
			all = append(all, f)
		}
	}
	return all
}

func TestSteppedFloats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		low, high, step float64
		n               uint64
		last            float64
	}{
		{0, 0.3, 0.1, 4, 0.3}, {0.1, 0.7, 0.1, 7, 0.7}, {0, 1, 0.3, 4, 0.9}, {0, 1, 0.4, 3, 0.8}, {-1, 1, 0.1, 21, 1},
		{0.1234567890123456, 1, 2, 1, 0.1234567890123456}, {0.1234567890127, 1, 2, 1, 0.1234567890127}, {1e6, 1e6 + 1e-8, 1e-9, 11, 1e6 + 1e-8}, {5, 5, 1, 1, 5},
		{0, 1234567.89, 0.01, 123456790, 1234567.89},
	} {
		a := newStepped(c.low, c.high, c.step)
		if a.size() != c.n || a.at(c.n-1) != c.last {
			t.Errorf("%v: %d values, last %v", c, a.size(), a.at(a.size()-1))
		}
		if v := a.nearest(math.Inf(1)); v != c.last {
			t.Errorf("%v: nearest to +Inf is %v", c, v)
		}
	}
	if text := fmt.Sprint(newStepped(0, 1, 0.1).at(3)); text != "0.3" {
		t.Errorf("0.1*3 prints %s", text)
	}
}

func TestSteppedIndexInvertsAt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1e6, 1e6).Draw(t, "low")
		step := math.Pow(10, rapid.Float64Range(-7, 4).Draw(t, "log step"))
		a := newStepped(low, low+step*float64(rapid.IntRange(0, 1000).Draw(t, "steps")), step)
		for k := range a.size() {
			v := a.at(k).(float64)
			if got, ok := a.index(v); !ok || got != k || v < a.low || v > a.high {
				t.Fatalf("value %d, %v: index %d, %v", k, v, got, ok)
			}
		}
	})
}

// A seed fixed here makes the bounds safe: they hold with probability > 1-1e-6 over seeds.
func TestSampleDistributions(t *testing.T) {
	t.Parallel()
	s := mustParse(t, tree{
		"choice":  tree{"values": []any{0, 1}},
		"integer": tree{"type": "int", "low": 1, "high": 1000, "log": true},
		"log":     tree{"type": "float", "low": 1e-4, "high": 1, "log": true},
		"uniform": tree{"type": "float", "low": 0, "high": 1},
	})
	const n = 20_000
	below := map[string]float64{"choice": 0.5, "integer": 22.4, "log": 1e-2, "uniform": 0.5}
	for _, seed := range []uint64{0, 1, 2, 1 << 63} {
		count := map[string]int{}
		for i := range n {
			for name, v := range s.Sample(Request{Seed: seed, Number: i}.rand()) {
				if f, _ := number(v); f < below[name] {
					count[name]++
				}
			}
		}
		for name := range below {
			if share := float64(count[name]) / n; math.Abs(share-0.5) > 0.025 {
				t.Errorf("seed %d: %s: %.3f lie in the lower half", seed, name, share)
			}
		}
	}
}

// Generators of successive trials must not resemble each other.
func TestTrialsAreUncorrelated(t *testing.T) {
	t.Parallel()
	const n = 20_000
	for _, seed := range []uint64{0, 1, 1 << 63} {
		for _, distance := range []int{1, 2, 64} {
			sum := 0.0
			for i := range n {
				a, b := Request{Seed: seed, Number: i}.rand().Float64(), Request{Seed: seed, Number: i + distance}.rand().Float64()
				sum += (a - 0.5) * (b - 0.5) * 12
			}
			if c := sum / n; math.Abs(c) > 5/math.Sqrt(n) {
				t.Errorf("seed %d, distance %d: correlation %.3f", seed, distance, c)
			}
		}
	}
}

func TestParametersAreCopies(t *testing.T) {
	t.Parallel()
	s := example(t)
	first := s.Parameters()
	want := Parameter{Name: "depth", Kind: Int, Low: 2, High: 9, Step: 3, When: map[string][]any{"model": {"tree"}}}
	if !reflect.DeepEqual(first[1], want) {
		t.Fatalf("got %+v", first[1])
	}
	first[0].Choices[0], first[1].When["model"][0] = nil, nil
	if again := s.Parameters(); again[0].Choices[0] != int64(16) || again[1].When["model"][0] != "tree" {
		t.Fatal("the space changed")
	}
}
