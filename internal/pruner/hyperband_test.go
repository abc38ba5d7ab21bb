package pruner

import (
	"math"
	"slices"
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

// TestBrackets: ⌊log_η(R/r)⌋ + 1, exact at powers, where logarithms in floats are not (log 243 / log 3).
func TestBrackets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r, longest, factor int64
		want               int
	}{{1, 1, 3, 1}, {1, 2, 3, 1}, {1, 81, 3, 5}, {1, 80, 3, 4}, {1, 243, 3, 6}, {3, 81, 3, 4}, {2, 20, 4, 2}, {1, 1 << 62, 2, 63}} {
		h := hyperband{c.r, c.longest, c.factor}
		if got := h.brackets(nil); got != c.want {
			t.Errorf("%+v has %d brackets, want %d", h, got, c.want)
		}
	}
}

// TestShares: 1, 3, 9, 27 with η = 3 start ⌈4·27/4⌉, ⌈4·9/3⌉, ⌈4·3/2⌉ and 4 trials (Li et al. 2018, algorithm 1).
func TestShares(t *testing.T) {
	t.Parallel()
	got := hyperband{1, 27, 3}.shares(4)
	if want := (shares{27, 27 + 12, 27 + 12 + 6, 27 + 12 + 6 + 4}); !slices.Equal(got, want) {
		t.Errorf("shares %v, want %v", got, want)
	}
	const trials = 100_000
	counts := make([]float64, 4)
	for number := range trials {
		counts[got.pick(7, number)]++
	}
	for i, weight := range []float64{27, 12, 6, 4} {
		// five standard deviations of a binomial count
		if expected := trials * weight / 49; math.Abs(counts[i]-expected) > 5*math.Sqrt(expected) {
			t.Errorf("bracket %d got %v of %d trials, want about %.0f", i, counts[i], trials, expected)
		}
	}
}

// TestHyperband: a trial is judged at the rungs of its bracket, against those of its bracket.
func TestHyperband(t *testing.T) {
	t.Parallel()
	p := build(t, "hyperband", map[string]any{"max_resource": 9}).(hyperband)
	shares := p.shares(3)
	in := make([][]int, 3) // numbers by bracket
	for number := range 100 {
		bracket := shares.pick(1, number)
		in[bracket] = append(in[bracket], number)
	}
	for bracket, numbers := range in {
		for step := 1; step <= 9; step++ {
			values := make([]float64, step)
			good := curve(numbers[0], strategy.Pending, make([]float64, 9)...)
			for i := range values {
				values[i] = 1
			}
			r := request(strategy.Minimize, curve(numbers[1], 0, values...), good)
			r.Seed = 1
			rung := step == 9 || step == 3 && bracket < 2 || step == 1 && bracket == 0
			decide(t, p, r, rung)
			r.Others[0].Number = in[(bracket+1)%3][0]
			decide(t, p, r, false)
		}
	}
}

// TestHyperbandAuto: without max_resource nothing is judged until a trial is complete.
func TestHyperbandAuto(t *testing.T) {
	t.Parallel()
	p := build(t, "hyperband", nil)
	pruned := 0
	for number := 1; number < 50; number++ {
		other := curve(0, strategy.Pending, 0, 0)
		r := request(strategy.Minimize, curve(number, 0, 1), other)
		decide(t, p, r, false)
		r.Others[0].State = strategy.Complete
		decide(t, p, r, true) // two steps make one bracket
		r.Others[0] = curve(0, strategy.Complete, make([]float64, 27)...)
		if _, prune := p.Prune(r); prune {
			pruned++
		}
	}
	if pruned == 0 || pruned == 49 {
		t.Errorf("%d of 49 trials are judged at step 1 in four brackets", pruned)
	}
}

// TestBracketsIgnoreTheConfig: strategies draw a config from (seed, number); were the bracket drawn
// from the same, all configs of a bracket would be alike.
func TestBracketsIgnoreTheConfig(t *testing.T) {
	t.Parallel()
	space, err := strategy.ParseSpace(map[string]any{"x": map[string]any{"type": "int", "low": 0, "high": 100}})
	if err != nil {
		t.Fatal(err)
	}
	random, err := strategy.New("random", nil, space)
	if err != nil {
		t.Fatal(err)
	}
	halves := shares{1, 2}
	sums, counts := [2]float64{}, [2]float64{}
	for number := range 2000 {
		config, err := random.Suggest(strategy.Request{Seed: 3, Number: number})
		if err != nil {
			t.Fatal(err)
		}
		bracket := halves.pick(3, number)
		sums[bracket] += float64(config["x"].(int64))
		counts[bracket]++
	}
	for bracket := range sums {
		if mean := sums[bracket] / counts[bracket]; math.Abs(mean-50) > 5 {
			t.Errorf("bracket %d: mean of x is %.1f, want about 50", bracket, mean)
		}
	}
}
