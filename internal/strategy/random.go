package strategy

import "math/rand/v2"

// random samples a continuous space independently for each trial (Bergstra & Bengio, "Random Search for
// Hyper-Parameter Optimization", JMLR 2012), in a finite one each config once. It has no options.
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
	random := r.rand()
	return newSeen(s.space, r).fresh(random, func() map[string]any { return s.space.Sample(random) })
}

// rand depends on seed and number only: a trial gets the same config whoever proposes it, and whenever.
func (r Request) rand() *rand.Rand {
	return rand.New(rand.NewPCG(r.Seed, uint64(r.Number)))
}
