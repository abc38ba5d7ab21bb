package strategy

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bruteForce walks the full product in the order of the contract, drops inactive parameters and skips repetitions.
func bruteForce(drawn []drawnParameter, description tree) []map[string]any {
	sorted := slices.Clone(drawn)
	slices.SortFunc(sorted, func(a, b drawnParameter) int { return strings.Compare(a.name, b.name) })
	products := []map[string]any{{}}
	for _, p := range sorted {
		var longer []map[string]any
		for _, config := range products {
			for _, v := range p.values {
				extended := maps.Clone(config)
				extended[p.name] = v
				longer = append(longer, extended)
			}
		}
		products = longer
	}
	var distinct []map[string]any
	seen := map[string]bool{}
	for _, config := range products {
		for _, p := range drawn { // generated parents first
			when, _ := description[p.name].(tree)["when"].(tree)
			for parent, allowed := range when {
				if v, ok := config[parent]; !ok || !slices.Contains(allowed.([]any), v) {
					delete(config, p.name)
				}
			}
		}
		if key := fmt.Sprintf("%#v", config); !seen[key] {
			seen[key] = true
			distinct = append(distinct, config)
		}
	}
	return distinct
}

func TestGridEqualsProduct(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		description, drawn := drawSpace(t, true)
		s, err := ParseSpace(description)
		if err != nil {
			t.Fatal(err)
		}
		want := bruteForce(drawn, description)
		if n, finite := s.Size(); !finite || n != uint64(len(want)) {
			t.Fatalf("Size = %d, %v; want %d", n, finite, len(want))
		}
		for i, config := range want {
			if got := s.At(uint64(i)); !reflect.DeepEqual(got, config) {
				t.Fatalf("At(%d) = %v, want %v", i, got, config)
			}
		}
		if s.At(uint64(len(want))) != nil {
			t.Fatal("a config past the end")
		}
		left := map[string]bool{}
		for _, config := range want {
			left[fmt.Sprint(config)] = true
		}
		config := s.first()
		for range want {
			delete(left, fmt.Sprint(config))
			config = s.after(config)
		}
		if len(left) > 0 || !reflect.DeepEqual(config, s.first()) {
			t.Fatalf("one after the other, %v are left out; then comes %v", left, config)
		}
	})
}

func TestGridOrder(t *testing.T) {
	t.Parallel()
	s := mustParse(t, tree{
		"depth": tree{"type": "int", "low": 1, "high": 2, "when": tree{"model": []any{"tree"}}},
		"model": tree{"type": "categorical", "choices": []any{"tree", "line"}},
		"rate":  tree{"type": "float", "low": 0.1, "high": 0.3, "step": 0.2},
	})
	var got []string
	n, _ := s.Size()
	for i := range n {
		got = append(got, fmt.Sprint(s.At(i)))
	}
	want := []string{
		"map[depth:1 model:tree rate:0.1]", "map[depth:1 model:tree rate:0.3]",
		"map[model:line rate:0.1]", "map[model:line rate:0.3]",
		"map[depth:2 model:tree rate:0.1]", "map[depth:2 model:tree rate:0.3]",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
}

func TestGridSizes(t *testing.T) {
	t.Parallel()
	axis := func(n int64) tree { return tree{"type": "int", "low": 1, "high": n} }
	when := func(n int64, parent string, values ...any) tree {
		p := axis(n)
		p["when"] = tree{parent: values}
		return p
	}
	const giga, exa = int64(1_000_000_000), int64(1_000_000_000_000_000_000)
	chain := tree{"p000": axis(2)}
	pairs := tree{}
	for i := 1; i < 200; i++ {
		chain[fmt.Sprintf("p%03d", i)] = when(2, fmt.Sprintf("p%03d", i-1), 2)
		if i < 40 {
			pairs[fmt.Sprint("use", i)] = axis(2)
			pairs[fmt.Sprint("child", i)] = when(2, fmt.Sprint("use", i), 2)
		}
	}
	all := tree{"child": tree{"values": []any{1, 2, 3}, "when": tree{}}}
	for i := range 40 {
		all[fmt.Sprint("use", i)] = axis(2)
		all["child"].(tree)["when"].(tree)[fmt.Sprint("use", i)] = []any{1}
	}
	// Once a root rules the child out, its chain has nothing more to do with the others.
	chains := tree{"z": tree{"values": []any{1, 2, 3}, "when": tree{}}}
	for i := range 20 {
		root, middle := fmt.Sprint("root", i), fmt.Sprint("middle", i)
		chains[root], chains[middle], chains[fmt.Sprint("end", i)] = axis(2), when(2, root, 1), when(2, middle, 1)
		chains["z"].(tree)["when"].(tree)[root] = []any{1}
		chains["z"].(tree)["when"].(tree)[middle] = []any{1}
	}
	for name, c := range map[string]struct {
		space  tree
		n      uint64
		finite bool
	}{
		"one axis":            {tree{"x": axis(exa)}, uint64(exa), true},
		"product":             {tree{"x": axis(giga), "y": axis(giga)}, uint64(exa), true},
		"saturated":           {tree{"x": axis(exa), "y": axis(exa)}, math.MaxUint64, true},
		"all integers":        {tree{"x": tree{"type": "int", "low": int64(math.MinInt64), "high": int64(math.MaxInt64)}}, math.MaxUint64, true},
		"condition on a few":  {tree{"x": axis(exa), "a": when(giga, "x", 7, 9)}, uint64(exa) - 2 + 2*uint64(giga), true},
		"chain":               {chain, 201, true},
		"pairs":               {pairs, uint64(4052555153018976267), true}, // 3^39
		"one child of many":   {all, 1<<40 + 2, true},
		"one child of chains": {chains, 1<<40 + 2<<20, true},
		"continuous":          {tree{"x": axis(3), "y": tree{"type": "float", "low": 0, "high": 1}}, math.MaxUint64, false},
		"continuous, a point": {tree{"x": axis(3), "y": tree{"type": "float", "low": 1, "high": 1}}, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mustParse(t, c.space)
			n, finite := s.Size()
			if n != c.n || finite != c.finite {
				t.Fatalf("Size = %d, %v; want %d, %v", n, finite, c.n, c.finite)
			}
			if !finite {
				return
			}
			for _, i := range []uint64{0, 1, n / 3, n / 2, n - 2, n - 1} {
				if err := s.Check(s.At(i)); err != nil {
					t.Errorf("At(%d): %v", i, err)
				}
			}
		})
	}
}

