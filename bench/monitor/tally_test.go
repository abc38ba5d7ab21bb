package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTallyOfHealthyStreams(t *testing.T) {
	t.Parallel()
	s := settings{horizon: 500, healthy: 100, within: 50, warmUp: 30}
	got := newTally(cell{}, true, []int{100, 0, 130, 131, 500}, s)
	if got.alarms != 4 || got.early != 2 || got.leftOut != 0 || got.time != 100+500+130+131+500 || got.median.mean != 131 {
		t.Errorf("%+v", got)
	}
	if e := got.runLength(); e.mean != 1361./4 || e.low >= e.mean || e.high <= e.mean {
		t.Errorf("run length %+v", e)
	}
	quiet := newTally(cell{}, true, []int{0, 0, 0}, s)
	if e := quiet.runLength(); !math.IsInf(e.mean, 1) || e.low != 500 || !math.IsInf(quiet.median.mean, 1) {
		t.Errorf("without an alarm: run length %+v, median %+v", e, quiet.median)
	}
}

func TestTallyOfChanges(t *testing.T) {
	t.Parallel()
	s := settings{horizon: 500, healthy: 100, within: 50, warmUp: 30}
	got := newTally(cell{}, false, []int{99, 100, 101, 105, 150, 0}, s)
	if got.leftOut != 2 || got.judged() != 4 || got.alarms != 3 || got.early != 0 {
		t.Errorf("%+v", got)
	}
	if delay, missed, bounded := got.delay(), got.missed(), got.bounded(); delay.mean != (1+5+50)/3. || missed.mean != 0.25 || bounded.mean != (1+5+50+50)/4. {
		t.Errorf("delay %+v, missed %+v, bounded %+v", delay, missed, bounded)
	}
	if got.median.mean != 27.5 {
		t.Errorf("median %+v", got.median)
	}
}

// TestRunLengthOfGeometricAlarms: an alarm of probability 1/370 in each report has ARL0 370, however short the
// horizon, and the interval holds it as often as it says.
func TestRunLengthOfGeometricAlarms(t *testing.T) {
	t.Parallel()
	const wanted, repetitions = 370.0, 400
	r := rand.New(rand.NewPCG(1, 2))
	for _, horizon := range []int{200, 5000} {
		held, sum := 0, 0.0
		for range repetitions {
			firsts := make([]int, 300)
			for i := range firsts {
				first := 1 + int(math.Floor(math.Log(1-r.Float64())/math.Log(1-1/wanted)))
				if first <= horizon {
					firsts[i] = first
				}
			}
			tallied := newTally(cell{}, true, firsts, settings{horizon: horizon})
			e := tallied.runLength()
			sum += e.mean
			if e.low <= wanted && wanted <= e.high {
				held++
			}
		}
		if mean := sum / repetitions; math.Abs(mean-wanted) > 0.015*wanted {
			t.Errorf("horizon %d: ARL0 %.1f, want %v", horizon, mean, wanted)
		}
		if share := float64(held) / repetitions; share < 0.92 || share > 0.98 {
			t.Errorf("horizon %d: %.1f %% of the intervals hold ARL0, want 95 %%", horizon, 100*share)
		}
	}
}

// TestKnownCharts puts charts with known parameters through streams and tallies. ARLs from zero state: one-sided
// Shewhart 1/Φ(−L); one-sided CUSUM with k = 0.5 from the Markov chain of Brook and Evans (1972), of which those
// healthy are twice the two-sided ones of Montgomery (2009, tables 9.3 and 9.4): 168 for h = 4, 370 for h = 4.77.
func TestKnownCharts(t *testing.T) {
	t.Parallel()
	s := settings{horizon: 5000, within: 500, mean: 10, sd: 2, seed: 3}
	shewhart := func(values []float64) int {
		for i, x := range values {
			if (x-s.mean)/s.sd > 2.5 {
				return i + 1
			}
		}
		return 0
	}
	cusum := func(h float64) func([]float64) int {
		return func(values []float64) int {
			sum := 0.0
			for i, x := range values {
				if sum = max(0, sum+(x-s.mean)/s.sd-0.5); sum > h {
					return i + 1
				}
			}
			return 0
		}
	}
	for _, c := range []struct {
		name         string
		first        func([]float64) int
		quiet, delay float64 // delay of a shift of 1
	}{
		{"shewhart 2.5", shewhart, 161.04, 14.97},
		{"cusum 4", cusum(4), cusumARL(4, 0), cusumARL(4, 1)},
		{"cusum 4.77", cusum(4.77), cusumARL(4.77, 0), cusumARL(4.77, 1)},
	} {
		judge := func(ch change, length, healthy int) tally {
			firsts, values := make([]int, 2000), make([]float64, length)
			for i := range firsts {
				generator{s.mean, s.sd, s.seed}.fill(values, &kinds[0], ch, healthy, i)
				firsts[i] = c.first(values)
			}
			return newTally(cell{}, ch.size == 0, firsts, s)
		}
		quiet, changed := judge(change{}, s.horizon, s.horizon), judge(change{size: 1}, s.within, 0)
		if got := quiet.runLength(); math.Abs(got.mean/c.quiet-1) > 0.07 {
			t.Errorf("%s: ARL0 %.1f, want %.1f", c.name, got.mean, c.quiet)
		}
		if got := changed.delay(); math.Abs(got.mean/c.delay-1) > 0.07 {
			t.Errorf("%s: delay %.2f, want %.2f", c.name, got.mean, c.delay)
		}
	}
}

