package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRanks(t *testing.T) {
	t.Parallel()
	if got := ranks([]float64{0.5, 0.1, 0.5, 2}); !slices.Equal(got, []float64{2.5, 1, 2.5, 4}) {
		t.Errorf("ranks are %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 3), 1, 12).Draw(t, "values")
		sum := 0.0
		for _, r := range ranks(values) {
			sum += r
		}
		if n := float64(len(values)); math.Abs(sum-n*(n+1)/2) > 1e-9 {
			t.Errorf("the ranks add up to %v", sum)
		}
	})
}

func TestMedian(t *testing.T) {
	t.Parallel()
	if a, b := median([]float64{3, 1, 2}), median([]float64{4, 1, 3, 2}); a != 2 || b != 2.5 {
		t.Errorf("medians %v, %v", a, b)
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

// The interval of a mean is about ±1.96 standard errors.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, 400)
	for i := range values {
		values[i] = 5 + r.NormFloat64()
	}
	e := bootstrap(values)
	if width := e.high - e.low; e.n != 400 || math.Abs(width-2*1.96/20) > 0.02 || e.low > e.mean || e.high < e.mean {
		t.Errorf("%+v", e)
	}
	if e := bootstrap([]float64{2, 2, 2}); e.low != 2 || e.high != 2 {
		t.Errorf("of equal values: %+v", e)
	}
	if e := bootstrap(nil); !math.IsNaN(e.mean) || e.n != 0 {
		t.Errorf("of nothing: %+v", e)
	}
}

// Twenty equal seeds on each of four problems are four observations.
func TestClusterBootstrap(t *testing.T) {
	t.Parallel()
	var problems []string
	var values []float64
	for i, name := range []string{"a", "b", "c", "d"} {
		for range 20 {
			problems = append(problems, name)
			values = append(values, float64(i))
		}
	}
	each, clustered := bootstrap(values), clusterBootstrap(byProblem(problems, values))
	if each.mean != 1.5 || clustered.mean != 1.5 || clustered.n != 80 {
		t.Errorf("means %+v, %+v", each, clustered)
	}
	if clustered.high-clustered.low < 3*(each.high-each.low) {
		t.Errorf("clusters give %+v, single values %+v", clustered, each)
	}
}

// Fifty problems with three results of 0 and fifty with one of 1.
func TestClustersOfUnequalSize(t *testing.T) {
	t.Parallel()
	var clusters [][]float64
	for range 50 {
		clusters = append(clusters, []float64{0, 0, 0}, []float64{1})
	}
	if e := clusterBootstrap(clusters); e.mean != 0.25 || e.low > 0.24 || e.high < 0.26 || e.high > 0.4 {
		t.Errorf("%+v", e)
	}
}
