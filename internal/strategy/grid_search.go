package strategy

// gridSearch proposes every config of a finite space once, in the order of Space.At. It has no options.
type gridSearch struct{ space *Space }

func newGridSearch(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("grid", space); err != nil {
		return nil, err
	}
	if err := onlyOptions(options); err != nil {
		return nil, err
	}
	for _, p := range space.parameters {
		if _, ok := p.axis.(discrete); !ok {
			return nil, &FieldError{"space." + p.Name, "is continuous, a grid needs single values", "give it a step, or values"}
		}
	}
	if space.grid == nil {
		return nil, &FieldError{"space", "too many parameters share conditions to count the grid", "drop some conditions, or use strategy random"}
	}
	return gridSearch{space}, nil
}

func (s gridSearch) Suggest(r Request) (map[string]any, error) {
	config := s.space.At(uint64(r.Index))
	if config == nil {
		return nil, ErrExhausted
	}
	return config, nil
}
