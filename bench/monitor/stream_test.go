package main

import (
	"math"
	"slices"
	"testing"
)

func kindNamed(t *testing.T, name string) *kind {
	t.Helper()
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		t.Fatalf("no kind %s", name)
	}
	return &kinds[i]
}

// samples are streams of a kind, one after another.
func samples(k *kind, c change, healthy, length, streams int) []float64 {
	values := make([]float64, length*streams)
	for i := range streams {
		generator{mean: 10, sd: 2, seed: 7}.fill(values[i*length:][:length], k, c, healthy, i)
	}
	return values
}

func moments(values []float64) (mean, sd float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(sd)
}

func TestMoments(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		// The heavy tails of lognormal and student3 leave the standard deviation uncertain.
		wantMean, wantSD, tolerance := 10.0, 2.0, 0.02
		switch k.name {
		case "lognormal":
			tolerance = 0.1
		case "student3":
			tolerance = 0.3
		case "binary":
			wantMean, wantSD, tolerance = 0.2, 0.4, 0.004
		}
		mean, sd := moments(samples(&k, change{}, 240, 240, 1000))
		if math.Abs(mean-wantMean) > tolerance || math.Abs(sd-wantSD) > tolerance {
			t.Errorf("%s: mean %.3f and standard deviation %.3f, want %v and %v within %v", k.name, mean, sd, wantMean, wantSD, tolerance)
		}
	}
}

// autocorrelation at a lag, of streams of a length.
func autocorrelation(values []float64, length, lag int) float64 {
	mean, sd := moments(values)
	sum, n := 0.0, 0
	for i := range values {
		if i%length >= lag {
			sum += (values[i] - mean) * (values[i-lag] - mean)
			n++
		}
	}
	return sum / float64(n) / (sd * sd)
}

func TestAutocorrelation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind string
		lag  int
		want float64
	}{
		{"gaussian", 1, 0}, {"lognormal", 1, 0}, {"student3", 1, 0}, {"binary", 1, 0},
		{"ar0.5", 1, 0.5}, {"ar0.5", 2, 0.25},
		{"seasonal24", 24, 1. / 3}, {"seasonal24", 12, -1. / 3}, {"seasonal50", 50, 1. / 3}, {"seasonal50", 25, -1. / 3},
	} {
		if got := autocorrelation(samples(kindNamed(t, c.kind), change{}, 200, 200, 500), 200, c.lag); math.Abs(got-c.want) > 0.02 {
			t.Errorf("%s: autocorrelation %.3f at lag %d, want %.3f", c.kind, got, c.lag, c.want)
		}
	}
}

// TestChanges looks at the mean of many streams before the change, at its beginning and at its end.
func TestChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind                string
		change              change
		before, first, last float64
	}{
		{"gaussian", change{}, 10, 10, 10},
		{"gaussian", change{size: 1.5}, 10, 13, 13},
		{"ar0.5", change{ramp: true, size: 0.5}, 10, 11, 20},
		{"binary", change{size: 2}, 0.2, 0.6, 0.6},
		{"binary", change{size: 9}, 0.2, 1, 1},
		{"binary", change{ramp: true, size: 0.1}, 0.2, 0.22, 0.4},
	} {
		const length, healthy = 15, 5
		values := samples(kindNamed(t, c.kind), c.change, healthy, length, 20_000)
		at := func(position int) float64 {
			sum := 0.0
			for i := position; i < len(values); i += length {
				sum += values[i]
			}
			return sum / (float64(len(values)) / length)
		}
		for position, want := range map[int]float64{healthy - 1: c.before, healthy: c.first, length - 1: c.last} {
			if got := at(position); math.Abs(got-want) > 0.06 {
				t.Errorf("%s with %s: mean %.3f at %d, want %.3f", c.kind, c.change, got, position, want)
			}
		}
	}
}

func TestStreamsAreReproducible(t *testing.T) {
	t.Parallel()
	g := generator{mean: 10, sd: 1, seed: 1}
	make := func(g generator, c change, number int) []float64 {
		values := make([]float64, 20)
		g.fill(values, &kinds[0], c, 10, number)
		return values
	}
	first := make(g, change{}, 3)
	if !slices.Equal(first, make(g, change{}, 3)) {
		t.Error("the same stream differs the second time")
	}
	other := g
	other.seed = 2
	for what, values := range map[string][]float64{
		"number": make(g, change{}, 4), "change": make(g, change{size: 1}, 3), "seed": make(other, change{}, 3),
	} {
		if values[0] == first[0] {
			t.Errorf("another %s gives the same stream", what)
		}
	}
}