// Distant ranks of a huge conditional grid must keep its order: each differs from the next as the product does.
func TestGridNeighboursDiffer(t *testing.T) {
	t.Parallel()
	s := mustParse(t, tree{
		"a": tree{"type": "int", "low": 1, "high": 1_000_000_000, "when": tree{"z": []any{5}}},
		"m": tree{"type": "int", "low": 1, "high": 1_000_000},
		"z": tree{"type": "int", "low": 1, "high": 9},
	})
	n, _ := s.Size()
	if want := uint64(1_000_000 * (8 + 1_000_000_000)); n != want {
		t.Fatalf("Size = %d, want %d", n, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Uint64Range(0, n-2).Draw(t, "i")
		if a, b := vector(s, s.At(i)), vector(s, s.At(i+1)); slices.Compare(a, b) >= 0 {
			t.Fatalf("At(%d) = %v is not before %v", i, a, b)
		}
	})
}

// vector is the place of a config in the full product, inactive parameters at 0.
func vector(s *Space, config map[string]any) []uint64 {
	v := make([]uint64, len(s.parameters))
	for k, p := range s.parameters {
		v[k], _ = p.axis.(discrete).index(config[p.Name])
	}
	return v
}

func TestGridTooEntangled(t *testing.T) {
	t.Parallel()
	description := tree{}
	const roots = 40
	for i := range roots {
		description[fmt.Sprint("root", i)] = tree{"values": []any{1, 2}}
		for j := range i {
			if (i*i+j*j)%7 < 3 {
				description[fmt.Sprint("child", i, "-", j)] = tree{"values": []any{1, 2, 3}, "when": tree{
					fmt.Sprint("root", i): []any{1}, fmt.Sprint("root", j): []any{1},
				}}
			}
		}
	}
	s := mustParse(t, description)
	if _, finite := s.Size(); finite {
		t.Fatal("expected the count to be given up")
	}
	if _, err := New("grid", nil, s); err == nil || !strings.Contains(err.Error(), "share conditions") {
		t.Fatalf("New: %v", err)
	}
	if _, err := New("random", nil, s); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAt(b *testing.B) {
	s := mustParse(b, tree{
		"batch": tree{"values": []any{16, 32, 64}},
		"depth": tree{"type": "int", "low": 1, "high": 12, "when": tree{"model": []any{"tree"}}},
		"lr":    tree{"type": "float", "low": 0.1, "high": 1, "step": 0.1},
		"model": tree{"type": "categorical", "choices": []any{"tree", "line"}},
	})
	n, _ := s.Size()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		s.At(i % n)
	}
}
