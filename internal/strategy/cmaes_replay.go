package strategy

import (
	"math"
	"slices"
)

// generation is the state of the search after a number of finished trials.
type generation struct {
	trials int
	key    uint64 // of the seed and all that went before
	state  *evolution
	began  int // trials before the present run of the evolution
}

const (
	elites     = 2  // the best members of recent generations that take part again
	eliteAge   = 3  // generations
	remembered = 16 // generations, so that late results of earlier trials need no replay from the start
)

// replay returns the state that the finished trials of the request lead to.
func (s *cmaes) replay(r Request) *evolution {
	prior, done := s.members(r)
	keys := prefixKeys(r.Seed, prior, done)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	g, known := s.recall(keys)
	if !known {
		g = generation{state: s.begin(prior), key: keys[0]}
	}
	for g.trials+g.state.offspring <= len(done) {
		g = s.advance(g, done, r.Seed)
		g.key = keys[g.trials]
		s.past = append(s.past, g)
	}
	s.past = slices.Delete(s.past, 0, max(0, len(s.past)-remembered))
	return g.state
}

// recall finds the last remembered generation of this very history.
func (s *cmaes) recall(keys []uint64) (generation, bool) {
	for _, g := range slices.Backward(s.past) {
		if g.trials < len(keys) && keys[g.trials] == g.key {
			return g, true
		}
	}
	return generation{}, false
}

func (s *cmaes) advance(g generation, done []member, seed uint64) generation {
	e, end := g.state, g.trials+g.state.offspring
	recent := done[max(g.began, g.trials-eliteAge*e.offspring):g.trials]
	recent = slices.SortedStableFunc(slices.Values(recent), compareMembers)
	e = e.next(slices.Concat(done[g.trials:end], recent[:min(elites, len(recent))]), s.axes)
	g.trials = end
	if e.stagnant(s.axes) {
		e, g.began = s.restart(e, seed, end), end
	}
	g.state = e
	return g
}

// member is a finished trial as a member of a generation.
type member struct {
	point  []float64  // on the ordered axes; NaN where the parameter does not exist
	choice []int      // of the categorical ones, -1 where the parameter does not exist
	worth  [2]float64 // less is better: 0 and the value if complete, 1 if pruned, 2 if failed
}

func compareMembers(a, b member) int { return slices.Compare(a.worth[:], b.worth[:]) }

// members returns the trials of earlier studies and the finished ones of this.
func (s *cmaes) members(r Request) (prior, done []member) {
	for _, o := range r.observations() {
		switch {
		case o.state == Pending:
		case o.prior:
			prior = append(prior, s.member(o))
		default:
			done = append(done, s.member(o))
		}
	}
	return prior, done
}

func (s *cmaes) member(o observation) member {
	x := s.cube.encode(o.config)
	m := member{point: make([]float64, len(s.axes)), choice: make([]int, len(s.categories))}
	for i, a := range s.axes {
		m.point[i] = x[a.position]
	}
	for c, position := range s.categories {
		m.choice[c] = -1
		if n := s.cube.levels(position); !math.IsNaN(x[position]) {
			m.choice[c] = int(binOf(x[position], n))
		}
	}
	switch o.state {
	case Complete:
		m.worth[1] = o.value
	case Pruned:
		m.worth[0] = 1
	default:
		m.worth[0] = 2
	}
	return m
}

// prefixKeys identifies what comes before each of the finished trials, and all of them.
func prefixKeys(seed uint64, prior, done []member) []uint64 {
	key := mix(seed)
	for _, m := range prior {
		key = m.addTo(key)
	}
	keys := append(make([]uint64, 0, len(done)+1), key)
	for _, m := range done {
		key = m.addTo(key)
		keys = append(keys, key)
	}
	return keys
}

func (m member) addTo(key uint64) uint64 {
	for _, x := range m.point {
		key = mix(key ^ math.Float64bits(x))
	}
	for _, k := range m.choice {
		key = mix(key ^ uint64(k))
	}
	return mix(mix(key^uint64(m.worth[0])) ^ math.Float64bits(m.worth[1]))
}
