package strategy

import "math/rand/v2"

const defaultRate = 0.10

// newExplore adds uniform noise in ±rate/2 to every number of the base. Options: rate, the width of the
// noise (0.10), at least 0; relative (false): multiply by 1 + noise instead, with rate below 2, so that
// signs stay.
func newExplore(options map[string]any, space *Space) (Strategy, error) {
	if err := onlyOptions(options, "rate", "relative"); err != nil {
		return nil, err
	}
	rate, err := numberOption(options, "rate", defaultRate)
	if err != nil {
		return nil, err
	}
	relative, ok := options["relative"].(bool)
	if !ok && options["relative"] != nil {
		return nil, &FieldError{"options.relative", show(options["relative"]) + " is not a bool", "give true or false"}
	}
	if rate < 0 {
		return nil, &FieldError{"options.rate", show(rate) + " is negative", "give at least 0"}
	}
	if relative && rate >= 2 {
		return nil, &FieldError{"options.rate", show(rate) + " would change signs", "give less than 2, or leave out relative"}
	}
	move := func(x float64, r *rand.Rand) float64 {
		noise := (r.Float64() - 0.5) * rate
		if relative {
			return x * (1 + noise)
		}
		return x + noise
	}
	return walk{space, move}, nil
}
