package strategy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// everyKind has an axis of each kind, one of a single value, and conditions.
func everyKind(t testing.TB) *Space {
	return mustParse(t, tree{
		"fixed":  tree{"values": []any{7}},
		"kind":   tree{"type": "categorical", "choices": []any{"a", "b", "c"}},
		"rate":   tree{"type": "float", "low": 1e-5, "high": 1, "log": true},
		"share":  tree{"type": "float", "low": 0, "high": 1, "step": 0.05},
		"units":  tree{"type": "int", "low": 4, "high": 512, "log": true, "when": tree{"kind": []any{"a", "b"}}},
		"degree": tree{"type": "int", "low": 1, "high": 9, "when": tree{"kind": []any{"c"}}},
	})
}

// play runs a sequential study of n trials against objective.
func play(t testing.TB, s Strategy, r Request, n int, objective func(config map[string]any) Trial) Request {
	t.Helper()
	for range n {
		r.Number, r.Index = len(r.History), len(r.History)
		config := suggest(t, s, r)
		trial := objective(config)
		trial.Number, trial.Config = r.Number, config
		r.History = append(r.History, trial)
	}
	r.Number, r.Index = len(r.History), len(r.History)
	return r
}

func value(f func(config map[string]any) float64) func(map[string]any) Trial {
	return func(config map[string]any) Trial { return Trial{State: Complete, Value: f(config)} }
}

func bestValue(r Request) float64 {
	best := math.Inf(1)
	for _, t := range r.History {
		best = min(best, t.Value)
	}
	return best
}

func floatSpace(t testing.TB, dims int) *Space {
	description := tree{}
	for i := range dims {
		description[fmt.Sprint("x", i)] = tree{"type": "float", "low": 0, "high": 1}
	}
	return mustParse(t, description)
}

// ellipsoid has its minimum of 0 at 0.3 in each parameter, and axes as different as 1 and 30.
func ellipsoid(config map[string]any) float64 {
	sum := 0.0
	for i := range len(config) {
		off := config[fmt.Sprint("x", i)].(float64) - 0.3
		sum += math.Pow(1000, float64(i)/float64(len(config)-1)) * off * off
	}
	return sum
}

func TestCMAESConverges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		space := floatSpace(t, 4)
		r := play(t, mustNew(t, "cmaes", nil, space), Request{Seed: seed}, 600, value(ellipsoid))
		if best := bestValue(r); best > 1e-6 {
			t.Errorf("seed %d: %g after 600 trials", seed, best)
		}
	}
}

func TestCMAESLearnsEveryKind(t *testing.T) {
	t.Parallel()
	space := everyKind(t)
	loss := func(c map[string]any) float64 {
		loss := math.Pow(math.Log10(c["rate"].(float64))+3, 2) + math.Pow(c["share"].(float64)-0.75, 2)
		if c["kind"] == "c" {
			return loss + math.Abs(float64(c["degree"].(int64)-7))
		}
		return loss + 1 + math.Abs(math.Log2(float64(c["units"].(int64))/64))
	}
	for seed := range uint64(3) {
		r := play(t, mustNew(t, "cmaes", nil, space), Request{Seed: seed}, 300, value(loss))
		if best := bestValue(r); best > 1e-3 {
			t.Errorf("seed %d: %g after 300 trials", seed, best)
		}
	}
}

// Only finished trials make a generation; of those the failed ones are the worst.
func TestCMAESMembers(t *testing.T) {
	t.Parallel()
	space := floatSpace(t, 2)
	s := mustNew(t, "cmaes", nil, space).(*cmaes)
	pending := play(t, s, Request{Seed: 1}, 50, func(map[string]any) Trial { return Trial{} })
	if e := s.replay(pending); e.generation != 0 {
		t.Errorf("generation %d of pending trials", e.generation)
	}
	for goal, x := range []float64{1, -1} {
		r := Request{Goal: Goal(goal), History: []Trial{
			{Number: 0, State: Failed}, {Number: 1, State: Pruned, Value: -9 * x}, {Number: 2, State: Complete, Value: 5 * x},
			{Number: 3, State: Complete, Value: math.Inf(-1)}, {Number: 4, State: Complete, Value: 3 * x},
		}}
		_, done := s.members(r)
		var worth [][2]float64
		for _, m := range done {
			worth = append(worth, m.worth)
		}
		if want := [][2]float64{{2, 0}, {1, 0}, {0, 5}, {2, 0}, {0, 3}}; !slices.Equal(worth, want) {
			t.Errorf("%v: %v, want %v", Goal(goal), worth, want)
		}
	}
}

