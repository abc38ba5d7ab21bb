package problem

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// axis is how a parameter describes one coordinate of a formula: its values and where each lies in [0,1].
type axis struct {
	tree     map[string]any
	position func(value float64) float64
	value    func(position float64) any // the nearest value
}

// linear is the range of the coordinate itself.
func linear(low, high float64) axis {
	return axis{
		map[string]any{"type": "float", "low": low, "high": high},
		func(v float64) float64 { return (v - low) / (high - low) },
		func(u float64) any { return low + u*(high-low) },
	}
}

// logarithmic spreads the coordinate over the decades from low to high.
func logarithmic(low, high float64) axis {
	decades := math.Log(high / low)
	return axis{
		map[string]any{"type": "float", "low": low, "high": high, "log": true},
		func(v float64) float64 { return math.Log(v/low) / decades },
		func(u float64) any { return low * math.Exp(u*decades) },
	}
}

// integers cuts the coordinate into the whole numbers from low to high.
func integers(low, high int64) axis {
	width := float64(high - low)
	return axis{
		map[string]any{"type": "int", "low": low, "high": high},
		func(v float64) float64 { return (v - float64(low)) / width },
		func(u float64) any { return low + int64(math.Round(u*width)) },
	}
}

// logIntegers does so with logarithmic distances, as units of a layer or batch sizes are.
func logIntegers(low, high int64) axis {
	decades := math.Log(float64(high) / float64(low))
	return axis{
		map[string]any{"type": "int", "low": low, "high": high, "log": true},
		func(v float64) float64 { return math.Log(v/float64(low)) / decades },
		func(u float64) any { return int64(math.Round(float64(low) * math.Exp(u*decades))) },
	}
}

// steps cuts the coordinate into n steps between 0 and 1.
func steps(n int) axis {
	return axis{
		map[string]any{"type": "float", "low": 0.0, "high": 1.0, "step": 1 / float64(n)},
		func(v float64) float64 { return v },
		func(u float64) any { return math.Round(u*float64(n)) / float64(n) },
	}
}

// coordinate turns a value of a config into a coordinate of a formula.
type coordinate func(value any) float64

// place lays a formula over axes, one per coordinate. Its optimum moves by up to reach (a fraction of
// each range, pseudo-random but fixed by name) from its usual place, for starts at the centre or on a
// lattice would hit many of them by luck (as the COCO test suites do). On an axis with steps it moves
// onto one of its values, so that the smallest value stays known. best are the values there.
func (f formula) place(name string, axes []axis, reach float64) (coordinates []coordinate, best []any) {
	r := rand.New(rand.NewPCG(hash(name), 0))
	for i, a := range axes {
		width := f.high[i] - f.low[i]
		usual := (f.best[i] - f.low[i]) / width
		target := min(max(usual+reach*(2*r.Float64()-1), 0.05), 0.95)
		if reach == 0 {
			target = usual
		}
		value := a.value(target)
		shift := f.low[i] + width*a.position(number(value)) - f.best[i]
		best = append(best, value)
		coordinates = append(coordinates, func(v any) float64 {
			return f.low[i] + width*a.position(number(v)) - shift
		})
	}
	return coordinates, best
}

// at evaluates the formula at the values of the named parameters.
func (f formula) at(config map[string]any, names []string, coordinates []coordinate) float64 {
	x := make([]float64, len(names))
	for i, name := range names {
		x[i] = coordinates[i](config[name])
	}
	return f.f(x)
}

// names returns prefix01, prefix02, …
func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%02d", prefix, i+1)
	}
	return all
}
