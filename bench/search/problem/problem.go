// Package problem holds what optimisers are compared on: tables of real trainings, test functions, small trainings.
package problem

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/visutility/retune/internal/strategy"
)

// Problem is one objective over one space. It is safe for concurrent use.
type Problem struct {
	Name  string
	Tree  map[string]any // of the space, as a study gives it
	Space *strategy.Space
	Goal  strategy.Goal

	evaluate func(config map[string]any) (float64, error)
	noise    float64        // standard deviation of what an optimiser sees
	optimum  float64        // NaN: unknown
	best     map[string]any // a config that attains the optimum, nil: unknown
	median   func() (float64, error)
}

// samples is how many configs the median of a space is estimated from.
const samples = 10_000

// newProblem makes a problem whose optimum is attained at best. It panics if the space is wrong, as
// spaces are written in this package.
func newProblem(name string, tree map[string]any, evaluate func(map[string]any) (float64, error), optimum float64, best map[string]any) *Problem {
	space, err := strategy.ParseSpace(tree)
	if err != nil {
		panic(fmt.Sprintf("problem %s: %v", name, err))
	}
	p := &Problem{Name: name, Tree: tree, Space: space, evaluate: evaluate, optimum: optimum, best: best}
	p.median = sync.OnceValues(func() (float64, error) { return p.sampledMedian(samples) })
	return p
}

// Evaluate returns the true objective of a config of the space.
func (p *Problem) Evaluate(config map[string]any) (float64, error) { return p.evaluate(config) }

// Observe adds to a true value the noise that an optimiser sees in the given trial. Its stream is not
// the one that a strategy with the same seed draws from.
func (p *Problem) Observe(value float64, seed uint64, trial int) float64 {
	if p.noise == 0 {
		return value
	}
	return value + p.noise*rand.New(rand.NewPCG(^seed, uint64(trial))).NormFloat64()
}

// Optimum returns the best value there is. ok is false where nobody knows it.
func (p *Problem) Optimum() (value float64, ok bool) { return p.optimum, !math.IsNaN(p.optimum) }

// Median returns the median objective of the space: exact for tables, else estimated once from
// seeded random configs.
func (p *Problem) Median() (float64, error) { return p.median() }

// Regret is 0 at the optimum and 1 at the median of the space.
func Regret(value, optimum, median float64) float64 {
	return max(0, (value-optimum)/(median-optimum))
}

// Seed derives the seed of one run, below 2³² so that NumPy takes it too.
func (p *Problem) Seed(run int) uint64 {
	return uint64(uint32(hash(p.Name) + uint64(run)*0x9e3779b1))
}

func (p *Problem) sampledMedian(n int) (float64, error) {
	r := rand.New(rand.NewPCG(hash(p.Name), 1))
	values := make([]float64, n)
	for i := range values {
		var err error
		if values[i], err = p.evaluate(p.Space.Sample(r)); err != nil {
			return 0, fmt.Errorf("median of %s: %w", p.Name, err)
		}
	}
	return median(values), nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func hash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// number reads a value of a config.
func number(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}