// What an object remembers of earlier requests changes nothing, whatever the order in which results come.
func TestCMAESWithoutMemory(t *testing.T) {
	t.Parallel()
	space := everyKind(t)
	rapid.Check(t, func(t *rapid.T) {
		s, _ := New("cmaes", nil, space)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "results"), 0))
		r := Request{Seed: rapid.Uint64().Draw(t, "seed"), Parallelism: 8}
		for range rapid.IntRange(1, 40).Draw(t, "trials") {
			r.Number, r.Index = len(r.History), len(r.History)
			config, err := s.Suggest(r)
			other, _ := New("cmaes", nil, space)
			if fresh, _ := other.Suggest(r); err != nil || !reflect.DeepEqual(config, fresh) {
				t.Fatalf("%v, %v with what it remembers, %v without", config, err, fresh)
			}
			r.History = append(slices.Clone(r.History), Trial{Number: r.Number, Config: config})
			for i, trial := range r.History {
				if trial.State == Pending && random.IntN(3) == 0 {
					r.History[i].State = TrialState(1 + random.IntN(3))
					r.History[i].Value = float64(random.IntN(5))
				}
			}
		}
	})
}

// Histories with the same numbers and values are told apart by their configs.
func TestCMAESTellsHistoriesApart(t *testing.T) {
	t.Parallel()
	space := floatSpace(t, 2)
	s := mustNew(t, "cmaes", nil, space)
	var proposals []map[string]any
	for _, x := range []float64{0.1, 0.9} {
		r := Request{Number: 20, Index: 20}
		for i := range 20 {
			r.History = append(r.History, Trial{Number: i, State: Complete, Value: float64(i), Config: map[string]any{"x0": x, "x1": float64(i) / 20}})
		}
		config := suggest(t, s, r)
		if again := suggest(t, mustNew(t, "cmaes", nil, space), r); !reflect.DeepEqual(config, again) {
			t.Errorf("%v, without another history before it %v", config, again)
		}
		proposals = append(proposals, config)
	}
	if proposals[0]["x0"].(float64) > proposals[1]["x0"].(float64) {
		t.Errorf("%v does not follow the results", proposals)
	}
}

func TestCMAESStrangeResults(t *testing.T) {
	t.Parallel()
	values := map[string]func(i int) Trial{
		"all equal": func(int) Trial { return Trial{State: Complete, Value: 3} },
		"huge":      func(i int) Trial { return Trial{State: Complete, Value: math.Copysign(1e300, float64(i%3-1))} },
		"largest": func(i int) Trial {
			return Trial{State: Complete, Value: []float64{math.MaxFloat64, -math.MaxFloat64}[i%2]}
		},
		"not finite": func(i int) Trial {
			return Trial{State: Complete, Value: []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1}[i%4]}
		},
		"failed":  func(int) Trial { return Trial{State: Failed} },
		"pruned":  func(i int) Trial { return Trial{State: Pruned, Value: math.NaN(), Step: int64(i)} },
		"pending": func(int) Trial { return Trial{} },
	}
	for name, result := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, goal := range []Goal{Minimize, Maximize} {
				space, i := everyKind(t), 0
				r := play(t, mustNew(t, "cmaes", nil, space), Request{Goal: goal}, 400, func(map[string]any) Trial {
					i++
					return result(i)
				})
				for _, trial := range r.History {
					if err := space.Check(trial.Config); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// A constant objective is flat, one with two valleys leads to a point: both end a run.
func TestCMAESRestarts(t *testing.T) {
	t.Parallel()
	flat := func(map[string]any) float64 { return 1 }
	valleys := func(c map[string]any) float64 {
		x, y := c["x0"].(float64), c["x1"].(float64)
		return min((x-0.5)*(x-0.5)+1e-2, 5*(x-0.9)*(x-0.9)) + (y-0.5)*(y-0.5)
	}
	for name, f := range map[string]func(map[string]any) float64{"flat": flat, "valleys": valleys} {
		s := mustNew(t, "cmaes", nil, floatSpace(t, 2)).(*cmaes)
		first := s.begin(nil).offspring
		r := play(t, s, Request{Seed: 2}, 900, value(f))
		if now := s.replay(r).offspring; now < 2*first {
			t.Errorf("%s: %d offspring after 900 trials, %d at first", name, now, first)
		}
		if best := bestValue(r); name == "valleys" && best > 5e-3 {
			t.Errorf("%s: %g, the deeper valley was not found", name, best)
		}
	}
}

func TestCMAESExhaustsFiniteSpace(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"a": tree{"type": "int", "low": 1, "high": 5},
		"b": tree{"type": "categorical", "choices": []any{"x", "y"}},
		"c": tree{"values": []any{1, 2, 4}, "when": tree{"b": []any{"y"}}},
	})
	n, _ := space.Size()
	s := mustNew(t, "cmaes", nil, space)
	r := play(t, s, Request{Seed: 2}, int(n), value(func(c map[string]any) float64 { return float64(c["a"].(int64)) }))
	for i, trial := range r.History {
		for _, other := range r.History[:i] {
			if reflect.DeepEqual(trial.Config, other.Config) {
				t.Fatalf("%v twice", trial.Config)
			}
		}
	}
	if _, err := s.Suggest(r); err != ErrExhausted {
		t.Fatalf("after all %d: %v", n, err)
	}
}

