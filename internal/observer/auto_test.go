package observer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func autoOf(t fataler, goal Goal, given ...any) *auto {
	return detectorOf(t, "auto", goal, given...).(*auto)
}

// TestAutoFalseAlarmsAreAsRareAsPromised fails when a limit is wrong by a factor of three in the rate. The measured
// rates are within ×0.75 … ×1.3 of the promise for all of these; see TestAutoRates.
func TestAutoFalseAlarmsAreAsRareAsPromised(t *testing.T) {
	t.Parallel()
	for _, n := range []int{370, 1000} {
		d := autoOf(t, Minimize, "false_alarms", n)
		for _, name := range []string{"gaussian", "log-normal", "AR(0.5)"} {
			alarms, reports := falseAlarms(d, autoStreams[name], 400, 20*n, 1)
			if rate := alarms / reports * float64(n); rate < 0.5 || rate > 2 {
				t.Errorf("%s: 1 false alarm per %.0f reports, promised 1 per %d", name, reports/alarms, n)
			}
		}
	}
	d := autoOf(t, Minimize)
	alarms, reports := falseAlarms(d, autoStreams["gaussian"], 100, 200_000, 2)
	if rate := alarms / reports * 10_000; rate < 0.5 || rate > 2 {
		t.Errorf("1 false alarm per %.0f reports, promised 1 per 10000", reports/alarms)
	}
}

func TestAutoFindsChangesSoon(t *testing.T) {
	t.Parallel()
	shift := func(size float64) func(int) float64 { return func(int) float64 { return size } }
	ramp := func(slope float64) func(int) float64 { return func(t int) float64 { return slope * float64(t) } }
	for what, c := range map[string]struct {
		n      int
		change func(int) float64
		mean   float64
	}{
		"a shift of 1 at 370":      {370, shift(1), 12},
		"a shift of 1 at 10000":    {10_000, shift(1), 28},
		"a jump of 10 at 10000":    {10_000, shift(10), 3},
		"a ramp of 0.02 at 370":    {370, ramp(0.02), 45},
		"a ramp of 0.02 at 10000":  {10_000, ramp(0.02), 60},
		"a ramp of 0.002 at 10000": {10_000, ramp(0.002), 350},
	} {
		all := delays(autoOf(t, Minimize, "false_alarms", c.n), autoStreams["gaussian"], c.change, 300, 100, 5000)
		if got := mean(all); got > c.mean || slices.Max(all) == 5000 {
			t.Errorf("%s standard deviations: found after %.1f reports on average, at the latest after %.0f; want %v",
				what, got, slices.Max(all), c.mean)
		}
	}
}

// autoHealthy is a model around 5 with standard deviation 0.1, and its memory after so many reports.
func autoHealthy(d *auto, seed uint64, reports int) (next func() float64, memory []float64) {
	r := rand.New(rand.NewPCG(seed, 0))
	next = func() float64 { return 5 + 0.1*r.NormFloat64() }
	memory = d.fresh()
	for range reports {
		memory, _ = d.update(memory, next())
	}
	return next, memory
}

func TestAutoVerdict(t *testing.T) {
	t.Parallel()
	for _, goal := range []Goal{Minimize, Maximize} {
		d := autoOf(t, goal)
		next, memory := autoHealthy(d, 1, 100)
		for i := 1; ; i++ {
			var v verdict
			memory, v = d.update(memory, next()+0.3*goal.sign())
			if math.Abs(v.reference-5) > 0.03 || !math.IsNaN(v.limit) || v.degraded != (v.statistic >= 1) {
				t.Fatalf("report %d: %+v", i, v)
			}
			if v.degraded && (v.reports < i || v.reports > i+10 || v.deviations < 1.5 || v.deviations > 4) {
				t.Fatalf("a shift of 3 standard deviations is found after %d reports: %+v", i, v)
			}
			if v.degraded {
				break
			}
			if i == 10 {
				t.Fatalf("%v: a shift of 3 standard deviations is not found in 10 reports", goal)
			}
		}
	}
}

// TestAutoOutliers also takes them for what they are when they stand in the warm-up.
func TestAutoOutliers(t *testing.T) {
	t.Parallel()
	for _, crazy := range []float64{6, 100, 1e100} {
		for _, n := range []int{100, 1000, 10_000} {
			d := autoOf(t, Minimize, "false_alarms", n)
			alone, three := 0, 0
			for seed := range uint64(200) {
				next, memory := autoHealthy(d, seed, 10)
				memory, _ = d.update(memory, crazy/2)
				for range 200 {
					memory, _ = d.update(memory, next())
				}
				autoSettle(memory)
				var v verdict
				for i := range 3 {
					if memory, v = d.update(memory, crazy); v.degraded && i == 0 {
						alone++
					}
				}
				if v.degraded {
					three++
				}
			}
			if alone > 0 || three < 190 {
				t.Errorf("false_alarms %d: of 200 models, %d alarm at one value of %v, %d at three", n, alone, crazy, three)
			}
		}
	}
}

