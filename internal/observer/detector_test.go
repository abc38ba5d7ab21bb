package observer

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"testing"
)

func detectorOf(t fataler, name string, goal Goal, given ...any) detector {
	t.Helper()
	values := maps.Clone(specFor(name, goal).Options)
	if values == nil {
		values = map[string]any{}
	}
	for i := 0; i < len(given); i += 2 {
		values[given[i].(string)] = given[i+1]
	}
	o := &options{path: "test", values: values}
	d := kinds[name].build(o, goal)
	if err := o.finish(); err != nil {
		t.Fatal(err)
	}
	return d
}

// verdicts are those of all values.
func verdicts(d detector, values []float64) (all []verdict) {
	memory := d.fresh()
	for _, value := range values {
		var v verdict
		memory, v = d.update(memory, value)
		all = append(all, v)
	}
	return all
}

// degradedAt is the first and the last position that is degraded, −1 when none is.
func degradedAt(all []verdict) (first, last int) {
	first, last = -1, -1
	for i, v := range all {
		if v.degraded && first < 0 {
			first = i
		}
		if v.degraded {
			last = i
		}
	}
	return first, last
}

func TestOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for want, c := range map[string][]any{
		`test.limit: "x" is not a finite number: give one`:                                                    {"threshold", "limit", "x"},
		`test.limit: NaN is not a finite number: give one`:                                                    {"threshold", "limit", math.NaN()},
		`test.window: 0 is not an integer from 1 to 10000: give one, or leave it out for 20`:                  {"best", "window", 0},
		`test.sigmas: 0 is not a number from 0.1 to 1000: give one, or leave it out for 3`:                    {"shewhart", "sigmas", 0},
		`test.k: -1 is not a number from 0 to 100: give one, or leave it out for 0.5`:                         {"cusum", "k", -1},
		`test.lambda: 1.5 is not a number from 0.001 to 1: give one, or leave it out for 0.2`:                 {"ewma", "lambda", 1.5},
		`test.alpha: NaN is not a number from 0 to 1: give one, or leave it out for 0.9999`:                   {"page_hinkley", "alpha", math.NaN()},
		`test.max_buckets: 1 is not an integer from 2 to 100: give one, or leave it out for 5`:                {"adwin", "max_buckets", 1},
		`test.delta: 1 is not a number from 1e-12 to 0.999: give one, or leave it out for 0.002`:              {"adwin", "delta", 1},
		`test.window: 59 is not at least twice the sample (30): give one, or leave it out for 100`:            {"kswin", "window", 59},
		`test.sample: 4 is not large enough for a test at alpha 0.005: give one, or leave it out for 30`:      {"kswin", "sample", 4},
		`test.drift: 101 is not a number from 0 to 100: give one, or leave it out for 3`:                      {"ddm", "drift", 101},
		`test.two_sided: 1 is not true or false: give one, or leave it out for false`:                         {"hddm_a", "two_sided", 1},
		`test.drift_confidence: 0 is not a number from 1e-12 to 0.999: give one, or leave it out for 0.001`:   {"hddm_w", "drift_confidence", 0},
		`test.seed: -1 is not an integer from 0 to 9007199254740992: give one, or leave it out for 0`:         {"kswin", "seed", -1},
		`test.warning: "2" is not a number from 0 to 100: give one, or leave it out for 2`:                    {"ddm", "warning", "2"},
		`test.min_window_length: 0.5 is not an integer from 1 to 10000: give one, or leave it out for 5`:      {"adwin", "min_window_length", 0.5},
		`test.h: 0 is not a number from 0.1 to 1000: give one, or leave it out for 5`:                         {"cusum", "h", 0},
		`test.warm_up: 1 is not an integer from 2 to 10000: give one, or leave it out for 30`:                 {"shewhart", "warm_up", 1},
		`test.threshold: -0.1 is not a number ≥ 0: give one, or leave it out for 0.05`:                        {"best", "threshold", -0.1},
		`test.warning_confidence: 1 is not a number from 1e-12 to 0.999: give one, or leave it out for 0.005`: {"hddm_a", "warning_confidence", 1},
		`test.clock: 0 is not an integer from 1 to 10000: give one, or leave it out for 32`:                   {"adwin", "clock", 0},
		`test.threshold: +Inf is not a number from 0 to 1e+100: give one, or leave it out for 50`:             {"page_hinkley", "threshold", math.Inf(1)},
		`test.no_such: is not an option of this detector: remove it or give one of warm_up, sigmas`:           {"shewhart", "no_such", 1},
		`test.lambda: 0 is not a number from 0.001 to 1: give one, or leave it out for 0.05`:                  {"hddm_w", "lambda", 0},
		`test.sample: 257 is not an integer from 2 to 256: give one, or leave it out for 30`:                  {"kswin", "sample", 257},
		`test.window: 4097 is not an integer from 4 to 4096: give one, or leave it out for 100`:               {"kswin", "window", 4097},
		`test.alpha: 0.6 is not a number from 1e-12 to 0.5: give one, or leave it out for 0.005`:              {"kswin", "alpha", 0.6},
	} {
		o := &options{path: "test", values: map[string]any{c[1].(string): c[2]}}
		kinds[c[0].(string)].build(o, Minimize)
		if err := o.finish(); err == nil || err.Error() != want {
			t.Errorf("%v:\ngot  %v\nwant %s", c, err, want)
		}
	}
}

