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
	for _, c := range []struct{ offset, factor float64 }{{0, 1}, {0, 0.001}, {1000, 50}} {
		before := func(config map[string]any) float64 { return c.offset + c.factor*loss(config) }
		prior := playStudy(t, mustNew(t, "random", nil, space), Request{Seed: 7}, 60, 1, before)
		slices.SortFunc(prior, func(a, b Trial) int { return cmp.Compare(a.Value, b.Value) })
		for seed := range uint64(3) {
			history := playStudy(t, mustNew(t, "gp", nil, space), Request{Seed: seed, Prior: prior}, 8, 1, loss)
			if !maps.Equal(history[0].Config, prior[0].Config) {
				t.Errorf("%v is not the best config of before, %v", history[0].Config, prior[0].Config)
			}
			if best := smallest(history); best > history[0].Value/3 {
				t.Errorf("offset %v, factor %v, seed %d: %.4f after 8 trials, %.4f was known", c.offset, c.factor, seed, best, history[0].Value)
			}
		}
	}
}

// TestGPBestPriorWasTried: the best config of before is not proposed when it was enqueued.
func TestGPBestPriorWasTried(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{"x": tree{"type": "float", "low": 0, "high": 1}})
	best := Trial{Config: map[string]any{"x": 0.5}, State: Complete}
	r := Request{Number: 1, Prior: []Trial{best}, History: []Trial{best}}
	if got := suggest(t, mustNew(t, "gp", nil, space), r); got["x"] == 0.5 {
		t.Error("proposed again")
	}
}
