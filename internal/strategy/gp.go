package strategy

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

type gp struct {
	space *Space
	cube  *cube

	mutex sync.Mutex
	fits  map[string]cached
}

func newGP(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("gp", space); err != nil {
		return nil, err
	}
	if err := onlyOptions(options); err != nil {
		return nil, err
	}
	return &gp{space: space, cube: newCube(space), fits: map[string]cached{}}, nil
}

func (*gp) slow() bool { return true }

func (s *gp) Suggest(r Request) (map[string]any, error) {
	data := s.cube.learnable(r)
	if s.early(r, data) {
		return sobol{s.space}.Suggest(r)
	}
	a := s.model(r, data)
	return a.suggest(r)
}

// early: the initial design
func (s *gp) early(r Request, data []result) bool {
	n := min(max(tune.InitMin, s.cube.dims()+1), tune.InitMax)
	if r.MaxTrials > 0 {
		n = min(n, max(r.MaxTrials/4, 2))
	}
	complete := 0
	for _, d := range data {
		if d.state == Complete && !d.prior {
			complete++
		}
	}
	return len(r.History) < n || complete < 2
}

// result is an observation in the cube.
type result struct {
	observation
	point []float64
}

func (c *cube) learnable(r Request) []result {
	var all []result
	for _, o := range r.observations() {
		if c.space.Check(o.config) == nil {
			all = append(all, result{o, c.encode(o.config)})
		}
	}
	return all
}

func (s *gp) model(r Request, all []result) *acquisition {
	kind := tune.Warp
	if tune.Mix > 0 && r.Number%tune.Mix == 0 {
		kind = tune.MixWarp
	}
	prior := false
	for _, d := range all {
		prior = prior || d.prior
	}
	var e coordinates
	for i := range s.cube.dims() {
		e.nominal = append(e.nominal, s.cube.categorical(i))
	}
	if prior {
		e.nominal = append(e.nominal, true)
	}
	var measured, pending []result
	for _, d := range all {
		if d.state == Pending {
			pending = append(pending, d)
		} else {
			measured = append(measured, d)
		}
	}
	impute(measured)
	measured = subset(s.cube, measured, tune.MaxPoints)
	// fit
	lag := r.Parallelism
	if lag <= 1 {
		lag = 0
	}
	cut := schedule(len(r.History) - lag)
	var known []result
	for _, d := range measured {
		if d.prior || d.number < cut {
			known = append(known, d)
		}
	}
	if len(known) < 2 {
		known = measured
	}
	known = subset(s.cube, known, tune.FitPoints)
	fitPoints, fitValues := make([][]float64, len(known)), make([]float64, len(known))
	for i, d := range known {
		fitPoints[i], fitValues[i] = withStudy(prior, d.point, d.prior), d.value
	}
	l := newLikelihood(kind, e, fitPoints, fitValues)
	theta := s.fit(kind, l, fitPoints, fitValues)
	p := l.parameters(theta)
	values := make([]float64, len(measured))
	for i := range measured {
		values[i] = measured[i].value
	}
	targets, _, _, _ := newWarper(kind, values).apply(p.warp)
	g := newProcess(e, p)
	var points [][]float64
	for _, d := range measured {
		x := withStudy(prior, d.point, d.prior)
		points = append(points, x)
		g.condition(x, p.noise)
	}
	g.learn(targets)
	best := math.Inf(1)
	v := newView(g)
	for i, x := range points {
		if measured[i].state != Complete || measured[i].prior {
			continue
		}
		m, _ := v.predict(x)
		best = min(best, m)
	}
	for _, d := range pending {
		x := withStudy(prior, d.point, false)
		m, _ := newView(g).predict(x)
		g.condition(x, 1e-6*p.variance)
		targets = append(targets, m)
		g.learn(targets)
	}
	order := make([]int, len(measured))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(targets[a], targets[b]) })
	var tops [][]float64
	for _, i := range order[:min(len(order), tune.Tops)] {
		tops = append(tops, measured[i].point)
	}
	return &acquisition{cube: s.cube, prior: prior, view: newView(g), best: best, tops: tops, seen: newSeen(s.space, r)}
}

func withStudy(with bool, point []float64, prior bool) []float64 {
	if !with {
		return point
	}
	if prior {
		return append(slices.Clone(point), 1)
	}
	return append(slices.Clone(point), 0)
}

