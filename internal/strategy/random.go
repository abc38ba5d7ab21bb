package strategy

import "math/rand/v2"

// random samples the space independently for each trial (Bergstra & Bengio, "Random Search for
// Hyper-Parameter Optimization", JMLR 2012). It has no options and never ends.
type random struct{ space *Space }

func newRandom(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("random", space); err != nil {
		return nil, err
	}
	if err := onlyOptions(options); err != nil {
		return nil, err
	}
	return random{space}, nil
}

func (s random) Suggest(r Request) (map[string]any, error) {
	return s.space.Sample(r.rand()), nil
}

// rand depends on seed and number only: a trial gets the same config whoever proposes it, and whenever.
func (r Request) rand() *rand.Rand {
	return rand.New(rand.NewPCG(r.Seed, uint64(r.Number)))
}
