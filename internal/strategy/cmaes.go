package strategy

import (
	"math"
	"math/rand/v2"
	"sync"
)

// cmaes is the covariance matrix adaptation evolution strategy (Hansen, "The CMA Evolution Strategy: A
// Tutorial", 2016, arXiv 1604.00772): it samples a normal distribution that moves, turns and shrinks to
// where the results are good. It has no options.
//
// It differs from the tutorial in what a study needs. Generations are small, and the best of the last few
// take part in each once more, as injected solutions (Hansen, "Injecting External Solutions Into CMA-ES",
// 2011). No trial waits for a generation: whatever is proposed meanwhile comes from the present
// distribution, and generations are formed of finished trials in the order of their numbers, enqueued ones
// too. Discrete axes keep a chance to leave their value (Hamano et al., "CMA-ES with Margin", 2022), and
// categorical parameters have a distribution of their own (Hamano et al., "CatCMA", 2024). Earlier studies
// say where to begin (Nomura et al., "Warm Starting CMA-ES", 2021). Where it stagnates it begins anew with
// twice the members (Auger & Hansen, "A Restart CMA Evolution Strategy With Increasing Population Size", 2005).
type cmaes struct {
	space      *Space
	cube       *cube
	axes       []cmaAxis // ordered parameters
	categories []int     // positions of unordered ones in the cube

	mutex sync.Mutex
	past  []generation // the last ones replayed, by trials
}

// cmaAxis is a coordinate of the normal distribution.
type cmaAxis struct {
	position int // in the cube
	discrete discrete
}

func newCMAES(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("cmaes", space); err != nil {
		return nil, err
	}
	if err := onlyOptions(options); err != nil {
		return nil, err
	}
	s := &cmaes{space: space, cube: newCube(space)}
	for i, p := range space.parameters {
		d, _ := p.axis.(discrete)
		switch {
		case d != nil && d.size() == 1: // nothing to search
		case s.cube.categorical(i):
			s.categories = append(s.categories, i)
		default:
			s.axes = append(s.axes, cmaAxis{i, d})
		}
	}
	return s, nil
}

// slow: thousands of trials of dozens of parameters are replayed in a tenth of a second.
func (*cmaes) slow() bool { return true }

// Suggest proposes the mean first: a member of a generation like others, and the best guess there is.
func (s *cmaes) Suggest(r Request) (map[string]any, error) {
	e, random, proposals := s.replay(r), r.rand(), 0
	return newSeen(s.space, r).fresh(random, func() map[string]any {
		x := e.mean
		if proposals++; r.Index > 0 || proposals > 1 {
			x = s.draw(e, random)
		}
		return s.config(x, e, random)
	})
}

// resamplings is how often a point outside the cube is drawn again before it is clamped.
const resamplings = 50

func (s *cmaes) draw(e *evolution, random *rand.Rand) []float64 {
	x := e.draw(random)
	for range resamplings {
		if s.inside(x) {
			break
		}
		x = e.draw(random)
	}
	return x
}

// config completes a point of the normal distribution with categorical choices.
func (s *cmaes) config(x []float64, e *evolution, random *rand.Rand) map[string]any {
	point := make([]float64, s.cube.dims())
	for i, a := range s.axes {
		point[a.position] = x[i]
	}
	for c, position := range s.categories {
		q := e.choices[c]
		point[position] = (float64(choose(q, random)) + 0.5) / float64(len(q))
	}
	return s.cube.decode(point)
}

// inside: the first and the last bin of a discrete axis have no outer bound.
func (s *cmaes) inside(x []float64) bool {
	for i, a := range s.axes {
		if a.discrete == nil && !(x[i] >= 0 && x[i] <= 1) {
			return false
		}
	}
	return true
}

// bin returns the bounds of the bin of a discrete axis that x lies in.
func (a cmaAxis) bin(x float64) (low, high float64) {
	i, logarithmic := a.discrete.(integers)
	if x = min(max(x, 0), 1); !logarithmic || !i.log {
		n := float64(a.discrete.size())
		k := min(math.Floor(x*n), n-1)
		return k / n, (k + 1) / n
	}
	first, last := i.logEnds()
	v, _ := number(i.nearest(math.Exp(first + x*(last-first))))
	return fraction(math.Log(v-0.5), first, last), fraction(math.Log(v+0.5), first, last)
}
