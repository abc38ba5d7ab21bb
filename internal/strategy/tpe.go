package strategy

import (
	"math/rand/v2"
	"sync"
)

// tpe is a multivariate tree-structured Parzen estimator (Bergstra et al., "Algorithms for
// Hyper-Parameter Optimization", NeurIPS 2011; Watanabe, "Tree-Structured Parzen Estimator: Understanding
// Its Algorithm Components", 2023): one density l of the good configs, one g of the others, and of many
// draws from l the one with the largest l/g.
//
// Trials take turns between two such models. One explores: wide kernels for the good configs, narrow ones
// for the others. The other one exploits: narrow kernels, of equal width in both densities. Together they
// leave local optima that either alone stays in.
//
// Parameters under the same conditions are modelled together, from the trials in which they exist. Pending
// and failed trials count as bad. Option: startup (10), trials to finish before the model is used; until
// then points are those of a Sobol sequence. A config is never proposed twice in a finite space.
type tpe struct {
	space   *Space
	cube    *cube
	groups  []tpeGroup
	startup int

	mutex sync.Mutex
	known []encoded // of the latest history; it only saves time
}

// tpeGroup holds the parameters that exist under the same conditions.
type tpeGroup struct {
	places []int // of the axes among all parameters
	axes   []tpeAxis
}

func newTPE(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("tpe", space); err != nil {
		return nil, err
	}
	if err := onlyOptions(options, "startup"); err != nil {
		return nil, err
	}
	startup, err := numberOption(options, "startup", 10)
	if err != nil {
		return nil, err
	}
	if startup < 1 || startup > 1e6 || startup != float64(int(startup)) {
		return nil, &FieldError{"options.startup", show(startup) + " is no number of trials", "give an integer from 1 to 1000000"}
	}
	s := &tpe{space: space, cube: newCube(space), startup: int(startup)}
	s.group()
	return s, nil
}

// group puts parameters with equal conditions together.
func (s *tpe) group() {
	for i, p := range s.space.parameters {
		g := s.groupLike(p)
		if g == nil {
			s.groups = append(s.groups, tpeGroup{})
			g = &s.groups[len(s.groups)-1]
		}
		g.places = append(g.places, i)
		g.axes = append(g.axes, newTPEAxis(p, s.cube.levels(i)))
	}
}

func (s *tpe) groupLike(p *parameter) *tpeGroup {
	for i := range s.groups {
		if sameConditions(p, s.space.parameters[s.groups[i].places[0]]) {
			return &s.groups[i]
		}
	}
	return nil
}

func sameConditions(p, q *parameter) bool {
	if len(p.conditions) != len(q.conditions) {
		return false
	}
	for i, c := range p.conditions { // both by name of the parent
		d := q.conditions[i]
		if c.parent != d.parent || len(c.values) != len(d.values) {
			return false
		}
		for v := range c.values {
			if !d.values[v] {
				return false
			}
		}
	}
	return true
}

func (s *tpe) Suggest(r Request) (map[string]any, error) {
	seen, random := newSeen(s.space, r), r.rand()
	points := s.encode(r)
	if finished(points) < s.startup || r.Index == 0 {
		return seen.fresh(random, s.start(r, points))
	}
	ranked := make([][][]float64, len(s.groups))
	for i := range s.groups {
		ranked[i] = s.groups[i].propose(points, tpeTurns[r.Number&1], random)
	}
	next := 0
	return seen.fresh(random, func() map[string]any {
		next++
		return s.cube.decode(s.joined(ranked, next-1, random))
	})
}

// joined puts the candidates of one rank together, random points where a group has no more.
func (s *tpe) joined(ranked [][][]float64, rank int, random *rand.Rand) []float64 {
	point := make([]float64, s.cube.dims())
	for i, g := range s.groups {
		for j, place := range g.places {
			if rank < len(ranked[i]) {
				point[place] = ranked[i][rank][j]
			} else {
				point[place] = random.Float64()
			}
		}
	}
	return point
}

// start proposes the best config of earlier studies first, then points of the Sobol sequence.
func (s *tpe) start(r Request, points []tpePoint) func() map[string]any {
	index := r.Index - 1
	return func() map[string]any {
		index++
		if index == 0 && len(points) > 0 && points[0].prior {
			return s.space.adopt(r.observations()[0].config, r.rand())
		}
		return s.cube.decode(sobolPoint(r.Seed, index, s.cube.dims()))
	}
}

func finished(points []tpePoint) (n int) {
	for i := range points {
		if points[i].finished() {
			n++
		}
	}
	return n
}
