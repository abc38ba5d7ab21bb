package strategy

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// checkGradient compares f's gradient at x with central differences.
func checkGradient(t *testing.T, f func(x, gradient []float64) float64, x []float64) {
	t.Helper()
	gradient, scratch := make([]float64, len(x)), make([]float64, len(x))
	f(x, gradient)
	for i := range x {
		const h = 1e-5
		at := func(d float64) float64 {
			moved := append([]float64(nil), x...)
			moved[i] += d
			return f(moved, scratch)
		}
		want := (at(h) - at(-h)) / (2 * h)
		if math.Abs(gradient[i]-want) > 1e-4*(1+math.Abs(want)) {
			t.Errorf("coordinate %d: derivative %v, by differences %v", i, gradient[i], want)
		}
	}
}

func TestLikelihoodGradient(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	points, values := samplePoints(r, 12)
	l := newLikelihood(coordinates{nominal: []bool{false, true, false}}, points, values)
	theta := make([]float64, 2*l.axes()+thetaRest)
	for i := range theta {
		theta[i] = r.NormFloat64() * 0.5
	}
	theta[2*l.axes()+thetaNoise] = -4
	checkGradient(t, l.at, theta)
}

func samplePoints(r *rand.Rand, n int) (points [][]float64, values []float64) {
	for i := range n {
		x := []float64{r.Float64(), float64(r.IntN(3)), r.Float64()}
		if i%3 == 0 {
			x[2] = math.NaN()
		}
		points = append(points, x)
		values = append(values, math.Exp(3*x[0])+x[1]*x[1]+r.NormFloat64()*0.1)
	}
	return points, values
}

func TestProcessSlopes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	points, values := samplePoints(r, 12)
	g := newProcess(coordinates{nominal: []bool{false, true, false}}, kernelParameters{
		scales: []float64{0.3, 1, 0.7}, single: []float64{0.4, 2, 1}, additive: 0.5, variance: 2, noise: 0.01,
	})
	for _, x := range points {
		g.condition(x, 0.01)
	}
	g.learn(values)
	v := newView(g)
	f := func(x, gradient []float64) float64 {
		byMean, byDeviation := make([]float64, 2), make([]float64, 2)
		mean, deviation := v.slopes([]float64{x[0], 1, x[1]}, []int{0, 2}, byMean, byDeviation)
		value, a, b := logImprovement(1, mean, deviation)
		for i := range gradient {
			gradient[i] = a*byMean[i] + b*byDeviation[i]
		}
		return value
	}
	checkGradient(t, f, []float64{0.4, 0.3})
}

// Forty trials find the bottom of a rotated valley, and what a strategy remembers changes nothing.
func TestGPFindsMinimum(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"x": tree{"type": "float", "low": 0, "high": 1},
		"y": tree{"type": "float", "low": 1e-4, "high": 1, "log": true},
	})
	s := mustNew(t, "gp", nil, space)
	r := Request{Seed: 1}
	best := math.Inf(1)
	for r.Number < 40 {
		config := suggest(t, s, r)
		x, y := config["x"].(float64)-0.3, math.Log10(config["y"].(float64))/4+0.6
		value := (x+y)*(x+y) + 0.1*x*x
		best = min(best, value)
		r.History = append(r.History, Trial{Number: r.Number, Config: config, Value: value, State: Complete})
		r.Number++
		r.Index++
	}
	if best > 1e-6 {
		t.Errorf("the best value is %v", best)
	}
	fresh := mustNew(t, "gp", nil, space)
	if a, b := suggest(t, s, r), suggest(t, fresh, r); !maps.Equal(a, b) {
		t.Errorf("with what it remembers %v, without %v", a, b)
	}
}