// TestAutoStaysDegraded at a level that does not change, and is healthy soon after that is back.
func TestAutoStaysDegraded(t *testing.T) {
	t.Parallel()
	d := autoOf(t, Minimize, "false_alarms", 1000)
	for _, shift := range []float64{0.1, 0.2, 0.5, 5} {
		edges, back := 0, 0
		const models = 100
		for seed := range uint64(models) {
			next, memory := autoHealthy(d, seed, 300)
			autoSettle(memory)
			var v verdict
			was := false
			for range 500 {
				if memory, v = d.update(memory, next()+shift); v.degraded && !was {
					edges++
				}
				was = v.degraded
			}
			for range 60 {
				memory, v = d.update(memory, next())
			}
			if !v.degraded {
				back++
			}
		}
		if edges < models || edges > models*12/10 || back < models*9/10 {
			t.Errorf("a shift of %v: %d models degrade %d times in 500 reports, %d recover", shift, models, edges, back)
		}
	}
}

func TestAutoConstantThenNoise(t *testing.T) {
	t.Parallel()
	for _, constant := range []float64{0, 1, -3, 0.98, 1e6} {
		for _, noise := range []float64{1e-12, 1e-6, 1e-4} {
			noise *= math.Abs(constant) + 1e-6
			d := autoOf(t, Minimize)
			r := rand.New(rand.NewPCG(3, 3))
			memory, alarms := d.fresh(), 0
			for i := range 400 { // later the noise is what is normal, and alarms are as rare as promised
				value, v := constant, verdict{}
				if i >= 50 {
					value += noise * r.NormFloat64()
				}
				if memory, v = d.update(memory, value); v.degraded {
					alarms++
				}
			}
			if alarms > 0 {
				t.Errorf("%v, then noise of %v: degraded for %d reports", constant, noise, alarms)
			}
			degraded := false
			for range 10 {
				var v verdict
				memory, v = d.update(memory, constant+0.1*math.Abs(constant)+0.1)
				degraded = degraded || v.degraded
			}
			if !degraded {
				t.Errorf("%v, noise of %v, then a tenth more: healthy", constant, noise)
			}
		}
	}
}

// TestAutoLearnsOnlyWhileHealthy and only so much.
func TestAutoLearnsOnlyWhileHealthy(t *testing.T) {
	t.Parallel()
	d := autoOf(t, Minimize)
	if _, some := autoHealthy(d, 4, 5000); some[autoAdmitted] < autoLarge || some[autoAdmitted] > 800 {
		t.Errorf("the reference stands for %v values after 5000 reports", some[autoAdmitted])
	}
	_, long := autoHealthy(d, 4, 40_000)
	if n := long[autoAdmitted]; n < autoEnough || n >= autoEnough+autoBatch {
		t.Errorf("the reference stands for %v values after 40000 reports", n)
	}
	next, memory := autoHealthy(d, 4, 60)
	v := verdict{}
	for !v.degraded {
		memory, v = d.update(memory, next()+0.3)
	}
	before := slices.Clone(memory[autoValues:])
	for range 500 {
		memory, v = d.update(memory, next()+0.3)
	}
	if !v.degraded || !slices.Equal(before, memory[autoValues:]) {
		t.Errorf("the reference changed from %v to %v while degraded (%+v)", before, memory[autoValues:], v)
	}
}

// TestAutoOfAnyUnit finds the same in values that are all multiplied by, or moved by, the same number.
func TestAutoOfAnyUnit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		factor := math.Ldexp(1, rapid.IntRange(-100, 100).Draw(t, "exponent"))
		seed, shift := rapid.Uint64().Draw(t, "seed"), rapid.Float64Range(-1, 3).Draw(t, "shift")
		r := rand.New(rand.NewPCG(seed, 1))
		d := autoOf(t, Minimize, "false_alarms", 100)
		plain, scaled := d.fresh(), d.fresh()
		for i := range 300 {
			x := r.NormFloat64()
			if i > 100 {
				x += shift
			}
			var v, w verdict
			plain, v = d.update(plain, x)
			scaled, w = d.update(scaled, factor*x)
			if v.degraded != w.degraded || v.statistic != w.statistic || v.reference*factor != w.reference {
				t.Fatalf("report %d: %+v, times %v: %+v", i, v, factor, w)
			}
		}
	})
}

