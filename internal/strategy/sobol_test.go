package strategy

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The first points of the plain sequence, as the authors of the table print them (Gray code aside).
func TestSobolIntegers(t *testing.T) {
	t.Parallel()
	want := [][3]float64{
		{0, 0, 0}, {0.5, 0.5, 0.5}, {0.25, 0.75, 0.75}, {0.75, 0.25, 0.25},
		{0.125, 0.625, 0.375}, {0.625, 0.125, 0.875}, {0.375, 0.375, 0.625}, {0.875, 0.875, 0.125},
	}
	for index, point := range want {
		for i, x := range point {
			if got := float64(sobolInteger(uint32(index), &directions[i])) / (1 << 32); got != x {
				t.Errorf("point %d, coordinate %d: %v, want %v", index, i, got, x)
			}
		}
	}
}

// Any aligned block of 2^m points has one point in each interval of width 2^-m, in every coordinate and
// under every scrambling.
func TestSobolIsStratified(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		m := rapid.IntRange(0, 6).Draw(t, "m")
		n := 1 << m
		first := n * rapid.IntRange(0, 1000).Draw(t, "block")
		hit := map[string]bool{}
		for index := first; index < first+n; index++ {
			for i, x := range sobolPoint(seed, index, len(directions)) {
				if !(x > 0 && x < 1) {
					t.Fatalf("coordinate %d of point %d is %v", i, index, x)
				}
				hit[fmt.Sprint(i, " ", int(x*float64(n)))] = true
			}
		}
		if len(hit) != n*len(directions) {
			t.Fatalf("%d intervals hit of %d", len(hit), n*len(directions))
		}
	})
}

// The mean over a product of all coordinates tells a low-discrepancy sequence from a random one.
func TestSobolIntegrates(t *testing.T) {
	t.Parallel()
	const n, dims = 1024, 6
	worst := 0.0
	for seed := range uint64(10) {
		sum := 0.0
		for index := range n {
			product := 1.0
			for _, x := range sobolPoint(seed, index, dims) {
				product *= 1 + (x - 0.5)
			}
			sum += product
		}
		worst = max(worst, math.Abs(sum/n-1))
	}
	// Random points err by 0.025 on average.
	if worst > 0.004 {
		t.Errorf("error %.4f", worst)
	}
}

func TestSobolPastTable(t *testing.T) {
	t.Parallel()
	dims := len(directions) + 20
	a, b := sobolPoint(1, 5, dims), sobolPoint(1, 6, dims)
	for i := range dims {
		if a[i] == b[i] || i > 0 && a[i] == a[i-1] {
			t.Errorf("coordinate %d repeats: %v, %v", i, a[i], b[i])
		}
	}
	if x := sobolPoint(1, 1<<40, 2); x[0] == sobolPoint(1, 0, 2)[0] || !(x[0] > 0 && x[0] < 1) {
		t.Errorf("point 2^40 is %v", x)
	}
}

// A study on a grid meets each of its values about equally often before any comes again, and all of them.
func TestSobolOnGrid(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"a": tree{"type": "int", "low": 0, "high": 15},
		"b": tree{"type": "categorical", "choices": []any{"x", "y"}},
	})
	s := mustNew(t, "sobol", nil, space)
	first := map[any]int{}
	var r Request
	for r.Index = range 32 {
		config := suggest(t, s, r)
		if r.Index < 16 {
			first[config["a"]]++
		}
		r.Number++
		r.History = append(r.History, Trial{Number: r.Index, Config: config})
	}
	if len(first) != 16 {
		t.Errorf("the first 16 trials meet %d of 16 values", len(first))
	}
	r.Index++
	if _, err := s.Suggest(r); !errors.Is(err, ErrExhausted) {
		t.Errorf("after the last: %v", err)
	}
}

func BenchmarkSobolPoint(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		sobolPoint(1, i, 10)
	}
}