// Results of eight workers come late and in any order: no trial waits for others, none is wasted.
func TestCMAESParallel(t *testing.T) {
	t.Parallel()
	s := mustNew(t, "cmaes", nil, floatSpace(t, 4))
	r := Request{Seed: 4, Parallelism: 8}
	random := rand.New(rand.NewPCG(4, 4))
	var pending []int
	for range 400 {
		r.Number, r.Index = len(r.History), len(r.History)
		pending = append(pending, r.Number)
		r.History = append(r.History, Trial{Number: r.Number, Config: suggest(t, s, r)})
		if len(pending) == 8 {
			i := random.IntN(8)
			trial := &r.History[pending[i]]
			trial.State, trial.Value = Complete, sphere(trial.Config)
			pending = slices.Delete(pending, i, i+1)
		}
	}
	best := math.Inf(1)
	for _, trial := range r.History {
		if trial.State == Complete {
			best = min(best, trial.Value)
		}
	}
	if best > 1e-6 {
		t.Errorf("%g after 400 trials", best)
	}
}

// sphere has its minimum of 0 at 0.3 in each parameter.
func sphere(config map[string]any) float64 {
	sum := 0.0
	for _, x := range config {
		sum += (x.(float64) - 0.3) * (x.(float64) - 0.3)
	}
	return sum
}

func TestCMAESWarmStart(t *testing.T) {
	t.Parallel()
	space := everyKind(t)
	r := Request{Seed: 6}
	for i := range 100 {
		config := map[string]any{"fixed": int64(7), "kind": "c", "rate": 1e-2, "share": 0.5, "degree": int64(3)}
		if i > 10 {
			config = space.Sample(Request{Number: i}.rand())
		}
		r.Prior = append(r.Prior, Trial{Number: i, Config: config, Value: float64(i), State: Complete})
	}
	r.Prior = append(r.Prior, Trial{Config: map[string]any{"rate": 99.0, "strange": true}, Value: 1e9, State: Complete})
	s := mustNew(t, "cmaes", nil, space)
	near := 0
	for r.Number = range 50 {
		r.Index = r.Number
		c := suggest(t, s, r)
		if c["kind"] == "c" && math.Abs(math.Log10(c["rate"].(float64))+2) < 1.5 && math.Abs(c["share"].(float64)-0.5) < 0.3 {
			near++
		}
	}
	if near < 35 {
		t.Errorf("%d of 50 proposals are where the earlier studies were good", near)
	}
}

// Without a margin a discrete axis beside a continuous one can be stuck at a wrong value for good.
func TestCMAESMarginLeavesBin(t *testing.T) {
	t.Parallel()
	axes := []cmaAxis{{0, nil}, {1, newTestIntegers(t, 10)}}
	e := newEvolution(2, nil, 4, 1e-6)
	e.mean[1] = 0.55 // the middle of a bin
	e.keepMargin(axes)
	random := rand.New(rand.NewPCG(1, 1))
	left := 0
	low, high := axes[1].bin(e.mean[1])
	for range 10_000 {
		if x := e.draw(random); x[1] < low || x[1] >= high {
			left++
		}
	}
	// α is 1/dims/members = 1/12.
	if left < 700 {
		t.Errorf("%d of 10000 members leave the bin", left)
	}
}

func newTestIntegers(t *testing.T, n int) discrete {
	space := mustParse(t, tree{"x": tree{"type": "int", "low": 0, "high": n - 1}})
	return space.parameters[0].axis.(discrete)
}