// TestGPStartsFromPriors: an earlier study of the same objective, or of one like it on another scale, saves trials.
func TestGPStartsFromPriors(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"rate":  tree{"type": "float", "low": 1e-6, "high": 1, "log": true},
		"width": tree{"type": "float", "low": 0, "high": 64},
	})
	loss := func(c map[string]any) float64 {
		return math.Pow(math.Log10(c["rate"].(float64)/1e-4), 2) + math.Pow(c["width"].(float64)/20-1, 2)
	}
	for _, c := range []struct {
		offset, factor float64
		diverging      bool // where rates are high, which was not so before
		gain           float64
	}{{0, 1, false, 3}, {0, 0.001, false, 3}, {1000, 50, false, 3}, {0, 1, true, 1.5}} {
		now := loss
		before := func(config map[string]any) float64 { return c.offset + c.factor*loss(config) }
		if c.diverging {
			now = func(config map[string]any) float64 {
				if rate := config["rate"].(float64); rate > 0.02 {
					return 1e4 * (1 + rate)
				}
				return loss(config)
			}
		}
		prior := playStudy(t, mustNew(t, "random", nil, space), Request{Seed: 7}, 60, 1, before)
		slices.SortFunc(prior, func(a, b Trial) int { return cmp.Compare(a.Value, b.Value) })
		for seed := range uint64(3) {
			history := playStudy(t, mustNew(t, "gp", nil, space), Request{Seed: seed, Prior: prior}, 8, 1, now)
			if !maps.Equal(history[0].Config, prior[0].Config) {
				t.Errorf("%v is not the best config of before, %v", history[0].Config, prior[0].Config)
			}
			if best := smallest(history); best > history[0].Value/c.gain {
				t.Errorf("offset %v, factor %v, diverging %v, seed %d: %.4f after 8 trials, %.4f was known", c.offset, c.factor, c.diverging, seed, best, history[0].Value)
			}
		}
	}
}

// TestBestPriorWasTried: the best config of before is not proposed when it was enqueued, nor one that differs from it
// by rounding alone.
func TestBestPriorWasTried(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{"x": tree{"type": "float", "low": 1e-5, "high": 0.1, "log": true}})
	for _, name := range []string{"gp", "tpe"} {
		r := Request{Prior: []Trial{{Config: map[string]any{"x": 0.003}, State: Complete}}}
		s := mustNew(t, name, nil, space)
		if got := suggest(t, s, r); got["x"] != 0.003 {
			t.Errorf("%s proposes %v first", name, got)
		}
		r.Number, r.History = 1, r.Prior
		if got := suggest(t, s, r); math.Abs(got["x"].(float64)-0.003) < 1e-9 {
			t.Errorf("%s proposes it again: %v", name, got)
		}
	}
}

// TestGPInformedDesign: with earlier results the model decides from the fifth trial on, whatever the dimensions.
func TestGPInformedDesign(t *testing.T) {
	t.Parallel()
	description := tree{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		description[name] = tree{"type": "float", "low": 0, "high": 1}
	}
	space := mustParse(t, description)
	loss := func(c map[string]any) float64 { return c["a"].(float64) }
	prior := playStudy(t, mustNew(t, "random", nil, space), Request{Seed: 7}, 30, 1, loss)
	slices.SortFunc(prior, func(a, b Trial) int { return cmp.Compare(a.Value, b.Value) })
	history := playStudy(t, mustNew(t, "gp", nil, space), Request{Seed: 1, Prior: prior}, 5, 1, loss)
	for i, trial := range history {
		point, _ := mustNew(t, "sobol", nil, space).Suggest(Request{Seed: 1, Index: i, Number: i})
		if designed := maps.Equal(trial.Config, point); designed != (i > 0 && i < 4) {
			t.Errorf("trial %d is of the design: %v", i, designed)
		}
	}
}

func TestCommensurable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		own, prior []float64
		want       bool
	}{
		{[]float64{0.2, 0.5, 1, 2}, []float64{0.1, 0.2, 0.5, 0.9}, true},
		{[]float64{0.2, 0.5, 1, 1e6}, []float64{0.1, 0.2, 0.5, 0.9}, true},
		{[]float64{0.2, 0.5, 1, 2}, []float64{0.1, 0.2, 0.5, 1e6}, true},
		{[]float64{0.5, 0.5}, []float64{0.1, 0.2, 0.5, 0.9}, true},
		{[]float64{0.2, 0.5}, []float64{0.1}, true},
		{[]float64{0.5, 0.5}, []float64{0.5}, true},
		{[]float64{0.5, 0.5}, []float64{7}, false},
		{[]float64{0.2, 0.5, 1, 2}, []float64{100, 120, 150, 190}, false},
		{[]float64{0.2, 0.5, 1, 2}, []float64{0.201, 0.202, 0.203, 0.204}, false},
		{[]float64{0.2, 0.5, 1, 2}, []float64{0, 200, 500, 900}, false},
	} {
		if got := commensurable(c.own, c.prior); got != c.want {
			t.Errorf("%v and %v: %v", c.own, c.prior, got)
		}
	}
}
