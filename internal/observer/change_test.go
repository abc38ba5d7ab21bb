package observer

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// scripted is a momentary detector that finds the changes it is told to; its memory is the number of values seen.
type scripted map[int]change

func (s scripted) room() int { return 1 }

func (s scripted) fits(memory []float64) bool { return true }

func (s scripted) detect(memory []float64, _ float64) ([]float64, change) {
	if len(memory) == 0 {
		memory = append(memory, 0)
	}
	memory[0]++
	return memory, s[int(memory[0])-1]
}

func rise(before, after float64) change {
	return change{detected: true, before: before, after: after, sd: 0.5, reports: 3, statistic: 1.5}
}

func TestLatch(t *testing.T) {
	t.Parallel()
	steps := func(pieces ...[2]float64) (values []float64) {
		for _, p := range pieces {
			values = append(values, slices.Repeat([]float64{p[1]}, int(p[0]))...)
		}
		return values
	}
	for name, c := range map[string]struct {
		goal        Goal
		script      scripted
		values      []float64
		first, last int
	}{
		"no change":                        {Minimize, scripted{}, steps([2]float64{20, 1}), -1, -1},
		"a change for the better":          {Minimize, scripted{5: rise(2, 1)}, steps([2]float64{20, 1}), -1, -1},
		"as long as the level is bad":      {Minimize, scripted{5: rise(1, 2)}, steps([2]float64{5, 1}, [2]float64{95, 2}), 5, 99},
		"one value does not end it":        {Minimize, scripted{5: rise(1, 2)}, steps([2]float64{5, 1}, [2]float64{5, 2}, [2]float64{1, -2}, [2]float64{9, 2}), 5, 19},
		"until the mean is better":         {Minimize, scripted{5: rise(1, 2)}, steps([2]float64{5, 1}, [2]float64{5, 2}, [2]float64{90, 1}), 5, 15},
		"half way back is not enough":      {Minimize, scripted{5: rise(1, 2)}, steps([2]float64{5, 1}, [2]float64{5, 2}, [2]float64{90, 1.5}), 5, 99},
		"a second rise keeps the midpoint": {Minimize, scripted{5: rise(1, 2), 20: rise(2, 4)}, steps([2]float64{5, 1}, [2]float64{15, 2}, [2]float64{20, 4}, [2]float64{60, 1.8}), 5, 99},
		"maximize: a fall":                 {Maximize, scripted{5: rise(-0.9, -0.5)}, steps([2]float64{5, 0.9}, [2]float64{10, 0.5}, [2]float64{30, 0.9}), 5, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := verdicts(newLatch(view{goal: c.goal}, c.script), c.values)
			if first, last := degradedAt(all); first != c.first || last != c.last {
				t.Errorf("degraded from %d to %d, want from %d to %d", first, last, c.first, c.last)
			}
		})
	}
}

func TestLatchVerdict(t *testing.T) {
	t.Parallel()
	for _, goal := range []Goal{Minimize, Maximize} {
		sign := goal.sign()
		all := verdicts(newLatch(view{goal: goal}, scripted{0: {statistic: 7}, 1: rise(1, 2)}), []float64{sign, 2 * sign, 3 * sign})
		if v := all[0]; v.degraded || v.statistic != belowOne || !math.IsNaN(v.limit) || v.reports != 0 {
			t.Errorf("%v: before the change %+v", goal, v)
		}
		want := verdict{degraded: true, reference: sign, deviations: 2, limit: 1.5 * sign, statistic: 2, reports: 3}
		if all[1] != want {
			t.Errorf("%v: at the change\n%+v, want\n%+v", goal, all[1], want)
		}
		want = verdict{degraded: true, reference: sign, deviations: 2.2, limit: 1.5 * sign, statistic: 2.2, reports: 4}
		if all[2] != want {
			t.Errorf("%v: after it\n%+v, want\n%+v", goal, all[2], want)
		}
	}
}

