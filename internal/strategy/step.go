package strategy

import "math/rand/v2"

const defaultStep = 0.05

// newStep adds a constant to every number of the base. Option: step, any finite number (0.05).
func newStep(options map[string]any, space *Space) (Strategy, error) {
	if err := onlyOptions(options, "step"); err != nil {
		return nil, err
	}
	step, err := numberOption(options, "step", defaultStep)
	if err != nil {
		return nil, err
	}
	move := func(x float64, _ *rand.Rand) float64 { return x + step }
	return walk{space, move}, nil
}
