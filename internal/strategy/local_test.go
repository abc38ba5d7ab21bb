package strategy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// liveTuning plays trainers that report out of order: each measures the config it was given last.
type liveTuning struct {
	options  tree
	space    *Space
	start    map[string]any
	trainers int
	reports  int
	noise    float64
	truth    func(report int, config map[string]any) float64 // without noise
}

// play returns the mean true value of the best config over the second half, and the last memory.
func (l liveTuning) play(t testing.TB, seed uint64) (mean float64, m *Memory) {
	t.Helper()
	s := mustNew(t, "local", l.options, l.space).(local)
	random := rand.New(rand.NewPCG(seed, 1))
	running := make([]map[string]any, max(l.trainers, 1))
	for i := range running {
		running[i] = l.start
	}
	for report := range l.reports {
		config := &running[random.IntN(len(running))]
		m = s.Learn(m, s.goal, *config, l.truth(report, *config)+l.noise*random.NormFloat64())
		*config = suggest(t, s, Request{Number: report, Seed: seed, Base: *config, Memory: m})
		if report >= l.reports/2 {
			mean += l.truth(report, m.Best) / float64(l.reports-l.reports/2)
		}
	}
	return mean, m
}

func (l liveTuning) meanOf(t testing.TB, seeds int) (mean float64) {
	for seed := range seeds {
		value, _ := l.play(t, uint64(seed))
		mean += value / float64(seeds)
	}
	return mean
}

// distance is the squared distance of all numbers from an optimum, in the logarithm.
func distance(config map[string]any, optimum float64) (sum float64) {
	for _, v := range config {
		if x, ok := number(v); ok {
			sum += math.Pow(math.Log(x/optimum), 2)
		}
	}
	return sum
}

var twoRates = tree{"a": 3.0, "b": 3.0, "name": "x", "on": true}

func TestLocalConverges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trainers int
		noise    float64
		most     float64 // of a start at 2.4
	}{{1, 0, 0.001}, {8, 0, 0.02}, {1, 0.05, 0.08}, {8, 0.05, 0.1}, {1, 0.3, 0.4}, {8, 0.3, 0.4}} {
		l := liveTuning{start: twoRates, trainers: c.trainers, reports: 400, noise: c.noise}
		l.truth = func(_ int, config map[string]any) float64 { return distance(config, 1) }
		if got := l.meanOf(t, 10); got > c.most {
			t.Errorf("%d trainers, noise %g: the best config is at %.4f, want at most %g", c.trainers, c.noise, got, c.most)
		}
		l.options = tree{"goal": "maximize", "metric": "gain"}
		l.truth = func(_ int, config map[string]any) float64 { return -distance(config, 1) }
		if got := l.meanOf(t, 10); -got > c.most {
			t.Errorf("%d trainers, noise %g, maximising: the best config is at %.4f", c.trainers, c.noise, got)
		}
	}
}

// Who stands still would be at 3 on average.
func TestLocalFollowsMovingOptimum(t *testing.T) {
	t.Parallel()
	for _, trainers := range []int{1, 8} {
		for _, noise := range []float64{0, 0.05, 0.3} {
			l := liveTuning{start: tree{"a": 1.0, "b": 1.0}, trainers: trainers, reports: 400, noise: noise}
			l.truth = func(report int, config map[string]any) float64 {
				return distance(config, math.Exp(0.004*float64(report)))
			}
			if got := l.meanOf(t, 10); got > 0.5 {
				t.Errorf("%d trainers, noise %g: the best config is at %.3f", trainers, noise, got)
			}
		}
	}
}

func TestLocalTunesIntegersAndAxes(t *testing.T) {
	t.Parallel()
	l := liveTuning{start: tree{"depth": 3, "units": 500}, reports: 300, truth: func(_ int, config map[string]any) float64 {
		depth, _ := number(config["depth"])
		units, _ := number(config["units"])
		return math.Abs(depth-6) + math.Abs(math.Log(units/100))
	}}
	l.start = normal(l.start)
	if got := l.meanOf(t, 10); got > 0.8 {
		t.Errorf("whole numbers as floats: the best config is at %.3f", got)
	}
	l.space = mustParse(t, tree{
		"depth": tree{"type": "int", "low": 1, "high": 10},
		"model": tree{"type": "categorical", "choices": []any{"a", "b", "c"}},
		"rate":  tree{"type": "float", "low": 1e-5, "high": 1, "log": true},
	})
	l.start = tree{"depth": int64(9), "model": "a", "rate": 0.5, "other": "kept"}
	l.truth = func(_ int, config map[string]any) float64 {
		value := math.Abs(float64(config["depth"].(int64)-4)) + math.Abs(math.Log10(config["rate"].(float64)/1e-3))
		if config["model"] != "b" {
			value++
		}
		return value
	}
	if got := l.meanOf(t, 10); got > 0.3 {
		t.Errorf("axes: the best config is at %.3f", got)
	}
}