// An enqueued trial from far away moves the distribution no further than chance would.
func TestCMAESFarMember(t *testing.T) {
	t.Parallel()
	e := newEvolution(2, nil, 4, 1e-6)
	steps, lengths := e.steps([]member{{point: []float64{1, math.NaN()}}, {point: []float64{0.5 + 1e-6, 0.5}}})
	if want := math.Sqrt2 + 1; math.Abs(lengths[0]-want) > 1e-9 || math.Abs(steps[0][0]-want) > 1e-9 || steps[0][1] != 0 {
		t.Errorf("a step of %v and length %g, want %g along the first axis", steps[0], lengths[0], want)
	}
	if math.Abs(lengths[1]-1) > 1e-6 {
		t.Errorf("a length of %g, want 1", lengths[1])
	}
}

// Every value lies in its own bin, and bins touch.
func TestCMAESBins(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"log":    tree{"type": "int", "low": 3, "high": 700, "log": true},
		"plain":  tree{"type": "int", "low": -5, "high": 44},
		"values": tree{"values": []any{1, 2, 5}},
	})
	for _, p := range space.parameters {
		a, before := cmaAxis{0, p.axis.(discrete)}, 0.0
		for k := range a.discrete.size() {
			x := binCentre(a.discrete, k)
			low, high := a.bin(x)
			if !(low < x && x < high) || math.Abs(low-before) > 1e-12 {
				t.Fatalf("%s: value %d at %g has the bin [%g, %g] after %g", p.Name, k, x, low, high, before)
			}
			before = high
		}
		if math.Abs(before-1) > 1e-12 {
			t.Errorf("%s: the last bin ends at %g", p.Name, before)
		}
	}
}

// The constants of the tutorial for 5 coordinates and 8 members, computed by hand from its equations.
func TestCMAESRates(t *testing.T) {
	t.Parallel()
	r := newRates(5, 8)
	for name, c := range map[string][2]float64{
		"effective": {r.effective, 2.6001}, "c_sigma": {r.cumulateSigma, 0.3651}, "damping": {r.damping, 1.3651},
		"c_c": {r.cumulateC, 0.4504}, "c_1": {r.rankOne, 0.0472}, "c_mu": {r.rankMu, 0.0382}, "expected": {r.expected, 2.1285},
	} {
		if math.Abs(c[0]-c[1]) > 1e-3 {
			t.Errorf("%s is %.4f, want %.4f", name, c[0], c[1])
		}
	}
	members := make([]member, 4)
	members[3].worth[1] = 1
	w := slices.Clone(newRates(5, 4).weights)
	r = newRates(5, 4)
	r.share(members)
	if mean := (w[0] + w[1] + w[2]) / 3; r.weights[0] != r.weights[2] || math.Abs(r.weights[1]-mean) > 1e-12 || r.weights[3] != w[3] {
		t.Errorf("three equal members weigh %v, apart %v", r.weights, w)
	}
}

func TestLearnChoice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := slices.Repeat([]float64{1. / 3}, 3)
		for range rapid.IntRange(1, 60).Draw(t, "generations") {
			members := make([]member, rapid.IntRange(2, 9).Draw(t, "members"))
			for i := range members {
				members[i].choice = []int{rapid.IntRange(-1, 2).Draw(t, "choice")}
			}
			q = newRates(1, len(members)).learnChoice(q, 0, members)
			sum := 0.0
			for _, p := range q {
				if sum += p; !(p >= 0.99/float64(3*(len(members)+1))) {
					t.Fatalf("%v among %d members", q, len(members))
				}
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Fatalf("%v sum to %g", q, sum)
			}
		}
	})
}

func BenchmarkCMAES(b *testing.B) {
	for _, c := range []struct{ dims, trials int }{{5, 100}, {10, 1000}, {50, 1000}} {
		space := floatSpace(b, c.dims)
		r := Request{Number: c.trials, Index: c.trials}
		for i := range c.trials {
			config := space.Sample(Request{Number: i}.rand())
			r.History = append(r.History, Trial{Number: i, Config: config, Value: ellipsoid(config), State: Complete})
		}
		s := mustNew(b, "cmaes", nil, space)
		b.Run(fmt.Sprint("again/", c), func(b *testing.B) {
			for b.Loop() {
				suggest(b, s, r)
			}
		})
		b.Run(fmt.Sprint("afresh/", c), func(b *testing.B) {
			for b.Loop() {
				suggest(b, mustNew(b, "cmaes", nil, space), r)
			}
		})
	}
}
