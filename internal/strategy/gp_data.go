package strategy

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// result is an observation at a point of the cube.
type result struct {
	observation
	point []float64 // of encode
}

// own reports whether the value is a result of this study.
func (r result) own() bool { return r.state == Complete && !r.prior }

const (
	maxPrior     = 100       // results of earlier studies, the best
	maxPoints    = 350       // results that the process holds
	maxFitPoints = 200       // results that the hyper-parameters are fitted to
	maxFitSize   = 4_000_000 // distances along an axis that a fit holds: 32 MB
)

// results returns the observations within the space, those of earlier studies first, and apart from them
// the pending ones.
func (c *cube) results(r Request) (measured, pending []result) {
	r.Prior = r.Prior[:min(len(r.Prior), maxPrior)]
	for _, o := range r.observations() {
		if c.space.Check(o.config) != nil {
			continue
		}
		found := result{o, c.encode(o.config)}
		if o.state == Pending {
			pending = append(pending, found)
		} else {
			measured = append(measured, found)
		}
	}
	rescale(measured)
	return measured, pending
}

// rescale moves the values of earlier studies to where those of this one are, unless both may well be of
// one scale: then what an earlier study found good is good here too, and the kernel allows for an offset.
func rescale(measured []result) {
	var own, prior []float64
	for _, m := range measured {
		switch {
		case m.own():
			own = append(own, m.value)
		case m.prior:
			prior = append(prior, m.value)
		}
	}
	if len(prior) == 0 || len(own) < 2 {
		return
	}
	slices.Sort(own)
	slices.Sort(prior)
	if commensurable(own, prior) {
		return
	}
	deviation, priorDeviation := stat.StdDev(usual(own), nil), stat.StdDev(prior, nil)
	if !(priorDeviation > 0) {
		priorDeviation = 1
	}
	best, priorBest := own[0], prior[0]
	for i := range measured {
		if measured[i].prior {
			measured[i].value = best + (measured[i].value-priorBest)/priorDeviation*deviation
		}
	}
}

// usual are the better three quarters of sorted values, rounded up: trials that diverge tell no scale.
func usual(values []float64) []float64 { return values[:(3*len(values)+3)/4] }

// commensurable reports whether two sorted lists are near each other and, as far as they have one, differ in range by
// less than a factor of 30.
func commensurable(a, b []float64) bool {
	a, b = usual(a), usual(b)
	low, high, otherLow, otherHigh := a[0], a[len(a)-1], b[0], b[len(b)-1]
	width, other := high-low, otherHigh-otherLow
	reach := width
	if reach == 0 {
		reach = other
	}
	if otherLow > high+reach || otherHigh < low-reach {
		return false
	}
	return width == 0 || other == 0 || other <= 30*width && width <= 30*other
}

// impute gives failed trials the worst value of this study, and pruned ones at least the median.
func impute(measured []result) {
	var complete []float64
	for _, m := range measured {
		if m.own() {
			complete = append(complete, m.value)
		}
	}
	slices.Sort(complete)
	median, worst := complete[len(complete)/2], complete[len(complete)-1]
	for i, m := range measured {
		switch {
		case m.state == Pruned && !math.IsNaN(m.value):
			measured[i].value = max(m.value, median)
		case m.state != Complete:
			measured[i].value = worst
		}
	}
}

// fitted are the results that the hyper-parameters follow from. Past 50 trials their number grows by
// steps of 7 %, so that most suggestions need no fit; the newest trials are left out while others of
// the same age still run, as each that ends would change the fit.
func fitted(r Request, measured []result, axes int) []result {
	trials := len(r.History)
	if r.Parallelism > 1 {
		trials -= r.Parallelism
	}
	if step := 50.0; trials > 50 {
		for step*1.07 <= float64(trials) {
			step *= 1.07
		}
		trials = int(step)
	}
	known := slices.DeleteFunc(slices.Clone(measured), func(m result) bool { return !m.prior && m.number >= trials })
	if len(known) < 2 {
		known = measured
	}
	limit := int(math.Sqrt(2 * maxFitSize / float64(axes)))
	return subset(known, max(2, min(maxFitPoints, limit)))
}

// subset keeps at most limit results in their order: two thirds the best, the others evenly from the
// rest by value.
func subset(all []result, limit int) []result {
	if len(all) <= limit {
		return all
	}
	order := byValue(all)
	keep := make([]bool, len(all))
	good := limit * 2 / 3
	for _, i := range order[:good] {
		keep[i] = true
	}
	for k := range limit - good {
		keep[order[good+k*(len(all)-good)/(limit-good)]] = true
	}
	var kept []result
	for i := range all {
		if keep[i] {
			kept = append(kept, all[i])
		}
	}
	return kept
}

func byValue(all []result) (order []int) {
	for i := range all {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[a].value, all[b].value) })
	return order
}

// tops are the points of the five best results.
func tops(measured []result) (points [][]float64) {
	for _, i := range byValue(measured)[:min(5, len(measured))] {
		points = append(points, measured[i].point)
	}
	return points
}

func values(all []result) []float64 {
	v := make([]float64, len(all))
	for i := range all {
		v[i] = all[i].value
	}
	return v
}
