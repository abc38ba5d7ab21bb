package strategy

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// around returns a config near the centre, in the order of names.
func (s local) around(centre map[string]any, sigma float64, random *rand.Rand) map[string]any {
	if s.space == nil {
		return scattered(centre, sigma, random)
	}
	point := s.cube.encode(s.space.Clamp(centre))
	for i := range point {
		point[i] = s.moved(i, point[i], sigma, random)
	}
	proposed := s.cube.decode(point)
	if s.space.Check(centre) == nil {
		return proposed
	}
	// A live config may have more names than the space, and fewer.
	config := s.clamped(centre)
	for name := range centre {
		if v, ok := proposed[name]; ok {
			config[name] = v
		}
	}
	return config
}

// smallestMove is the least deviation of a step over whole values: one in ten then rounds to another.
const smallestMove = 0.3

// moved steps from x along axis i; a parameter that was inactive may be anywhere.
func (s local) moved(i int, x, sigma float64, random *rand.Rand) float64 {
	levels := float64(s.cube.levels(i))
	switch {
	case math.IsNaN(x):
		return random.Float64()
	case s.cube.categorical(i):
		if random.Float64() < max(sigma, smallestSwitch) {
			return random.Float64()
		}
		return x
	case levels > 0:
		sigma = max(sigma, smallestMove/levels)
	}
	return x + sigma*random.NormFloat64()
}

// smallestSwitch is how often a choice is drawn again at least.
const smallestSwitch = 0.05

// scattered multiplies every number by a log-normal factor.
func scattered(centre map[string]any, sigma float64, random *rand.Rand) map[string]any {
	config := asFloats(centre)
	for _, name := range slices.Sorted(maps.Keys(config)) {
		z := random.NormFloat64()
		if x, ok := config[name].(float64); ok {
			if y := x * math.Exp(sigma*z); y != 0 && !math.IsInf(y, 0) && !math.IsNaN(y) {
				config[name] = y
			}
		}
	}
	return config
}

// asFloats is a copy with every number as a finite float: a 1 in JSON may well have been a 1.0.
func asFloats(config map[string]any) map[string]any {
	copied := maps.Clone(config)
	for name, v := range config {
		if x, ok := number(v); ok {
			copied[name] = finite(x)
		}
	}
	return copied
}

// clamped is a copy of a live config within the space.
func (s local) clamped(config map[string]any) map[string]any {
	if s.space == nil {
		return asFloats(config)
	}
	return normal(s.space.Clamp(config))
}

// movable counts the parameters that a step moves.
func (s local) movable(config map[string]any) int {
	n := 0
	for name, v := range config {
		x, ok := number(v)
		if s.space != nil {
			ok = s.space.byName[name] != nil
		} else {
			ok = ok && x != 0
		}
		if ok {
			n++
		}
	}
	return n
}

// normal is a copy with the types of config values, all finite: a stored config may have come back
// with others.
func normal(config map[string]any) map[string]any {
	copied := maps.Clone(config)
	for name, v := range config {
		known, ok := scalar(v)
		if x, isFloat := known.(float64); isFloat {
			known = finite(x)
		}
		if ok {
			copied[name] = known
		}
	}
	return copied
}

// comparable reports whether one value of the objective says something about the other config: what is
// not tuned is equal.
func (s local) comparable(a, b map[string]any) bool {
	for name, v := range a {
		other, ok := b[name]
		if s.tuned(name) {
			continue
		}
		_, number1 := number(v)
		_, number2 := number(other)
		if !ok || number1 != number2 || !number1 && identity(v) != identity(other) {
			return false
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok && !s.tuned(name) {
			return false
		}
	}
	return true
}

func (s local) tuned(name string) bool { return s.space != nil && s.space.byName[name] != nil }

// same reports whether two configs are equal but for rounding, as by a trainer that computes in 32 bits.
func same(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		w, ok := b[name]
		if !ok {
			return false
		}
		x, number1 := number(v)
		y, number2 := number(w)
		if number1 != number2 || number1 && math.Abs(x-y) > 1e-6*math.Abs(x) || !number1 && identity(v) != identity(w) {
			return false
		}
	}
	return true
}
