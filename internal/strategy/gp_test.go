package strategy

import (
	"math"
	"math/rand/v2"
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
	r := rand.New(rand.NewPCG(1, 1))
	points, values := samplePoints(r, 12)
	l := newLikelihood(tune.Warp, coordinates{[]bool{false, true, false}}, points, values)
	theta := make([]float64, 2*l.scales+4)
	for i := range theta {
		theta[i] = r.NormFloat64() * 0.5
	}
	theta[l.scales+1] = -4
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
	r := rand.New(rand.NewPCG(1, 1))
	points, values := samplePoints(r, 12)
	g := newProcess(coordinates{[]bool{false, true, false}}, kernelParameters{
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