func impute(all []result) {
	var complete []float64
	worst := math.Inf(-1)
	for _, d := range all {
		if d.state == Complete && !d.prior {
			complete = append(complete, d.value)
			worst = max(worst, d.value)
		}
	}
	slices.Sort(complete)
	if len(complete) == 0 {
		return
	}
	median := complete[len(complete)/2]
	for i, d := range all {
		switch {
		case d.state == Pruned && !math.IsNaN(d.value):
			all[i].value = max(d.value, median)
		case d.state != Complete:
			all[i].value = worst
		}
	}
}

func schedule(n int) int {
	if n <= tune.RefitEach {
		return n
	}
	m := float64(tune.RefitEach)
	for m*(1+tune.RefitGrowth) <= float64(n) {
		m *= 1 + tune.RefitGrowth
	}
	return int(m)
}

func subset(c *cube, all []result, limit int) []result {
	if len(all) <= limit {
		return all
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[a].value, all[b].value) })
	keep := make([]bool, len(all))
	for _, i := range order[:limit*2/3] {
		keep[i] = true
	}
	left := limit - limit*2/3
	rest := order[limit*2/3:]
	for k := range left {
		keep[rest[k*len(rest)/left]] = true
	}
	var kept []result
	for i := range all {
		if keep[i] {
			kept = append(kept, all[i])
		}
	}
	return kept
}

func (s *gp) fit(kind string, l *likelihood, points [][]float64, values []float64) []float64 {
	h := uint64(len(points))
	for i, x := range points {
		h = mix(h ^ math.Float64bits(values[i]))
		for _, v := range x {
			h = mix(h ^ math.Float64bits(v))
		}
	}
	s.mutex.Lock()
	if c, ok := s.fits[kind]; ok && c.key == h {
		defer s.mutex.Unlock()
		return c.theta
	}
	s.mutex.Unlock()
	theta := l.fit()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.fits[kind] = cached{h, theta}
	return theta
}

type cached struct {
	key   uint64
	theta []float64
}

type acquisition struct {
	cube  *cube
	prior bool
	view  *view
	best  float64
	tops  [][]float64
	seen  *seen
}

func (a *acquisition) at(point []float64) float64 {
	m, d := a.view.predict(withStudy(a.prior, point, false))
	v, _, _ := logImprovement(a.best, m, d)
	return v
}

type candidate struct {
	point []float64
	value float64
}

func (a *acquisition) settle(point []float64) []float64 {
	return a.cube.encode(a.cube.decode(point))
}

func (a *acquisition) suggest(r Request) (map[string]any, error) {
	if a.seen.exhausted() {
		return nil, ErrExhausted
	}
	random := r.rand()
	var all []candidate
	add := func(p []float64) {
		p = a.settle(p)
		if a.finite() && a.seen.has(a.cube.decode(p)) {
			return
		}
		all = append(all, candidate{p, a.at(p)})
	}
	n, finite := a.cube.space.Size()
	if finite && n <= uint64(tune.Enumerate) {
		for i := range n {
			if c := a.cube.space.At(i); !a.seen.has(c) {
				p := a.cube.encode(c)
				all = append(all, candidate{p, a.at(p)})
			}
		}
	} else {
		seed := random.Uint64()
		for i := range tune.Global {
			add(sobolPoint(seed, i, a.cube.dims()))
		}
		for i := range tune.Local {
			add(a.neighbour(a.tops[i%len(a.tops)], random))
		}
		byValue := func(x, y candidate) int { return cmp.Compare(y.value, x.value) }
		slices.SortStableFunc(all, byValue)
		starts := a.distinct(all, tune.Climbs)
		for _, c := range starts {
			all = append(all, a.climb(c, random))
		}
	}
	slices.SortStableFunc(all, func(x, y candidate) int { return cmp.Compare(y.value, x.value) })
	for _, c := range all {
		if config := a.cube.decode(c.point); !a.seen.has(config) {
			return config, nil
		}
	}
	return a.seen.fresh(random, func() map[string]any { return a.cube.space.Sample(random) })
}

func (a *acquisition) finite() bool { _, f := a.cube.space.Size(); return f }

func (a *acquisition) distinct(all []candidate, n int) []candidate {
	var kept []candidate
	for _, c := range all {
		close := false
		for _, k := range kept {
			sum := 0.0
			for i := range c.point {
				if math.IsNaN(c.point[i]) != math.IsNaN(k.point[i]) {
					sum++
				} else if !math.IsNaN(c.point[i]) {
					d := c.point[i] - k.point[i]
					sum += d * d
				}
			}
			if math.Sqrt(sum) < tune.Apart*math.Sqrt(float64(len(c.point))) {
				close = true
				break
			}
		}
		if !close {
			kept = append(kept, c)
			if len(kept) == n {
				break
			}
		}
	}
	return kept
}