// Without noise in the way, one value too good to be true must not end the search.
func TestLocalForgetsLuck(t *testing.T) {
	t.Parallel()
	l := liveTuning{start: twoRates, reports: 400, truth: func(report int, config map[string]any) float64 {
		if report == 5 {
			return -100
		}
		return distance(config, 1)
	}}
	if got := l.meanOf(t, 5); got > 0.01 {
		t.Fatalf("the best config is at %.3f", got)
	}
}

// A trainer that adds a counter to its config never reports the best config again.
func TestLocalForgetsSilence(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "local", nil, nil).(local)
	m := s.Learn(nil, Minimize, tree{"rate": 1.0, "epoch": 0}, -100)
	for epoch := 1; epoch <= longSilence+1; epoch++ {
		m = s.Learn(m, Minimize, tree{"rate": 1.0, "epoch": epoch}, 1)
	}
	if m.Value != 1 || m.Best["epoch"] != int64(longSilence+1) {
		t.Fatalf("still at %v", m)
	}
}

func drawLive(t *rapid.T) map[string]any {
	value := rapid.OneOf(
		rapid.Float64().AsAny(), rapid.Int64().AsAny(), rapid.Int64Range(-3, 3).AsAny(),
		rapid.Float64Range(-10, 10).AsAny(), rapid.String().AsAny(), rapid.Bool().AsAny(),
		rapid.SampledFrom([]any{math.NaN(), math.Inf(1), 0.0, 5e-324, math.MaxFloat64, int64(math.MinInt64)}),
	)
	return rapid.MapOfN(rapid.StringN(1, 5, -1), value, 1, 5).Draw(t, "config")
}

// Whatever a trainer reports: numbers are floats, signs stay, strings and bools pass, nothing is changed in place.
func TestLocalKeepsSigns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := local{metric: "loss", sigma: rapid.Float64Range(1e-3, 1).Draw(t, "sigma")}
		config := drawLive(t)
		before := maps.Clone(config)
		var m *Memory
		for n := range rapid.IntRange(1, 20).Draw(t, "reports") {
			value := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(-1), 1e300})).Draw(t, "value")
			m = s.Learn(m, Minimize, config, value)
			next, err := s.Suggest(Request{Number: n, Base: config, Memory: m})
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range before {
				checkMove(t, v, next[name])
			}
			if len(next) != len(before) {
				t.Fatalf("%v became %v", before, next)
			}
			config = next
		}
	})
}

func checkMove(t *rapid.T, from, to any) {
	x, isNumber := number(from)
	y, _ := number(to)
	switch {
	case isNumber && reflect.TypeOf(to) != reflect.TypeFor[float64](), !isNumber && reflect.TypeOf(from) != reflect.TypeOf(to):
		t.Fatalf("%v (%T) became %v (%T)", from, from, to, to)
	case !isNumber && from != to, isNumber && !math.IsNaN(x) && (math.Signbit(x) != math.Signbit(y) || (x == 0) != (y == 0)):
		t.Fatalf("%v became %v", from, to)
	}
}

func TestLocalLearnIsPure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := local{metric: "loss", sigma: 0.1}
		config := tree{"a": 1.0}
		m := s.Learn(nil, Minimize, config, 1)
		for range rapid.IntRange(1, 8).Draw(t, "reports") {
			before := *m
			before.Best = maps.Clone(m.Best)
			config = tree{"a": rapid.SampledFrom([]float64{1, 2, 3}).Draw(t, "a")}
			next := s.Learn(m, Minimize, config, rapid.Float64Range(-5, 5).Draw(t, "value"))
			if config["a"] = 9.0; next.Best["a"] == 9.0 || !reflect.DeepEqual(before, *m) {
				t.Fatalf("%v became %v", before, *m)
			}
			m = next
		}
	})
}

// Multiplying parameters or values by a power of two is exact: everything must scale with it.
func TestLocalIsInvariantToScale(t *testing.T) {
	t.Parallel()
	play := func(unit, scale float64) map[string]any {
		l := liveTuning{start: tree{"a": 3 * unit, "b": -3 * unit}, reports: 100, noise: scale / 8}
		l.truth = func(_ int, config map[string]any) float64 {
			a, b := config["a"].(float64)/unit, -config["b"].(float64)/unit
			return scale * (a*a + b*b - a)
		}
		_, m := l.play(t, 7)
		return m.Best
	}
	one, other := play(1, 1), play(1<<20, 1<<30)
	for name, v := range one {
		if other[name] != v.(float64)*(1<<20) {
			t.Fatalf("%v and %v", one, other)
		}
	}
}