// TestStatisticTellsDegraded also of the detectors that do not latch, those without a statistic apart.
func TestStatisticTellsDegraded(t *testing.T) {
	t.Parallel()
	for name := range kinds {
		if name == "threshold" || name == "rolling_mean" || name == "auto" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				d := detectorOf(t, name, anyGoal.Draw(t, "goal"))
				u := uniform(rapid.Uint64().Draw(t, "seed"))
				level := rapid.Float64Range(-2, 2).Draw(t, "level")
				memory := d.fresh()
				for i := range 400 {
					var v verdict
					memory, v = d.update(memory, u.next()+level*float64(i/100))
					if v.degraded != (v.statistic > 1) && v.statistic != 1 {
						t.Fatalf("value %d: %+v", i, v)
					}
				}
			})
		})
	}
}

// TestLevelsOfAChange is with a jump from 10 to 12 at 500 that all have to see, with about the right levels.
func TestLevelsOfAChange(t *testing.T) {
	t.Parallel()
	reals := streamOf(t, "normal 5 500,10,0.3 200,12,0.3")
	errors := streamOf(t, "bernoulli 5 500,0.2,0 200,0.8,0")
	for name, c := range map[string]struct {
		values               []float64
		latest               int // position at which it fires
		reference, tolerance float64
		sd                   float64
		reports              int // that it may err by
	}{
		"page_hinkley": {reals, 530, 10, 0.1, 0.3, 300}, // from where the sum was lowest, long before
		"adwin":        {reals, 540, 10, 0.1, 0.3, 5},
		"kswin":        {reals, 540, 10, 0.15, 0.3, 30},
		"ddm":          {errors, 550, 0.2, 0.05, 0.4, 25},
		"hddm_a":       {errors, 550, 0.2, 0.05, 0.4, 35},
		"hddm_w":       {errors, 540, 0.2, 0.15, 0.4, 15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := verdicts(detectorOf(t, name, Minimize), c.values)
			first := slices.IndexFunc(all[500:], func(v verdict) bool { return v.degraded }) + 500
			if first < 500 || first > c.latest {
				t.Fatalf("fires at %d", first)
			}
			v := all[first]
			if math.Abs(v.reference-c.reference) > c.tolerance {
				t.Errorf("reference %v, want %v", v.reference, c.reference)
			}
			if sd := (v.limit - v.reference) * 2 / v.deviations; math.Abs(sd-c.sd) > c.sd/2 {
				t.Errorf("standard deviation %v, want %v", sd, c.sd)
			}
			if lasted := first - 499; v.reports < lasted-c.reports || v.reports > lasted+c.reports {
				t.Errorf("%d reports, want %d", v.reports, lasted)
			}
		})
	}
}

// TestSmirnovPOfAllArrangements counts the arrangements of two samples of n with a distance of h/n or more.
func TestSmirnovPOfAllArrangements(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 7; n++ {
		atLeast, all := make([]int, n+1), 0
		for mask := range 1 << (2 * n) {
			ahead, ones, widest := 0, 0, 0
			for bit := range 2 * n {
				step := 2*(mask>>bit&1) - 1
				ahead, ones = ahead+step, ones+(step+1)/2
				widest = max(widest, ahead, -ahead)
			}
			if ones != n {
				continue
			}
			all++
			for h := 0; h <= widest; h++ {
				atLeast[h]++
			}
		}
		for h := 1; h <= n; h++ {
			if want, got := float64(atLeast[h])/float64(all), smirnovP(n, h); math.Abs(got-want) > 1e-12 {
				t.Errorf("n %d, h %d: %v, want %v", n, h, got, want)
			}
		}
	}
}

func TestKswinDrawsWithoutReplacement(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sample := rapid.IntRange(1, kswinSample).Draw(t, "sample")
		from := make([]float64, rapid.IntRange(sample, kswinWindow).Draw(t, "of"))
		for i := range from {
			from[i] = float64(i)
		}
		d := &kswin{seed: rapid.Uint64().Draw(t, "seed")}
		drawn := make([]float64, sample)
		d.draw(drawn, from, rapid.Uint64().Draw(t, "n"))
		slices.Sort(drawn)
		if len(slices.Compact(drawn)) != sample || drawn[0] < 0 || drawn[sample-1] >= float64(len(from)) {
			t.Fatalf("drew %v of %d", drawn, len(from))
		}
	})
}

