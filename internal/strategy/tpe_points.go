package strategy

import (
	"cmp"
	"math"
	"reflect"
	"slices"
)

// tpePoint is an observation in the coordinates of the cube. Equal maps of coordinates are shared and not
// to be changed.
type tpePoint struct {
	x     []float64
	value float64
	step  int64
	state TrialState
	prior bool
}

func (p *tpePoint) finished() bool { return p.state == Complete || p.state == Pruned }

// encoded remembers a config's coordinates. It holds the map, so that no other one can take its address.
type encoded struct {
	config map[string]any
	x      []float64
}

// encode returns what the request knows, priors first; their configs are moved into the space.
func (s *tpe) encode(r Request) []tpePoint {
	all := r.observations()
	points := make([]tpePoint, len(all))
	priors := len(all) - len(r.History)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for i, o := range all {
		points[i] = tpePoint{s.coordinates(i, o), o.value, 0, o.state, o.prior}
		if i >= priors {
			points[i].step = r.History[i-priors].Step
		}
	}
	return points
}

// coordinates takes those of the same config at the same place of the last history, if they are there.
func (s *tpe) coordinates(i int, o observation) []float64 {
	if i < len(s.known) && reflect.ValueOf(s.known[i].config).Pointer() == reflect.ValueOf(o.config).Pointer() {
		return s.known[i].x
	}
	config := o.config
	if o.prior {
		config = s.space.Clamp(config)
	}
	x := s.cube.encode(config)
	if i < len(s.known) {
		s.known[i] = encoded{o.config, x}
	} else if i == len(s.known) {
		s.known = append(s.known, encoded{o.config, x})
	}
	return x
}

// kernels are the centres of a density and their weights.
type kernels struct {
	x       [][]float64
	weights []float64
}

func (k *kernels) add(x []float64, weight float64) {
	k.x = append(k.x, x)
	k.weights = append(k.weights, weight)
}

const (
	goodShare = 0.1
	mostGood  = 25
	// Older bad configs are left out: a suggestion then takes the same time however many there are.
	mostBad = 400
	// priorTrials is how many own trials weigh as much as all those of earlier studies.
	priorTrials = 10
)

// split sorts the points of a group into good and bad ones. Each source has good ones of its own, as the
// values of different studies do not compare; those of earlier studies fade as own ones come in.
func (g *tpeGroup) split(points []tpePoint) (good, bad kernels) {
	own := make([]tpePoint, 0, len(points))
	var earlier, open []tpePoint
	for _, p := range points {
		p.x = g.project(p.x)
		switch {
		case p.x == nil:
		case p.prior:
			earlier = append(earlier, p)
		case p.state == Pending:
			open = append(open, p)
		default:
			own = append(own, p)
		}
	}
	fading := priorTrials / float64(priorTrials+finished(own))
	best := bestPlaces(earlier, func(a, b tpePoint) int { return 0 }) // they come best first
	addGood(&good, earlier, best, fading)
	addBad(&bad, earlier, best, fading)
	best = bestPlaces(own, better)
	addGood(&good, own, best, 1)
	addBad(&bad, append(own, open...), best, 1)
	return good, bad
}

// project picks the coordinates of the group; nil where they do not exist.
func (g *tpeGroup) project(x []float64) []float64 {
	if len(g.places) < len(x) {
		picked := make([]float64, len(g.places))
		for j, place := range g.places {
			picked[j] = x[place]
		}
		x = picked
	}
	if slices.ContainsFunc(x, math.IsNaN) {
		return nil
	}
	return x
}

// better orders finished trials: complete ones by value, then pruned ones, those that came further first.
func better(a, b tpePoint) int {
	if a.state != b.state {
		return cmp.Compare(a.state, b.state)
	}
	if a.state == Pruned && a.step != b.step {
		return cmp.Compare(b.step, a.step)
	}
	if math.IsNaN(a.value) || math.IsNaN(b.value) {
		return -cmp.Compare(a.value, b.value) // NaN is the smallest there
	}
	return cmp.Compare(a.value, b.value)
}

// bestPlaces returns the places of the good tenth of the finished trials, best first; of equals the earlier one.
func bestPlaces(points []tpePoint, order func(a, b tpePoint) int) []int {
	n := min(int(math.Ceil(goodShare*float64(finished(points)))), mostGood)
	best := make([]int, 0, n+1)
	for i := range points {
		if !points[i].finished() || len(best) == n && (n == 0 || order(points[i], points[best[n-1]]) >= 0) {
			continue
		}
		at := len(best)
		for at > 0 && order(points[i], points[best[at-1]]) < 0 {
			at--
		}
		best = slices.Insert(best, at, i)
		best = best[:min(len(best), n)]
	}
	return best
}

// addGood weights by the logarithm of the rank, as evolution strategies do (Hansen, "The CMA Evolution
// Strategy: A Tutorial", 2016, equation 49); the mean weight is the given one.
func addGood(good *kernels, points []tpePoint, best []int, weight float64) {
	sum := 0.0
	for rank := range best {
		sum += math.Log(float64(len(best)+1) / float64(rank+1))
	}
	for rank, i := range best {
		share := math.Log(float64(len(best)+1)/float64(rank+1)) / sum
		good.add(points[i].x, weight*share*float64(len(best)))
	}
}

// addBad adds all but the best. Weights fall with age beyond the 25 newest (Bergstra et al., "Making a
// Science of Model Search", ICML 2013).
func addBad(bad *kernels, points []tpePoint, best []int, weight float64) {
	isBest := make([]bool, len(points))
	for _, i := range best {
		isBest[i] = true
	}
	n, place := len(points)-len(best), -1
	bad.x, bad.weights = slices.Grow(bad.x, min(n, mostBad)), slices.Grow(bad.weights, min(n, mostBad))
	for i, p := range points {
		if isBest[i] {
			continue
		}
		if place++; place < n-mostBad {
			continue
		}
		bad.add(p.x, weight*recency(place, n))
	}
}

func recency(place, n int) float64 {
	const flat = 25
	old := n - flat
	if place >= old {
		return 1
	}
	least := 1 / float64(n)
	return least + (1-least)*float64(place)/float64(max(old-1, 1))
}
