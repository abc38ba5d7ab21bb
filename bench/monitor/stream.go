package main

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// kind is a kind of stream. noise fills values with mean 0 and standard deviation 1, or, of a binary kind, with
// numbers uniform in [0, 1).
type kind struct {
	name   string
	binary bool
	noise  func(r *rand.Rand, values []float64)
}

var kinds = []kind{
	{name: "gaussian", noise: independent((*rand.Rand).NormFloat64)},
	{name: "lognormal", noise: independent(lognormal)},
	{name: "student3", noise: independent(student3)},
	{name: "ar0.5", noise: autoregressive},
	{name: "seasonal24", noise: seasonal(24)},
	{name: "seasonal50", noise: seasonal(50)},
	{name: "binary", binary: true, noise: independent((*rand.Rand).Float64)},
}

func independent(draw func(*rand.Rand) float64) func(*rand.Rand, []float64) {
	return func(r *rand.Rand, values []float64) {
		for i := range values {
			values[i] = draw(r)
		}
	}
}

// lognormal is exp(N(0, 1)), whose mean is √e and variance e (e − 1).
func lognormal(r *rand.Rand) float64 {
	return (math.Exp(r.NormFloat64()) - math.Sqrt(math.E)) / math.Sqrt(math.E*(math.E-1))
}

// student3 is Student's t with 3 degrees of freedom, whose variance is 3.
func student3(r *rand.Rand) float64 {
	z, squares := r.NormFloat64(), 0.0
	for range 3 {
		x := r.NormFloat64()
		squares += x * x
	}
	return z / math.Sqrt(squares)
}

// autoregressive is a Gaussian AR(1) process with coefficient 0.5, stationary from the first value.
func autoregressive(r *rand.Rand, values []float64) {
	x := r.NormFloat64()
	for i := range values {
		values[i] = x
		x = 0.5*x + math.Sqrt(0.75)*r.NormFloat64()
	}
}

// seasonal is a sine whose amplitude is the standard deviation of the Gaussian noise on it, at a random phase.
func seasonal(period float64) func(*rand.Rand, []float64) {
	return func(r *rand.Rand, values []float64) {
		phase := r.Float64()
		for i := range values {
			wave := math.Sin(2 * math.Pi * (phase + float64(i)/period))
			values[i] = (wave + r.NormFloat64()) / math.Sqrt(1.5)
		}
	}
}

// change is what happens to the mean of a stream.
type change struct {
	ramp bool
	size float64 // of a ramp, per report; 0: none
}

func (c change) String() string {
	switch {
	case c.size == 0:
		return "none"
	case c.ramp:
		return fmt.Sprintf("ramp %v", c.size)
	}
	return fmt.Sprintf("shift %v", c.size)
}

// at is how far the mean is off at the i-th changed report, the first being 1.
func (c change) at(i int) float64 {
	switch {
	case i < 1:
		return 0
	case c.ramp:
		return c.size * float64(i)
	}
	return c.size
}

// Error probability of the binary streams: a change by 1 adds as much as there was, to 1 at most.
const errorProbability = 0.2

// generator makes streams. Two of the same kind, change and number are equal.
type generator struct {
	mean, sd float64
	seed     uint64
}

// fill makes the stream with a number; its change begins after some healthy values.
func (g generator) fill(values []float64, k *kind, c change, healthy, number int) {
	h := fnv.New64a()
	fmt.Fprint(h, k.name, "/", c, "/", number)
	k.noise(rand.New(rand.NewPCG(g.seed, h.Sum64())), values)
	for i, x := range values {
		shift := c.at(i + 1 - healthy)
		if !k.binary {
			values[i] = g.mean + g.sd*(x+shift)
			continue
		}
		values[i] = 0
		if x < errorProbability*(1+shift) {
			values[i] = 1
		}
	}
}

func (o *options) pickKinds() ([]*kind, error) {
	var picked []*kind
	for _, name := range o.Kinds {
		if name == "all" {
			picked = nil
			for i := range kinds {
				picked = append(picked, &kinds[i])
			}
			return picked, nil
		}
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("--kinds: %q is not a kind of stream: give all or some of %s", name, strings.Join(kindNames(), ", "))
		}
		picked = append(picked, &kinds[i])
	}
	return picked, nil
}

func isBinary(name string) bool {
	return slices.ContainsFunc(kinds, func(k kind) bool { return k.name == name && k.binary })
}

func kindNames() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

func (o *options) pickChanges() ([]change, error) {
	changes := []change{{}}
	for i, size := range slices.Concat(o.Shifts, o.Ramps) {
		if !(size > 0) || math.IsInf(size, 0) {
			return nil, fmt.Errorf("--shifts, --ramps: %v is not a positive number: only what is worse is a change here", size)
		}
		changes = append(changes, change{ramp: i >= len(o.Shifts), size: size})
	}
	return changes, nil
}
