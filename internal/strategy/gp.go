package strategy

import (
	"math"
	"slices"
	"sync"
)

// gp is Bayesian optimisation: a Gaussian process learns the objective from the results so far, and
// the config with the largest expected improvement is proposed next (Jones, Schonlau & Welch,
// "Efficient Global Optimization of Expensive Black-Box Functions", 1998). It has no options.
//
// Failed trials count as the worst result, pruned ones as no better than the median; pending ones as if
// they had come out as predicted ("kriging believer", Ginsbourger et al., 2010). Results of earlier
// studies are another task, related to this one as far as the results say. The process holds at most
// maxPoints results, the best and a spread of the others, so the time of a suggestion is bounded.
type gp struct {
	space *Space
	cube  *cube

	mutex sync.Mutex // guards the latest fit, which only saves time
	key   uint64
	theta []float64
}

func newGP(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("gp", space); err != nil {
		return nil, err
	}
	if err := onlyOptions(options); err != nil {
		return nil, err
	}
	return &gp{space: space, cube: newCube(space)}, nil
}

func (*gp) slow() bool { return true }

func (s *gp) Suggest(r Request) (map[string]any, error) {
	measured, pending := s.cube.results(r)
	if s.early(r, measured) {
		return s.design(r, measured)
	}
	return s.acquisition(r, measured, pending).suggest(r)
}

// early says that it takes points of a design, rather than a model, to learn from.
func (s *gp) early(r Request, measured []result) bool {
	n := min(max(4, s.cube.dims()+1), 12)
	if r.MaxTrials > 0 {
		n = min(n, max(r.MaxTrials/4, 2))
	}
	if informed(measured) {
		n = min(n, 4)
	}
	complete := 0
	for _, m := range measured {
		if m.own() {
			complete++
		}
	}
	return len(r.History) < n || complete < 2
}

// informed by earlier studies.
func informed(measured []result) bool { return len(measured) > 0 && measured[0].prior }

// design proposes the best config of earlier studies, then points of a Sobol sequence.
func (s *gp) design(r Request, measured []result) (map[string]any, error) {
	if r.Index == 0 && informed(measured) {
		if best := s.space.adopt(measured[0].config, r.rand()); !newSeen(s.space, r).has(best) {
			return best, nil
		}
	}
	return sobol{s.space}.Suggest(r)
}

// acquisition builds the process and what its proposals are compared with.
func (s *gp) acquisition(r Request, measured, pending []result) *acquisition {
	impute(measured)
	measured = subset(measured, maxPoints)
	c := s.coordinates(measured)
	known := fitted(r, measured, c.axes())
	l := newLikelihood(c, c.points(known), values(known))
	p := l.parameters(s.fit(l))
	g := newProcess(c, p)
	for _, x := range c.points(measured) {
		g.condition(x, p.noise)
	}
	targets, _, _, _ := newWarp(values(measured)).apply(p.warp)
	g.learn(targets)
	best := g.incumbent(c, measured)
	for _, x := range c.points(pending) {
		mean := newView(g).expect(x)
		g.condition(x, 1e-6*p.variance)
		targets = append(targets, mean)
		g.learn(targets)
	}
	return &acquisition{
		cube: s.cube, coordinates: c, view: newView(g), best: best,
		tops: tops(measured), seen: newSeen(s.space, r),
	}
}

func (s *gp) coordinates(measured []result) coordinates {
	c := coordinates{study: slices.ContainsFunc(measured, func(m result) bool { return m.prior })}
	for i := range s.cube.dims() {
		c.nominal = append(c.nominal, s.cube.categorical(i))
	}
	if c.study {
		c.nominal = append(c.nominal, true)
	}
	return c
}

// incumbent is the smallest prediction at a config that this study has completed: with noise, the
// smallest result would be one that had luck.
func (g *process) incumbent(c coordinates, measured []result) float64 {
	best, v := math.Inf(1), newView(g)
	for _, m := range measured {
		if m.own() {
			best = min(best, v.expect(c.point(m)))
		}
	}
	return best
}

// fit returns the hyper-parameters for the data of l. They follow from these alone.
func (s *gp) fit(l *likelihood) []float64 {
	key := l.key()
	s.mutex.Lock()
	known, same := s.theta, s.key == key
	s.mutex.Unlock()
	if same && known != nil {
		return known
	}
	theta := l.fit()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.key, s.theta = key, theta
	return theta
}