func TestKswinDrawsAllAlike(t *testing.T) {
	t.Parallel()
	from := make([]float64, 70)
	for i := range from {
		from[i] = float64(i)
	}
	const rounds = 7000
	var hits [70]int
	drawn := make([]float64, 30)
	for n := range rounds {
		(&kswin{}).draw(drawn, from, uint64(n))
		for _, x := range drawn {
			hits[int(x)]++
		}
	}
	expected, chi := rounds*30.0/70, 0.0
	for _, n := range hits {
		chi += (float64(n) - expected) * (float64(n) - expected) / (expected * 40 / 70)
	}
	if chi > 130 { // beyond the 99.99% point of χ² with 69 degrees of freedom
		t.Errorf("χ² of %v: %v", chi, hits)
	}
}

// TestAdwinWindow compares the buckets with the plain rule, and their sums with the values.
func TestAdwinWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(2, 9).Draw(t, "max_buckets")
		d := &adwin{delta: 0.002, clock: 10_000, maxBuckets: most, shortest: 5}
		values := rapid.SliceOfN(rapid.Float64Range(-9, 9), 1, 300).Draw(t, "values")
		memory, sizes := make([]float64, 0, d.room()), []int{}
		for _, value := range values {
			memory, _ = d.detect(memory, value)
			sizes = merged(append(sizes, 1), most)
		}
		if len(memory) != adwinHead+len(sizes) || !d.fits(memory) {
			t.Fatalf("memory %v, buckets of %v", memory, sizes)
		}
		from := 0
		for i, size := range sizes {
			part := spreadOf(values[from : from+size])
			if got := memory[adwinHead+i]; !near(got, part.mean*part.n) {
				t.Fatalf("bucket %d of %v: %v, want of %+v", i, sizes, got, part)
			}
			from += size
		}
		if all := spreadOf(values); !near(memory[1], all.mean*all.n) || !near(memory[2], all.squares) {
			t.Fatalf("window %v, want of %+v", memory[:adwinHead], all)
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(b)) }

func spreadOf(values []float64) (b baseline) {
	for _, x := range values {
		b = b.with(x)
	}
	return b
}

// merged joins the two oldest of each size of which there are too many; the oldest stand first.
func merged(sizes []int, most int) []int {
	for size := 1; ; size *= 2 {
		first := slices.Index(sizes, size)
		if first < 0 || first+most >= len(sizes) || sizes[first+most] != size {
			return sizes
		}
		sizes[first] = 2 * size
		sizes = slices.Delete(sizes, first+1, first+2)
	}
}

// TestAdwinCutsByDefinition compares the cut that is found with all cuts, each by the plain formula.
func TestAdwinCutsByDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := &adwin{delta: 0.3, clock: 10_000, maxBuckets: 3, shortest: float64(rapid.IntRange(1, 4).Draw(t, "shortest"))}
		u := uniform(rapid.Uint64().Draw(t, "seed"))
		jump := rapid.Float64Range(0, 3).Draw(t, "jump")
		noise := rapid.SampledFrom([]float64{0, 0.01, 1}).Draw(t, "noise")
		memory, sizes := make([]float64, 0, d.room()), []int{}
		n := rapid.IntRange(2, 200).Draw(t, "n")
		for i := range n {
			memory, _ = d.detect(memory, noise*u.next()+jump*float64(2*i/n))
			sizes = merged(append(sizes, 1), d.maxBuckets)
		}
		want, n0, u0 := 0.0, 0.0, 0.0
		for i, size := range sizes[:len(sizes)-1] {
			n0, u0 = n0+float64(size), u0+memory[adwinHead+i]
			n1, u1 := memory[0]-n0, memory[1]-u0
			if n0 < d.shortest || n1 < d.shortest {
				continue
			}
			logs, m := math.Log(2*math.Log(float64(n))/d.delta), 1/(n0-d.shortest+1)+1/(n1-d.shortest+1)
			bound := math.Sqrt(2*m*memory[2]/float64(n)*logs) + 2./3*logs*m
			want = max(want, math.Abs(u0/n0-u1/n1)/bound)
		}
		if c := d.check(memory); c.detected != (want > 1) && !near(want, 1) || c.detected && !near(c.statistic, want) {
			t.Fatalf("%+v, want a statistic of %v", c, want)
		}
	})
}