func TestLocalWithoutValue(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "local", nil, nil).(local)
	m := s.Learn(nil, Minimize, tree{"a": 1.0}, 2)
	near := func(config map[string]any, centre float64) bool {
		return math.Abs(math.Log(config["a"].(float64)/centre)) < 0.6
	}
	base := tree{"a": 1000.0}
	if got := suggest(t, s, Request{Base: base, Memory: m}); !near(got, 1) {
		t.Errorf("%v is not near the best config", got)
	}
	if got := suggest(t, s, Request{Base: base}); !near(got, 1000) {
		t.Errorf("%v is not near the base", got)
	}
	other := mustNew(t, "local", tree{"metric": "f1"}, nil)
	if got := suggest(t, other, Request{Base: base, Memory: m}); !near(got, 1000) {
		t.Errorf("%v is near the best config of another metric", got)
	}
	if got := suggest(t, s, Request{Base: tree{"a": 1000.0, "new": 1}, Memory: m}); !near(got, 1000) {
		t.Errorf("%v is near the best of configs of another kind", got)
	}
	_, err := s.Suggest(Request{})
	if got := message(t, err); got != "config: is missing: report one to start from, or give a space" {
		t.Error(got)
	}
}

// A store may give back other number types, a trainer 32-bit numbers.
func TestLocalRecognisesItsConfigs(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "local", nil, nil).(local)
	m := &Memory{Metric: "loss", Best: tree{"a": 0.1, "n": int8(3)}, Value: 1, Weight: 1, Sigma: 0.1}
	next := s.Learn(m, Minimize, tree{"a": float64(float32(0.1)), "n": 3.0}, 2)
	if next.Repeats != 1 || next.Value != 1.5 {
		t.Errorf("not taken for the best config: %+v", next)
	}
	got := suggest(t, s, Request{Number: recheck - 1, Memory: next, Base: tree{"a": 7.0, "n": 3}})
	if want := (tree{"a": 0.1, "n": 3.0}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
}

func TestLocalStaysInItsSpace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		description, _ := drawSpace(t, false)
		space, err := ParseSpace(description)
		if err != nil {
			t.Fatal(err)
		}
		s := local{space: space, cube: newCube(space), metric: "loss", sigma: 0.3}
		config := space.Sample(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		var m *Memory
		for n := range 10 {
			m = s.Learn(m, Minimize, config, rapid.Float64Range(0, 1).Draw(t, "value"))
			if config, err = s.Suggest(Request{Number: n, Base: config, Memory: m}); err != nil {
				t.Fatal(err)
			}
			if err := space.Check(config); err != nil {
				t.Fatalf("%v: %v", config, err)
			}
		}
	})
}

func TestLocalInStudy(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"rate":  tree{"type": "float", "low": 1e-5, "high": 1, "log": true},
		"width": tree{"type": "int", "low": 1, "high": 1000, "log": true},
	})
	s := mustNew(t, "local", nil, space)
	r := Request{Seed: 2}
	best := math.Inf(1)
	for n := range 150 {
		r.Number, r.Index = n, n
		config := suggest(t, s, r)
		value := math.Abs(math.Log(config["rate"].(float64)/1e-3)) + math.Abs(math.Log(float64(config["width"].(int64))/50))
		best = min(best, value)
		r.History = append(r.History, Trial{Number: n, Config: config, State: Complete, Value: value})
	}
	if best > 0.02 {
		t.Fatalf("best at %v", best)
	}
}

func TestLocalMemoryIsSmall(t *testing.T) {
	t.Parallel()
	start := tree{}
	for i := range 5 {
		start[fmt.Sprint("parameter_", i)] = 0.1 + float64(i)
	}
	l := liveTuning{start: start, reports: 50, noise: 1, truth: func(_ int, config map[string]any) float64 { return distance(config, 1) }}
	_, m := l.play(t, 1)
	if text, err := json.Marshal(m); err != nil || len(text) > 400 {
		t.Fatalf("%d bytes of JSON, %v: %s", len(text), err, text)
	}
}

func TestLocalOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options tree
		want    string
	}{
		{tree{"metric": 1}, "options.metric: 1 is not the name of a metric: give one, such as loss"},
		{tree{"metric": ""}, `options.metric: "" is not the name of a metric: give one, such as loss`},
		{tree{"goal": "min"}, `options.goal: "min" is not a goal: give minimize or maximize`},
		{tree{"sigma": 0}, "options.sigma: 0 is no step to take: give more than 0 and at most 1, such as 0.1"},
		{tree{"sigma": 1.5}, "options.sigma: 1.5 is no step to take: give more than 0 and at most 1, such as 0.1"},
		{tree{"rate": 1}, "options.rate: is not an option of the strategy: use metric, goal, sigma"},
	} {
		_, err := New("local", c.options, nil)
		if got := message(t, err); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
	s := mustNew(t, "local", tree{"metric": "f1", "goal": "maximize"}, nil)
	if metric, goal, ok := Objective(s); metric != "f1" || goal != Maximize || !ok {
		t.Errorf("the objective is %q, %v, %v", metric, goal, ok)
	}
	if _, _, ok := Objective(mustNew(t, "step", nil, nil)); ok {
		t.Error("step has an objective")
	}
}