// TestAutoMergeKeepsTheDistribution of values that come in batches.
func TestAutoMergeKeepsTheDistribution(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	var all, batch []float64
	markers := make([]float64, 0, autoMarkers)
	for len(all) < 640 {
		batch = batch[:0]
		for range autoBatch {
			batch = append(batch, r.ExpFloat64())
		}
		slices.Sort(batch)
		before := slices.Clone(markers)
		n := float64(len(all))
		all = append(all, batch...)
		markers = markers[:min(len(all), autoMarkers)]
		autoMerge(markers, before, n/max(float64(len(before)), 1), batch)
	}
	slices.Sort(all)
	for i, x := range markers {
		rank, _ := slices.BinarySearch(all, x)
		if want := (float64(i) + 0.5) * 10; math.Abs(float64(rank)-want) > 15 {
			t.Errorf("quantile %d of %d has rank %d of %d, want %v", i, autoMarkers, rank, len(all), want)
		}
	}
}

// TestAutoMergeKeepsLevels of a discrete metric apart.
func TestAutoMergeKeepsLevels(t *testing.T) {
	t.Parallel()
	d := autoOf(t, Minimize)
	r := rand.New(rand.NewPCG(6, 6))
	memory := d.fresh()
	for range 3000 {
		memory, _ = d.update(memory, float64(r.IntN(3)))
	}
	if levels := slices.Compact(slices.Clone(memory[autoValues:])); !slices.Equal(levels, []float64{0, 1, 2}) {
		t.Errorf("of values 0, 1 and 2 the reference has %v", levels)
	}
}

func TestAutoMemoryIsSmall(t *testing.T) {
	t.Parallel()
	if bytes := 9 * cap(autoOf(t, Minimize).fresh()); bytes > 950 {
		t.Errorf("the memory of a model takes %d bytes", bytes)
	}
}

func TestAutoOptions(t *testing.T) {
	t.Parallel()
	for _, same := range []any{"1 per 2000", " 1  per 2e3 ", 2000, 2000.0} {
		if got, want := autoOf(t, Minimize, "false_alarms", same), autoOf(t, Minimize, "false_alarms", 2000); *got != *want {
			t.Errorf("false_alarms %v: %+v, want %+v", same, got, want)
		}
	}
	if got, want := autoOf(t, Minimize), autoOf(t, Minimize, "false_alarms", 10_000, "warm_up", 30); *got != *want {
		t.Errorf("defaults %+v, want %+v", got, want)
	}
	for _, wrong := range []any{"1 per 99", "2 per 1000", "1per 1000", "often", 99, 1e7 + 1, math.NaN(), true, "1 per NaN"} {
		given := &options{path: "monitor[0]", values: map[string]any{"false_alarms": wrong}}
		newAuto(given, Minimize)
		want := mistake("monitor[0].false_alarms", wrong, `"1 per N" with N from 100 to 10000000`, "give one, or leave it out for 1 per 10000").Error()
		if err := given.finish(); err == nil || err.Error() != want {
			t.Errorf("%v:\ngot  %v\nwant %s", wrong, err, want)
		}
	}
}

func TestAutoLimitsGrowWithTheReports(t *testing.T) {
	t.Parallel()
	fast, slow := autoLimits(99)
	for n := 100.0; n < 1e6; n *= 1.1 {
		f, s := autoLimits(n)
		if f <= fast || s <= slow || f-fast > 0.15 || s-slow > 0.5 {
			t.Errorf("limits %v, %v at 1 per %v, after %v, %v", f, s, n, fast, slow)
		}
		fast, slow = f, s
	}
}

// TestAutoFindsShortFailures: the error of a forecast is many times its usual size for some ten reports. It also
// wanders, so that each report foretells the next, and of what is foretold nothing would be left.
func TestAutoFindsShortFailures(t *testing.T) {
	t.Parallel()
	d := autoOf(t, Minimize)
	r := rand.New(rand.NewPCG(1, 1))
	memory, v, level := d.fresh(), verdict{}, 0.0
	for i := range 400 {
		level = 0.8*level + 0.3*r.NormFloat64()
		value := 3 + level
		if i%100 >= 50 && i%100 < 60 {
			value += 75
		}
		memory, v = d.update(memory, value)
		if before, third := i%100 == 49, i%100 == 52; before && v.degraded || third && !v.degraded {
			t.Errorf("report %d, value %v: degraded %v", i, value, v.degraded)
		}
	}
}
