package main

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// estimate is a mean with the interval that holds it in 95 % of the bootstrap's samples.
type estimate struct {
	mean, low, high float64
	n               int
}

const resamples = 1000

// bootstrap resamples the values one by one (Efron and Tibshirani, "An Introduction to the Bootstrap",
// 1993, percentile interval).
func bootstrap(values []float64) estimate {
	clusters := make([][]float64, len(values))
	for i, v := range values {
		clusters[i] = []float64{v}
	}
	return clusterBootstrap(clusters)
}

// clusterBootstrap resamples whole clusters: values of one problem are alike, so that many seeds on few
// problems say less than their number does. One cluster alone is resampled itself.
func clusterBootstrap(clusters [][]float64) estimate {
	if len(clusters) == 1 && len(clusters[0]) > 1 {
		return bootstrap(clusters[0])
	}
	e := estimate{n: len(slices.Concat(clusters...)), mean: math.NaN(), low: math.NaN(), high: math.NaN()}
	if e.n == 0 {
		return e
	}
	sums := make([]float64, len(clusters))
	total := 0.0
	for i, c := range clusters {
		for _, v := range c {
			sums[i] += v
		}
		total += sums[i]
	}
	e.mean = total / float64(e.n)
	r := rand.New(rand.NewPCG(1, uint64(e.n)))
	means := make([]float64, resamples)
	for k := range means {
		sum, n := 0.0, 0
		for range clusters {
			i := r.IntN(len(clusters))
			sum += sums[i]
			n += len(clusters[i])
		}
		means[k] = sum / float64(n)
	}
	slices.Sort(means)
	e.low, e.high = means[resamples/40], means[resamples-1-resamples/40]
	return e
}

// byProblem makes a cluster of the values of each problem.
func byProblem(problems []string, values []float64) [][]float64 {
	clusters := map[string][]float64{}
	for i, name := range problems {
		clusters[name] = append(clusters[name], values[i])
	}
	var all [][]float64
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		all = append(all, clusters[name])
	}
	return all
}

// ranks gives 1 to the smallest value; equal ones share the mean of their ranks.
func ranks(values []float64) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = 0.5
		for _, w := range values {
			if w < v {
				all[i]++
			} else if w == v {
				all[i] += 0.5
			}
		}
	}
	return all
}

// median of the values, NaN if there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// smallestRegret is where the logarithm ends: nobody trains to a millionth of the median's distance.
const smallestRegret = 1e-6

func logRegret(regret float64) float64 { return math.Log10(max(regret, smallestRegret)) }
