package pruner

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/visutility/retune/internal/strategy"
)

// compares are the kinds that compare trials, with options under which they do so at once.
var compares = map[string][]map[string]any{
	"median":     {nil, {"n_startup_trials": 0}, {"n_startup_trials": 0, "n_warmup_steps": 1, "interval_steps": 2}},
	"percentile": {{"percentile": 0.0, "n_startup_trials": 0}, {"percentile": 33.3, "n_startup_trials": 1}, {"percentile": 100}},
	"asha":       {nil, {"min_resource": 1}, {"min_resource": 1, "reduction_factor": 2}, {"max_resource": 9, "min_early_stopping_rate": 1}},
	"hyperband":  {nil, {"max_resource": 9}, {"max_resource": 9, "reduction_factor": 2}},
}

func anyPruner(t *rapid.T) Pruner {
	all := []string{"patience", "threshold"}
	for kind := range compares {
		all = append(all, kind)
	}
	slices.Sort(all)
	kind := rapid.SampledFrom(all).Draw(t, "kind")
	options := needed[kind]
	if list := compares[kind]; list != nil {
		options = rapid.SampledFrom(list).Draw(t, "options")
	}
	p, err := New(kind, options)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var (
	anyValue = rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 1, nan, inf, -inf, math.MaxFloat64, -math.MaxFloat64}))
	anyStep  = rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64(), rapid.SampledFrom([]int64{1 << 62, math.MaxInt64, math.MinInt64}))
	anyState = rapid.SampledFrom([]strategy.TrialState{strategy.Pending, strategy.Complete, strategy.Failed, strategy.Pruned})
	anyGoal  = rapid.SampledFrom([]strategy.Goal{strategy.Minimize, strategy.Maximize})
)

// anyCurve has steps in order, perhaps repeated, negative or huge.
func anyCurve(t *rapid.T, number int) Curve {
	c := Curve{Number: number, State: anyState.Draw(t, "state")}
	for _, step := range slices.Sorted(slices.Values(rapid.SliceOfN(anyStep, 0, 12).Draw(t, "steps"))) {
		c.Points = append(c.Points, Point{step, anyValue.Draw(t, "value")})
	}
	return c
}

func anyRequest(t *rapid.T) Request {
	r := Request{Goal: anyGoal.Draw(t, "goal"), Seed: rapid.Uint64().Draw(t, "seed"), Step: anyStep.Draw(t, "step")}
	n := rapid.IntRange(0, 10).Draw(t, "others")
	for number := range n {
		r.Others = append(r.Others, anyCurve(t, number))
	}
	r.Trial = anyCurve(t, n)
	if points := r.Trial.Points; len(points) > 0 && rapid.Bool().Draw(t, "reported") {
		r.Step = rapid.SampledFrom(points).Draw(t, "point").Step
	}
	return r
}

func (r Request) copied() Request {
	r.Trial.Points = slices.Clone(r.Trial.Points)
	r.Others = slices.Clone(r.Others)
	for i := range r.Others {
		r.Others[i].Points = slices.Clone(r.Others[i].Points)
	}
	return r
}

// TestPure: whatever the curves, a pruner answers, twice the same, gives a reason if it prunes and
// leaves its request as it was.
func TestPure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, r := anyPruner(t), anyRequest(t)
		before := r.copied()
		reason, prune := p.Prune(r)
		if (reason != "") != prune {
			t.Errorf("pruned %v, reason %q", prune, reason)
		}
		if again, same := p.Prune(before.copied()); again != reason || same != prune {
			t.Errorf("%v %q, then %v %q", prune, reason, same, again)
		}
		// NaN is not equal to itself, so the bits are compared.
		if !reflect.DeepEqual(bits(r), bits(before)) {
			t.Errorf("the request became %v, it was %v", r, before)
		}
	})
}

func bits(r Request) (all [][]uint64) {
	for _, c := range append(slices.Clone(r.Others), r.Trial) {
		line := []uint64{uint64(c.Number), uint64(c.State)}
		for _, point := range c.Points {
			line = append(line, uint64(point.Step), math.Float64bits(point.Value))
		}
		all = append(all, line)
	}
	return all
}

// TestOrderOfOthers: those who decide are the same in any order.
func TestOrderOfOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, r := anyPruner(t), anyRequest(t)
		reason, prune := p.Prune(r)
		r = r.copied()
		slices.Reverse(r.Others)
		if again, same := p.Prune(r); again != reason || same != prune {
			t.Errorf("%v %q, reversed %v %q", prune, reason, same, again)
		}
	})
}

// finiteCurves have values at the same steps.
func finiteCurves(t *rapid.T, goal strategy.Goal) []Curve {
	n, steps := rapid.IntRange(1, 12).Draw(t, "trials"), rapid.IntRange(1, 20).Draw(t, "steps")
	first := rapid.Int64Range(0, 1).Draw(t, "first")
	all := make([]Curve, n)
	for number := range all {
		all[number] = Curve{Number: number, State: anyState.Draw(t, "state")}
		for i := range steps {
			value := rapid.OneOf(rapid.Float64Range(-1e300, 1e300), rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0.1, 0.7})).Draw(t, "value")
			all[number].Points = append(all[number].Points, Point{int64(i) + first, value})
		}
	}
	return all
}

