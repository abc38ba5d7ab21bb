package insight

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/visutility/retune/internal/strategy"
)

type spec = map[string]any

func mustParse(t testing.TB, description spec) *strategy.Space {
	t.Helper()
	s, err := strategy.ParseSpace(description)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sampled are complete trials of n random configs.
func sampled(s *strategy.Space, n int, f func(config spec) float64) []strategy.Trial {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	trials := make([]strategy.Trial, n)
	for i := range trials {
		config := s.Sample(random)
		trials[i] = strategy.Trial{Number: i, Config: config, Value: f(config), State: strategy.Complete}
	}
	return trials
}

func measure(t testing.TB, s *strategy.Space, trials []strategy.Trial) (Importance, map[string]float64) {
	t.Helper()
	found, err := Measure(s, trials)
	if err != nil {
		t.Fatal(err)
	}
	shares := map[string]float64{}
	for _, share := range found.Shares {
		shares[share.Parameter] = share.Share
	}
	return found, shares
}

func unit() spec { return spec{"type": "float", "low": 0, "high": 1} }

func number(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return math.NaN()
}

// The ranges contain the shares of the first-order Sobol indices of the ranks.
func TestKnownFunctions(t *testing.T) {
	t.Parallel()
	var hosts []any
	for i := range 800 {
		hosts = append(hosts, fmt.Sprint("host", i))
	}
	for _, c := range []struct {
		name  string
		space spec
		f     func(spec) float64
		want  map[string][2]float64
	}{
		{"linear", spec{"x": unit(), "y": unit(), "z": unit()},
			func(c spec) float64 { return 10*number(c["x"]) + number(c["y"]) },
			map[string][2]float64{"x": {0.9, 1}, "y": {0, 0.1}, "z": {0, 0.03}}},
		{"two to one", spec{"x": unit(), "y": unit(), "z": unit()}, // 0.81 and 0.19
			func(c spec) float64 { return 2*number(c["x"]) + number(c["y"]) },
			map[string][2]float64{"x": {0.7, 0.9}, "y": {0.1, 0.3}, "z": {0, 0.03}}},
		{"log axis", spec{"lr": spec{"type": "float", "low": 1e-6, "high": 1, "log": true}, "x": unit()},
			func(c spec) float64 { return math.Abs(math.Log10(number(c["lr"]))+3) + 1.5*number(c["x"]) }, // 0.8 and 0.2
			map[string][2]float64{"lr": {0.7, 0.9}}},
		{"integers on a log axis", spec{"n": spec{"type": "int", "low": 1, "high": 100_000, "log": true}, "x": unit()},
			func(c spec) float64 { return math.Log10(number(c["n"])) + 2.5*number(c["x"]) }, // 0.8 and 0.2
			map[string][2]float64{"n": {0.7, 0.9}}},
		{"category", spec{"opt": spec{"type": "categorical", "choices": []any{"a", true, 1, 2.5}}, "x": unit()},
			func(c spec) float64 {
				return map[any]float64{"a": 3, true: 0, int64(1): 3, 2.5: 0}[c["opt"]] + number(c["x"])
			},
			map[string][2]float64{"opt": {0.7, 0.95}}},
		{"list", spec{"size": spec{"values": []any{32, 64.0, "all"}}, "x": unit()},
			func(c spec) float64 { return map[any]float64{int64(32): 2, 64.0: 0, int64(64): 0, "all": 2}[c["size"]] },
			map[string][2]float64{"size": {0.95, 1}}},
		{"many names for nothing", spec{"host": spec{"type": "categorical", "choices": hosts}, "x": unit()},
			func(c spec) float64 { return number(c["x"]) },
			map[string][2]float64{"host": {0, 0.02}}},
		{"integers", spec{"n": spec{"type": "int", "low": 1, "high": 5}, "x": unit()},
			func(c spec) float64 { return number(c["n"]) + number(c["x"]) }, // 0.96 and 0.04
			map[string][2]float64{"n": {0.9, 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := mustParse(t, c.space)
			found, shares := measure(t, s, sampled(s, 100, c.f))
			for name, want := range c.want {
				if got := shares[name]; got < want[0] || got > want[1] {
					t.Errorf("%s has %.3f, wanted %v: %v", name, got, want, shares)
				}
			}
			if found.Explained < 0.8 || found.Trials != 100 {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestConditionalParameters(t *testing.T) {
	t.Parallel()
	space := func(kinds ...any) spec {
		return spec{"kind": spec{"type": "categorical", "choices": kinds}, "z": unit(),
			"x": spec{"type": "float", "low": 0, "high": 1, "when": spec{"kind": []any{"a"}}}}
	}
	for _, c := range []struct {
		name  string
		space spec
		f     func(spec) float64
		want  map[string][2]float64
	}{
		{"only its values matter", space("a", "b"), func(c spec) float64 {
			if c["kind"] == "a" {
				return number(c["x"])
			}
			return 0.5
		}, map[string][2]float64{"x": {0.9, 1}, "kind": {0, 0.1}}},
		// Ranks: from 0 to 0.5, or 0.75. Within: 1/2 · 1/48. Between: 1/16. So 0.14 to 0.86.
		{"that it exists matters more", space("a", "b"), func(c spec) float64 {
			if c["kind"] == "a" {
				return number(c["x"])
			}
			return 2
		}, map[string][2]float64{"x": {0.08, 0.2}, "kind": {0.8, 0.92}}},
		// As strong as z, but in one of four configs: 0.2 to 0.8.
		{"it exists seldom", space("a", "b", "c", "d"), func(c spec) float64 {
			if c["kind"] == "a" {
				return number(c["z"]) + number(c["x"])
			}
			return number(c["z"]) + 0.5
		}, map[string][2]float64{"x": {0.05, 0.3}, "z": {0.7, 0.95}, "kind": {0, 0.05}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := mustParse(t, c.space)
			trials := sampled(s, 200, c.f)
			found, shares := measure(t, s, trials)
			for name, want := range c.want {
				if got := shares[name]; got < want[0] || got > want[1] {
					t.Errorf("%s has %.3f, wanted %v: %v", name, got, want, shares)
				}
			}
			active := 0
			for _, trial := range trials {
				if trial.Config["x"] != nil {
					active++
				}
			}
			for _, share := range found.Shares {
				if share.Parameter == "x" && share.Trials != active || share.Parameter == "z" && share.Trials != 200 {
					t.Errorf("%+v, active in %d", share, active)
				}
			}
		})
	}
}

// A strategy that has found the best x tries little else, and then x varies least of all.
func TestWhereTheTrialsAreDoesNotMatter(t *testing.T) {
	t.Parallel()
	s := mustParse(t, spec{"x": unit(), "y": unit(), "z": unit()})
	random := rand.New(rand.NewPCG(1, 2))
	var trials []strategy.Trial
	for i := range 100 {
		config := s.Sample(random)
		if i >= 20 {
			config["x"] = 0.3 + 0.02*random.NormFloat64()
		}
		d := config["x"].(float64) - 0.3
		trials = append(trials, strategy.Trial{Number: i, Config: config, Value: d*d + 0.001*config["y"].(float64), State: strategy.Complete})
	}
	if _, shares := measure(t, s, trials); shares["x"] < 0.6 || shares["z"] > 0.1 {
		t.Errorf("%v", shares)
	}
}

func TestWhyThereIsNone(t *testing.T) {
	t.Parallel()
	s := mustParse(t, spec{"x": unit(), "y": unit()})
	random := rand.New(rand.NewPCG(3, 4))
	good := sampled(s, MinTrials, func(c spec) float64 { return number(c["x"]) })
	changed := func(change func(*strategy.Trial)) []strategy.Trial {
		trials := append([]strategy.Trial{}, good...)
		change(&trials[3])
		return trials
	}
	single := mustParse(t, spec{"x": spec{"values": []any{1}}})
	for _, c := range []struct {
		name   string
		space  *strategy.Space
		trials []strategy.Trial
		want   string
	}{
		{"none", s, nil, "needs at least 15 complete trials, has 0"},
		{"one", s, good[:1], "has 1"},
		{"one too few", s, good[1:], "has 14"},
		{"pruned", s, changed(func(t *strategy.Trial) { t.State = strategy.Pruned }), "has 14"},
		{"NaN", s, changed(func(t *strategy.Trial) { t.Value = math.NaN() }), "has 14"},
		{"infinite", s, changed(func(t *strategy.Trial) { t.Value = math.Inf(-1) }), "has 14"},
		{"of another space", s, changed(func(t *strategy.Trial) { t.Config = spec{"x": 0.5} }), "has 14"},
		{"equal", s, sampled(s, 50, func(spec) float64 { return 0.5 }), "all 50 complete trials have the same value"},
		{"noise", s, sampled(s, 100, func(spec) float64 { return random.NormFloat64() }), "the values of 100 complete trials do not follow from the parameters"},
		{"nothing to choose", single, sampled(single, 50, func(spec) float64 { return random.Float64() }), "do not follow"},
	} {
		if found, err := Measure(c.space, c.trials); err == nil || !strings.Contains(err.Error(), c.want) || found.Shares != nil {
			t.Errorf("%s: %+v %v, wanted %s", c.name, found, err, c.want)
		}
	}
	if _, err := Measure(s, good); err != nil {
		t.Error(err)
	}
}

// Neither the scale of the objective nor its goal may matter, nor trials that are not complete.
func TestOnlyTheOrderOfValuesMatters(t *testing.T) {
	t.Parallel()
	s := mustParse(t, spec{"x": unit(), "y": unit()})
	trials := sampled(s, 40, func(c spec) float64 { return number(c["x"]) + 0.3*number(c["y"]) })
	want, _ := measure(t, s, trials)
	for name, scale := range map[string]func(float64) float64{
		"the same": func(v float64) float64 { return v },
		"shifted":  func(v float64) float64 { return 1e6*v - 3e9 },
		"explodes": func(v float64) float64 { return math.Exp(400 * v) },
	} {
		scaled := []strategy.Trial{{State: strategy.Failed}, {State: strategy.Pending}}
		for _, trial := range trials {
			trial.Value = scale(trial.Value)
			scaled = append(scaled, trial)
		}
		if got, _ := measure(t, s, scaled); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, wanted %+v", name, got, want)
		}
	}
}

func TestManyTrialsAreThinned(t *testing.T) {
	t.Parallel()
	s := mustParse(t, spec{"x": unit()})
	e := newEncoder(s)
	trials := sampled(s, 2*maxTrials+1, func(c spec) float64 { return number(c["x"]) })
	points, values := e.observations(trials)
	if len(points) != maxTrials || values[0] != trials[0].Value || values[maxTrials-1] != trials[2*maxTrials-2].Value {
		t.Errorf("%d trials", len(points))
	}
}

func drawSpace(t *rapid.T) spec {
	space := spec{}
	for i := range rapid.IntRange(1, 4).Draw(t, "parameters") {
		parameter := rapid.SampledFrom([]spec{
			{"type": "float", "low": -1e308, "high": 1e308},
			{"type": "float", "low": 1e-300, "high": 1e300, "log": true},
			{"type": "float", "low": 0, "high": 1, "step": 0.25},
			{"type": "float", "low": 2, "high": 2},
			{"type": "int", "low": math.MinInt64, "high": math.MaxInt64},
			{"type": "int", "low": 1, "high": 1 << 40, "log": true},
			{"type": "categorical", "choices": []any{"a", 1, true, 2.0}},
			{"values": []any{1.0, 2, 3.5}},
		}).Draw(t, "parameter")
		if i > 0 && rapid.Bool().Draw(t, "conditional") {
			conditional := spec{"when": spec{"p0": []any{"a"}}}
			for field, value := range parameter {
				conditional[field] = value
			}
			parameter = conditional
			space["p0"] = spec{"type": "categorical", "choices": []any{"a", "b"}}
		}
		if _, taken := space[fmt.Sprint("p", i)]; !taken {
			space[fmt.Sprint("p", i)] = parameter
		}
	}
	return space
}

func TestTheSmallestRange(t *testing.T) {
	t.Parallel()
	s, err := strategy.ParseSpace(map[string]any{
		"tiny": map[string]any{"type": "float", "low": 0.0, "high": 5e-324},
		"x":    map[string]any{"type": "float", "low": 0.0, "high": 1.0},
	})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	trials := make([]strategy.Trial, 40)
	for i := range trials {
		config := s.Sample(random)
		trials[i] = strategy.Trial{Number: i, Config: config, State: strategy.Complete, Value: config["x"].(float64)}
	}
	if found, err := Measure(s, trials); err != nil || found.Shares[0].Parameter != "x" {
		t.Errorf("%+v %v", found, err)
	}
}

func TestAnyTrialsOfAnySpace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, err := strategy.ParseSpace(drawSpace(t))
		if err != nil {
			t.Skip(err)
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		trials := make([]strategy.Trial, rapid.IntRange(0, 30).Draw(t, "trials"))
		values := rapid.SampledFrom([]float64{0, 0, 1, -1, 1e300, -1e300, 5e-324, math.NaN(), math.Inf(1)})
		for i := range trials {
			trials[i] = strategy.Trial{Number: i, Config: s.Sample(random), State: strategy.Complete, Value: values.Draw(t, "value")}
		}
		found, err := Measure(s, trials)
		again, _ := Measure(s, trials)
		if !reflect.DeepEqual(found, again) {
			t.Fatalf("%+v, then %+v", found, again)
		}
		if err != nil {
			return
		}
		sum, before := 0.0, 1.0
		for _, share := range found.Shares {
			sum += share.Share
			if !(share.Share >= 0 && share.Share <= before) || share.Trials > found.Trials {
				t.Fatalf("%+v", found)
			}
			before = share.Share
		}
		if math.Abs(sum-1) > 1e-9 || len(found.Shares) != len(s.Parameters()) || !(found.Explained > 0 && found.Explained <= 1) {
			t.Fatalf("%+v sums to %g", found, sum)
		}
	})
}

func TestRanksShareTheirPlaces(t *testing.T) {
	t.Parallel()
	if got := ranks([]float64{7, -1, 7, 1e300, 7}); !reflect.DeepEqual(got, []float64{0.5, 0, 0.5, 1, 0.5}) {
		t.Error(got)
	}
}

func TestBestSoFar(t *testing.T) {
	t.Parallel()
	var trials []strategy.Trial
	for _, value := range []float64{2, math.NaN(), 3, 1, math.Inf(-1), math.Inf(1), 4} {
		trials = append(trials, strategy.Trial{Value: value, State: strategy.Complete}, strategy.Trial{Value: -9, State: strategy.Pruned})
	}
	for goal, want := range map[strategy.Goal][]float64{strategy.Minimize: {2, 2, 1, 1}, strategy.Maximize: {2, 3, 3, 4}} {
		if got := BestSoFar(goal, trials); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, wanted %v", goal, got, want)
		}
	}
}
