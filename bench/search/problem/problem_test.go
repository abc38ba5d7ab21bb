package problem

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/visutility/retune/internal/strategy"
)

func TestOptimaAreAttained(t *testing.T) {
	t.Parallel()
	for _, p := range Functions() {
		checkOptimum(t, p)
	}
}

func checkOptimum(t *testing.T, p *Problem) {
	t.Helper()
	if err := p.Space.Check(p.best); err != nil {
		t.Errorf("%s: the best config: %v", p.Name, err)
		return
	}
	value, err := p.Evaluate(p.best)
	if err != nil {
		t.Errorf("%s: %v", p.Name, err)
	}
	optimum, known := p.Optimum()
	median, err := p.sampledMedian(200)
	if err != nil || !known {
		t.Errorf("%s: optimum known: %v; median: %v", p.Name, known, err)
	}
	if regret := Regret(value, optimum, median); regret > 1e-9 {
		t.Errorf("%s: the best config has %v instead of %v, regret %v", p.Name, value, optimum, regret)
	}
}

// No config is better than the optimum, near it least of all.
func TestNothingIsBetterThanTheOptimum(t *testing.T) {
	t.Parallel()
	for _, p := range Functions() {
		r := rand.New(rand.NewPCG(3, hash(p.Name)))
		for range 1000 {
			value, err := p.Evaluate(p.nearBest(r))
			if err != nil || math.IsNaN(value) || p.Goal.Better(value, p.optimum) && math.Abs(value-p.optimum) > 1e-9 {
				t.Fatalf("%s: %v is better than %v (%v)", p.Name, value, p.optimum, err)
			}
		}
	}
}

// nearBest replaces up to two values of the best config, or returns another config.
func (p *Problem) nearBest(r *rand.Rand) map[string]any {
	sampled := p.Space.Sample(r)
	fixed := map[string]any{}
	for name, v := range p.best {
		if r.IntN(len(p.best)) > 1 {
			fixed[name] = v
		}
	}
	near, err := p.Space.Complete(fixed, sampled, r)
	if err != nil {
		return sampled
	}
	return near
}

// The usual centre and lattice points are of no use, as the optima are elsewhere.
func TestOptimaAreNotCentral(t *testing.T) {
	t.Parallel()
	for _, p := range Functions() {
		centre := map[string]any{}
		for _, parameter := range p.Space.Parameters() {
			if parameter.Kind == strategy.Float && !parameter.Log {
				centre[parameter.Name] = (parameter.Low + parameter.High) / 2
			}
		}
		if len(centre) < len(p.Space.Parameters()) {
			continue
		}
		value, _ := p.Evaluate(centre)
		median, _ := p.sampledMedian(1000)
		if regret := Regret(value, p.optimum, median); regret < 0.001 {
			t.Errorf("%s: the centre has regret %v", p.Name, regret)
		}
	}
}

func TestEvaluateAnyConfig(t *testing.T) {
	t.Parallel()
	all := Functions()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(all).Draw(t, "problem")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		value, err := p.Evaluate(p.Space.Sample(r))
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			t.Fatalf("%s: %v, %v", p.Name, value, err)
		}
	})
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range Functions() {
		if seen[p.Name] || strings.ContainsAny(p.Name, ", ") {
			t.Errorf("%q is there twice or has a separator in it", p.Name)
		}
		seen[p.Name] = true
	}
}

func TestNoise(t *testing.T) {
	t.Parallel()
	p := noisy()[0]
	if a, b := p.Observe(1, 7, 3), p.Observe(1, 7, 3); a != b || a == 1 {
		t.Errorf("the same trial sees %v and %v", a, b)
	}
	if a, b := p.Observe(1, 7, 3), p.Observe(1, 7, 4); a == b {
		t.Errorf("two trials see the same noise: %v", a-1)
	}
}