// TestBestGoesOn: of curves with the same steps the one that leads at a step is not stopped there.
func TestBestGoesOn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"median", "percentile", "asha", "hyperband"}).Draw(t, "kind")
		p, err := New(kind, rapid.SampledFrom(compares[kind]).Draw(t, "options"))
		if err != nil {
			t.Fatal(err)
		}
		goal := anyGoal.Draw(t, "goal")
		all := finiteCurves(t, goal)
		at := rapid.IntRange(0, len(all[0].Points)-1).Draw(t, "at")
		best := 0
		for i := range all {
			if goal.Better(all[i].Points[at].Value, all[best].Points[at].Value) {
				best = i
			}
		}
		r := Request{Goal: goal, Trial: all[best], Step: all[best].Points[at].Step}
		r.Trial.Points = r.Trial.Points[:at+1]
		r.Others = slices.Concat(all[:best], all[best+1:])
		if reason, prune := p.Prune(r); prune {
			t.Errorf("the best was pruned at step %d: %s", r.Step, reason)
		}
	})
}

// TestSigns: to maximise values is to minimise their negatives.
func TestSigns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"median", "percentile", "asha", "hyperband", "patience"}).Draw(t, "kind")
		options := needed[kind]
		if kind != "patience" {
			options = rapid.SampledFrom(compares[kind]).Draw(t, "options")
		}
		p, err := New(kind, options)
		if err != nil {
			t.Fatal(err)
		}
		r := anyRequest(t)
		_, prune := p.Prune(r)
		r = r.copied()
		r.Goal = 1 - r.Goal
		for _, c := range append(r.Others, r.Trial) {
			for i := range c.Points {
				c.Points[i].Value = -c.Points[i].Value
			}
		}
		if reason, turned := p.Prune(r); turned != prune {
			t.Errorf("pruned %v, with the signs turned %v %s", prune, turned, reason)
		}
	})
}

// TestQuantileOfSorted compares the selection with a sort.
func TestQuantileOfSorted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-5, 5), rapid.SampledFrom([]float64{0, 1, inf})), 1, 40).Draw(t, "values")
		sorted := slices.Sorted(slices.Values(values))
		k := rapid.IntRange(0, len(values)-1).Draw(t, "k")
		if got := selectAt(slices.Clone(values), k); got != sorted[k] {
			t.Errorf("selected %v, want %v of %v", got, sorted[k], sorted)
		}
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		position := q * float64(len(values)-1)
		low, high := sorted[int(position)], sorted[int(math.Ceil(position))]
		if got := quantile(values, q); got < low || got > high || math.IsNaN(got) {
			t.Errorf("the quantile %v of %v is %v, not within [%v, %v]", q, sorted, got, low, high)
		}
	})
}

// TestAshaAlwaysFinishesOne: whatever the order of events, of trials that run to their end unless they
// are stopped at least one is complete.
func TestAshaAlwaysFinishesOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, err := New("asha", rapid.SampledFrom(compares["asha"]).Draw(t, "options"))
		if err != nil {
			t.Fatal(err)
		}
		full := finiteCurves(t, strategy.Minimize)
		open, curves := []int{}, make([]Curve, len(full))
		for i := range curves {
			curves[i].Number = i
			open = append(open, i)
		}
		completed := 0
		for len(open) > 0 {
			at := rapid.IntRange(0, len(open)-1).Draw(t, "who")
			c := &curves[open[at]]
			c.Points = full[c.Number].Points[:len(c.Points)+1]
			others := slices.Concat(curves[:c.Number], curves[c.Number+1:])
			if _, prune := p.Prune(request(strategy.Minimize, *c, others...)); prune {
				c.State = strategy.Pruned
			} else if len(c.Points) == len(full[c.Number].Points) {
				c.State = strategy.Complete
				completed++
			}
			if c.State != strategy.Pending {
				open = slices.Delete(open, at, at+1)
			}
		}
		if completed == 0 {
			t.Error("every trial was pruned")
		}
	})
}

// BenchmarkPrune decides about a trial among 1,000 others of 100 points, at its step 64 (a rung
// where r = 1 and η = 4).
func BenchmarkPrune(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	others := make([]Curve, 1000)
	for i := range others {
		values := make([]float64, 100)
		for step := range values {
			values[step] = random.Float64()
		}
		others[i] = curve(i, strategy.Complete, values...)
	}
	trial := Curve{Number: 1000, Points: others[0].Points[:64]}
	for _, kind := range Kinds() {
		options := needed[kind]
		switch kind {
		case "asha":
			options = map[string]any{"min_resource": 1}
		case "hyperband":
			options = map[string]any{"reduction_factor": 4}
		}
		p := build(b, kind, options)
		if p == nil {
			continue
		}
		b.Run(kind, func(b *testing.B) {
			r := request(strategy.Minimize, trial, others...)
			b.ReportAllocs()
			for b.Loop() {
				p.Prune(r)
			}
		})
	}
}
