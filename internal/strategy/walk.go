package strategy

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// walk moves every number of the base, in the order of their names; strings and bools stay.
type walk struct {
	space *Space // nil: numbers are floats without bounds
	move  func(x float64, r *rand.Rand) float64
}

func (s walk) Suggest(r Request) (map[string]any, error) {
	random := r.rand()
	if r.Base == nil {
		if s.space == nil {
			return nil, &FieldError{"config", "is missing", "report one to start from, or give a space"}
		}
		return s.space.Sample(random), nil
	}
	moved := s.moved(r.Base, random)
	if s.space == nil {
		return asFloats(moved), nil
	}
	clamped := normal(s.space.Clamp(moved))
	if s.space.Check(r.Base) != nil {
		return clamped, nil
	}
	// A number may have crossed the condition of another parameter: a base in the space gives a config in it.
	return s.space.Complete(nil, clamped, random)
}

// moved keeps a number that would overflow.
func (s walk) moved(base map[string]any, random *rand.Rand) map[string]any {
	config := maps.Clone(base)
	for _, name := range slices.Sorted(maps.Keys(base)) {
		x, ok := number(base[name])
		if !ok {
			continue
		}
		config[name] = x
		if y := s.move(x, random); !math.IsInf(y, 0) {
			config[name] = y
		}
	}
	return config
}