func TestAdwinWarmsUp(t *testing.T) {
	t.Parallel()
	values := append(make([]float64, 10), slices.Repeat([]float64{100}, 50)...)
	d := detectorOf(t, "adwin", Minimize, "clock", 1, "warm_up", 30, "delta", 0.9)
	if first, _ := degradedAt(verdicts(d, values)); first != 30 {
		t.Errorf("fires at %d, want at 30, when there are more than 30 values", first)
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		view        view
		value       float64
		seen, again float64
	}{
		{view{Minimize, whole}, 3, 3, 3},
		{view{Maximize, whole}, 3, -3, 3},
		{view{Minimize, whole}, 1e308, extreme, extreme},
		{view{Maximize, whole}, 1e308, -extreme, extreme},
		{view{Minimize, unit}, 0.25, 0.25, 0.25},
		{view{Maximize, unit}, 0.25, 0.75, 0.25},
		{view{Minimize, unit}, 7, 1, 1},
		{view{Maximize, unit}, 7, 0, 1},
		{view{Minimize, hits}, 0.5, 0, 0},
		{view{Minimize, hits}, 0.6, 1, 1},
		{view{Maximize, hits}, 0.6, 0, 1},
		{view{Maximize, hits}, 0.4, 1, 0},
	} {
		if seen := c.view.see(c.value); seen != c.seen || c.view.back(seen) != c.again {
			t.Errorf("%+v sees %v as %v, again %v", c.view, c.value, seen, c.view.back(seen))
		}
	}
}

// TestDamagedMemoryDoesNotFit changes one number of a sound memory to what it cannot be.
func TestDamagedMemoryDoesNotFit(t *testing.T) {
	t.Parallel()
	values := streamOf(t, "bernoulli 3 60,0.3,0")
	for name, places := range map[string]map[int][]float64{
		"shewhart":     {0: {0, -1, 2.5, 31}, 1: {1e200}, 2: {-1, 1e300}},
		"cusum":        {0: {0.5}, 3: {-1, 11}, 4: {1e301}, 5: {-1, 0.5}},
		"ewma":         {3: {1e301}, 4: {-0.1, 1.1}, 5: {-1, 0.5}},
		"best":         {},
		"page_hinkley": {0: {-1, 0.5, 1}, 5: {0, 0.5}, 6: {1e200}, 8: {0, 0.5, 1e9}, 11: {1e201}, 12: {1e201}},
		"adwin":        {0: {1}, 5: {0, 59, 60.5, 1e300}, 6: {1e200}, 7: {-1, 1e300}, 8: {1e200}},
		"kswin":        {5: {0, 59, 0.5, 200}, 6: {1e200}},
		"ddm":          {5: {0, 0.5}, 6: {-0.1, 1.1}, 7: {0, 61}, 8: {2}, 9: {-1, 2}, 10: {0.5}},
		"hddm_a":       {5: {0, 0.5}, 6: {1.1}, 7: {0, 61}, 8: {2}, 9: {0, 61}, 10: {2}, 11: {-1}},
		"hddm_w":       {5: {2}, 6: {-1}, 7: {0.5}, 8: {101}, 9: {2}, 10: {2}, 11: {2}, 12: {2}, 13: {-1}},
	} {
		d := detectorOf(t, name, Minimize)
		memory := d.fresh()
		for _, value := range values {
			memory, _ = d.update(memory, value)
		}
		if !d.fits(memory) || d.fits(append(slices.Clone(memory), 0)) || d.fits(memory[:len(memory)-1]) && name != "best" {
			t.Errorf("%s: sound memory %v, or its length", name, memory)
		}
		for place, damages := range places {
			for _, damage := range damages {
				damaged := slices.Clone(memory)
				if damaged[place] = damage; d.fits(damaged) {
					t.Errorf("%s: %v at %d of %v fits", name, damage, place, memory)
				}
			}
		}
	}
}