func (a *acquisition) neighbour(top []float64, r *rand.Rand) []float64 {
	p := slices.Clone(top)
	d := len(p)
	chance := min(1, tune.Changed/float64(d))
	if r.Float64() < 0.3 {
		chance = 1 / float64(d)
	}
	scale := tune.Scales[r.IntN(len(tune.Scales))]
	must := r.IntN(d)
	for i := range p {
		if i != must && r.Float64() >= chance {
			continue
		}
		if math.IsNaN(p[i]) {
			p[i] = r.Float64()
		} else if n := a.cube.levels(i); a.cube.categorical(i) {
			p[i] = r.Float64()
		} else {
			step := r.NormFloat64() * scale
			if n > 0 {
				step = math.Copysign(max(math.Abs(step), 1/float64(n)), step)
			}
			p[i] = min(max(p[i]+step, 0), 1)
		}
	}
	// conditional ones that become active are random
	for i := range p {
		if math.IsNaN(p[i]) {
			p[i] = r.Float64()
		}
	}
	return p
}

func (a *acquisition) climb(c candidate, r *rand.Rand) candidate {
	for range 4 {
		before := c.value
		c = a.ascend(c)
		c = a.stepDiscrete(c, r)
		if c.value-before < 1e-6*math.Abs(before) {
			break
		}
	}
	return c
}

func (a *acquisition) smooth(i int) bool {
	n := a.cube.levels(i)
	return !a.cube.categorical(i) && (n == 0 || n > uint64(tune.SmoothLevels))
}

func (a *acquisition) ascend(c candidate) candidate {
	var axes []int
	for i := range c.point {
		if a.smooth(i) && !math.IsNaN(c.point[i]) {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 {
		return c
	}
	n := len(axes)
	features := slices.Clone(withStudy(a.prior, c.point, false))
	x, byMean, byDev := make([]float64, n), make([]float64, n), make([]float64, n)
	low, high := make([]float64, n), make([]float64, n)
	for j, i := range axes {
		x[j], high[j] = c.point[i], 1
	}
	f2 := func(x, gradient []float64) float64 {
		for j, f := range axes {
			features[f] = x[j]
		}
		m, s := a.view.slopes(features, axes, byMean, byDev)
		v, dm, ds := logImprovement(a.best, m, s)
		for j := range gradient {
			gradient[j] = -(dm*byMean[j] + ds*byDev[j])
		}
		return -v
	}
	d := descent{f: f2, low: low, high: high, iterations: tune.ClimbIterations, tolerance: 1e-5}
	value := -d.run(x)
	p := slices.Clone(c.point)
	round := false
	for j, i := range axes {
		p[i] = x[j]
		round = round || a.cube.levels(i) > 0
	}
	if round {
		p = a.settle(p)
		value = a.at(p)
	}
	if value <= c.value || a.finite() && a.seen.has(a.cube.decode(p)) {
		return c
	}
	return candidate{p, value}
}

func (a *acquisition) stepDiscrete(c candidate, r *rand.Rand) candidate {
	for _, i := range r.Perm(len(c.point)) {
		n := a.cube.levels(i)
		if n < 2 || math.IsNaN(c.point[i]) {
			continue
		}
		var values []float64
		if n <= uint64(tune.AllLevels) {
			for k := range n {
				values = append(values, binCentre(a.cube.space.parameters[i].axis.(discrete), k))
			}
		} else if a.cube.categorical(i) {
			for range tune.AllLevels {
				values = append(values, r.Float64())
			}
		} else {
			k, _ := a.cube.space.parameters[i].axis.(discrete).index(a.cube.decode(c.point)[a.cube.space.parameters[i].Name])
			for step := uint64(1); step < n && step <= 64; step *= 4 {
				if k >= step {
					values = append(values, binCentre(a.cube.space.parameters[i].axis.(discrete), k-step))
				}
				if k+step < n {
					values = append(values, binCentre(a.cube.space.parameters[i].axis.(discrete), k+step))
				}
			}
		}
		for _, v := range values {
			p := slices.Clone(c.point)
			p[i] = v
			p = a.settle(p)
			if slices.Equal(p, c.point) || a.finite() && a.seen.has(a.cube.decode(p)) {
				continue
			}
			if value := a.at(p); value > c.value {
				c = candidate{p, value}
			}
		}
	}
	return c
}
