package strategy

// newAuto chooses for those who do not: random search, which needs no tuning of its own and suits every space.
func newAuto(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("auto", space); err != nil {
		return nil, err
	}
	return newRandom(options, space)
}
