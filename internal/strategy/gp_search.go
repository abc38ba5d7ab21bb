package strategy

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// acquisition searches the config with the largest logarithm of the expected improvement.
type acquisition struct {
	cube        *cube
	coordinates coordinates
	view        *view
	best        float64     // what is to be improved
	tops        [][]float64 // the points of the best results
	seen        *seen
}

// candidate is a point that encodes a config that was not proposed yet.
type candidate struct {
	point []float64
	value float64 // of the acquisition
}

// The effort of a search.
const (
	enumerated   = 1000 // spaces up to this size are searched whole
	globalPoints = 256  // of a Sobol sequence
	localPoints  = 256  // near the best results
	climbs       = 4    // local searches from the best of these
	smoothLevels = 50   // an axis of more levels is climbed as if it were continuous
	tried        = 16   // levels of a discrete axis that a local search tries at once
)

func (a *acquisition) suggest(r Request) (map[string]any, error) {
	if a.seen.exhausted() {
		return nil, ErrExhausted
	}
	random := r.rand()
	all := a.candidates(random)
	slices.SortStableFunc(all, descending)
	for _, c := range all {
		if config := a.cube.decode(c.point); !a.seen.has(config) {
			return config, nil
		}
	}
	return a.seen.fresh(random, func() map[string]any { return a.cube.space.Sample(random) })
}

func descending(a, b candidate) int { return cmp.Compare(b.value, a.value) }

func (a *acquisition) candidates(r *rand.Rand) (all []candidate) {
	add := func(point []float64) {
		if c, ok := a.at(point); ok {
			all = append(all, c)
		}
	}
	if n, finite := a.cube.space.Size(); finite && n <= enumerated {
		config := a.cube.space.first()
		for range n {
			add(a.cube.encode(config))
			config = a.cube.space.after(config)
		}
		return all
	}
	seed := r.Uint64()
	for i := range globalPoints {
		add(sobolPoint(seed, i, a.cube.dims()))
	}
	for i := range localPoints {
		add(a.neighbour(a.tops[i%len(a.tops)], r))
	}
	slices.SortStableFunc(all, descending)
	for _, c := range distinct(all, climbs) {
		all = append(all, a.climb(c, r))
	}
	return all
}

// at judges the config that a point decodes to; false in a finite space if it was proposed before.
func (a *acquisition) at(point []float64) (candidate, bool) {
	config := a.cube.decode(point)
	if _, finite := a.cube.space.Size(); finite && a.seen.has(config) {
		return candidate{}, false
	}
	point = a.cube.encode(config)
	mean, deviation := a.view.predict(a.coordinates.of(point, false))
	value, _, _ := logImprovement(a.best, mean, deviation)
	return candidate{point, value}, true
}

// distinct returns the first n candidates that are not close to one before.
func distinct(all []candidate, n int) (kept []candidate) {
	for _, c := range all {
		if len(kept) == n {
			break
		}
		if !slices.ContainsFunc(kept, func(k candidate) bool { return close(c.point, k.point) }) {
			kept = append(kept, c)
		}
	}
	return kept
}

// close points differ by less than a hundredth of the cube's width per axis, in the quadratic mean.
func close(a, b []float64) bool {
	sum := 0.0
	for i := range a {
		switch d := a[i] - b[i]; {
		case !math.IsNaN(d):
			sum += d * d
		case math.IsNaN(a[i]) != math.IsNaN(b[i]):
			sum++
		}
	}
	return sum < 1e-4*float64(len(a))
}

// neighbour moves some coordinates of a point, all by about the same distance; in three of ten cases
// about one, else about twenty. Absent coordinates get random values, should they come into being.
func (a *acquisition) neighbour(point []float64, r *rand.Rand) []float64 {
	p := slices.Clone(point)
	d := float64(len(p))
	chance := min(1, 20/d)
	if r.Float64() < 0.3 {
		chance = 1 / d
	}
	scale := [...]float64{0.2, 0.05, 0.01, 0.002}[r.IntN(4)]
	must := r.IntN(len(p))
	for i := range p {
		moved := i == must || r.Float64() < chance
		switch {
		case math.IsNaN(p[i]), moved && a.cube.categorical(i):
			p[i] = r.Float64()
		case moved:
			step := r.NormFloat64() * scale
			if n := a.cube.levels(i); n > 0 {
				step = math.Copysign(max(math.Abs(step), 1/float64(n)), step)
			}
			p[i] = min(max(p[i]+step, 0), 1)
		}
	}
	return p
}

// climb alternates between the smooth axes and the discrete ones.
func (a *acquisition) climb(c candidate, r *rand.Rand) candidate {
	for range 4 {
		before := c.value
		c = a.step(a.ascend(c), r)
		if c.value-before < 1e-6*math.Abs(before) {
			break
		}
	}
	return c
}

// ascend follows the gradient along the axes that are as good as continuous.
func (a *acquisition) ascend(c candidate) candidate {
	var axes []int
	var x []float64
	for i, v := range c.point {
		if n := a.cube.levels(i); !math.IsNaN(v) && !a.cube.categorical(i) && (n == 0 || n > smoothLevels) {
			axes, x = append(axes, i), append(x, v)
		}
	}
	if len(axes) == 0 {
		return c
	}
	features := slices.Clone(a.coordinates.of(c.point, false))
	byMean, byDeviation := make([]float64, len(axes)), make([]float64, len(axes))
	f := func(x, gradient []float64) float64 {
		for j, axis := range axes {
			features[axis] = x[j]
		}
		mean, deviation := a.view.slopes(features, axes, byMean, byDeviation)
		value, m, s := logImprovement(a.best, mean, deviation)
		for j := range gradient {
			gradient[j] = -m*byMean[j] - s*byDeviation[j]
		}
		return -value
	}
	d := descent{f: f, low: make([]float64, len(axes)), high: slices.Repeat([]float64{1}, len(axes)), iterations: 40, tolerance: 1e-5}
	d.run(x)
	p := slices.Clone(c.point)
	for j, axis := range axes {
		p[axis] = x[j]
	}
	return a.better(c, p)
}

func (a *acquisition) better(c candidate, point []float64) candidate {
	if next, ok := a.at(point); ok && next.value > c.value {
		return next
	}
	return c
}

// step tries other values of one discrete axis after the other.
func (a *acquisition) step(c candidate, r *rand.Rand) candidate {
	for _, axis := range r.Perm(len(c.point)) {
		n := a.cube.levels(axis)
		if n < 2 || math.IsNaN(c.point[axis]) {
			continue
		}
		for _, v := range a.alternatives(axis, n, c.point[axis], r) {
			p := slices.Clone(c.point)
			p[axis] = v
			c = a.better(c, p)
		}
	}
	return c
}

// alternatives are all values of a small axis, some of a large unordered one, and of an ordered one
// those at distances of 1, 4, 16 and 64 levels.
func (a *acquisition) alternatives(axis int, n uint64, v float64, r *rand.Rand) (values []float64) {
	d := a.cube.space.parameters[axis].axis.(discrete)
	switch {
	case n <= tried:
		for k := range n {
			values = append(values, binCentre(d, k))
		}
	case a.cube.categorical(axis):
		for range tried {
			values = append(values, r.Float64())
		}
	default:
		k, _ := d.index(valueAt(d, v))
		for _, step := range []uint64{1, 4, 16, 64} {
			values = append(values, binCentre(d, k-min(step, k)), binCentre(d, k+min(step, n-1-k)))
		}
	}
	return values
}