// TestUpdateDoesNotAllocate also at changes, where detectors start over.
func TestUpdateDoesNotAllocate(t *testing.T) {
	values := streamOf(t, "bernoulli 1 500,0.1,0 500,0.9,0 500,0.3,0 500,0.8,0")
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		d := detectorOf(t, name, Minimize)
		memory := make([]float64, cap(d.fresh()))[:0]
		if n := testing.AllocsPerRun(3, func() {
			for _, value := range values {
				memory, _ = d.update(memory, value)
			}
		}); n != 0 {
			t.Errorf("%s allocates %v times in %d updates", name, n, len(values))
		}
	}
}

// FuzzRestoreUpdate goes on from any memory that fits takes: it stays finite and fitting, and nothing panics.
func FuzzRestoreUpdate(f *testing.F) {
	names := slices.Sorted(maps.Keys(kinds))
	for i, name := range names {
		for j, length := range []int{1, 40, 130, 700} {
			d := detectorOf(f, name, Minimize)
			memory := d.fresh()
			for k := range length {
				memory, _ = d.update(memory, []float64{0, 1, 0, 1e308, -1e308, 5e-324}[(k*k+k/7)%(2+j)])
			}
			f.Add(uint8(i), encode(memory), encode([]float64{0.5, 1e308, -1e308, 1, 1, 0}))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, stored, coming []byte) {
		name := names[int(kind)%len(names)]
		d := detectorOf(t, name, Goal(kind/128))
		memory := decode(stored)
		if !d.fits(memory) {
			return
		}
		memory = append(d.fresh(), memory...)
		values := decode(coming)
		for i := range 100 {
			if len(values) == 0 {
				return
			}
			var v verdict
			memory, v = d.update(memory, values[i%len(values)])
			checkSound(t, name, d, memory, v)
		}
	})
}

func checkSound(t *testing.T, name string, d detector, memory []float64, v verdict) {
	t.Helper()
	if slices.ContainsFunc(memory, notFiniteValue) {
		t.Fatalf("%s: memory %v", name, memory)
	}
	if len(memory) > cap(d.fresh()) {
		t.Fatalf("%s: memory of %d, at first with room for %d", name, len(memory), cap(d.fresh()))
	}
	if !finite(v.deviations) || !finite(v.statistic) || math.IsInf(v.limit, 0) || !finite(v.reference) || v.reports < 0 {
		t.Fatalf("%s: verdict %+v", name, v)
	}
}

func encode(values []float64) (data []byte) {
	for _, value := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(value))
	}
	return data
}

// decode leaves out what is not finite, as the monitor does.
func decode(data []byte) (values []float64) {
	for ; len(data) >= 8; data = data[8:] {
		if x := math.Float64frombits(binary.LittleEndian.Uint64(data)); finite(x) {
			values = append(values, x)
		}
	}
	return values
}

func BenchmarkUpdate(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		b.Run(name, func(b *testing.B) {
			d := detectorOf(b, name, Minimize)
			u := uniform(1)
			values := make([]float64, 1<<14)
			for i := range values {
				values[i] = u.next()
				if ofErrors(name) {
					values[i] = math.Round(values[i])
				}
			}
			memory := d.fresh()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				memory, _ = d.update(memory, values[i%(1<<14)])
				i++
			}
		})
	}
}