func TestCusumARL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ h, shift, want float64 }{{4, 0, 2 * 168}, {5, 0, 2 * 465}, {4.77, 0, 2 * 370}, {4, 1, 8.38}, {5, 1, 10.4}} {
		if got := cusumARL(c.h, c.shift); math.Abs(got/c.want-1) > 0.01 {
			t.Errorf("h %v, shift %v: ARL %.2f, the tables have %v", c.h, c.shift, got, c.want)
		}
	}
}

// cusumARL is the ARL of the one-sided CUSUM with k = 0.5 from zero: the chain of its sum in steps of h/(n − ½), whose
// first state is all below half a step (Brook and Evans, Biometrika 59, 1972), solved by Gauss and Seidel.
func cusumARL(h, shift float64) float64 {
	const n = 60
	width := h / (n - 0.5)
	below := func(x float64) float64 { return 0.5 * math.Erfc(-(x-shift)/math.Sqrt2) }
	var moves [n][n]float64
	for i := range n {
		for j := range n {
			to := (float64(j-i)+0.5)*width + 0.5
			moves[i][j] = below(to)
			if j > 0 {
				moves[i][j] -= below(to - width)
			}
		}
	}
	var arl [n]float64
	for range 3000 {
		for i := range n {
			sum := 1.0
			for j := range n {
				if j != i {
					sum += moves[i][j] * arl[j]
				}
			}
			arl[i] = sum / (1 - moves[i][i])
		}
	}
	return arl[0]
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, of       int
		mean, low, high float64
	}{{0, 40, 0, 0, 0.0876}, {5, 10, 0.5, 0.2366, 0.7634}, {40, 40, 1, 0.9124, 1}} {
		e := share(c.count, c.of)
		if e.mean != c.mean || math.Abs(e.low-c.low) > 1e-4 || math.Abs(e.high-c.high) > 1e-4 {
			t.Errorf("%d of %d: %+v", c.count, c.of, e)
		}
	}
}

func TestMeanTimeRatio(t *testing.T) {
	t.Parallel()
	s := settings{horizon: 300, healthy: 10, within: 50}
	healthy := newTally(cell{}, true, []int{100, 200, 0}, s) // MTFA 300
	changed := []tally{
		newTally(cell{}, false, []int{21, 0}, s), // told 10 after the first changed report
		newTally(cell{}, false, []int{31, 31}, s),
	}
	if got := meanTimeRatio(healthy, changed); math.Abs(got.mean-300/(50./3)*0.75) > 1e-12 || !(got.low < got.mean && got.mean < got.high) {
		t.Errorf("%+v", got)
	}
	never := newTally(cell{}, false, []int{0, 0}, s)
	if got := meanTimeRatio(healthy, []tally{never}); got != (estimate{}) {
		t.Errorf("without a change told: %+v", got)
	}
	quiet := newTally(cell{}, true, []int{0, 0, 0}, s)
	if got := meanTimeRatio(quiet, changed); !math.IsInf(got.mean, 1) || math.Abs(got.low-300/(50./3)*0.75) > 1e-12 {
		t.Errorf("without a false alarm: %+v", got)
	}
	all := newTally(cell{}, false, []int{1, 2}, s)
	if got := meanTimeRatio(healthy, []tally{all}); !math.IsNaN(got.mean) {
		t.Errorf("with all streams left out: %+v", got)
	}
}

func TestAverage(t *testing.T) {
	t.Parallel()
	if got := average([]estimate{around(10, 0.1), around(30, 0.1)}); got.mean != 20 || math.Abs(logError(got)-math.Hypot(1, 3)/40) > 1e-12 {
		t.Errorf("%+v", got)
	}
	inf := math.Inf(1)
	if got := average([]estimate{{10, 8, 12}, {inf, 500, inf}}); got != (estimate{inf, 254, inf}) {
		t.Errorf("with one that is not bounded: %+v", got)
	}
}
