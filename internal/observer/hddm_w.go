package observer

import "math"

// hddmW fires when the exponentially weighted mean of the values since the cut is above that of those up to it by
// more than McDiarmid's bound allows, the cut being where mean + bound was lowest: ŷ − x̂ > √((v_x+v_y)·ln(1/α)/2),
// v = λ² + (1−λ)²v (Frías-Blanco et al., IEEE TKDE 27, 2015, 810–823, the W-test). It sees
// slow changes better than hddm_a. It assumes values of 0 … 1: others count as the nearer of the two. With goal
// maximize it sees 1 − value.
//
// It computes what River's HDDMW does.
//
// Its memory is mean and v of all values; for a rise the cut's bound, mean and v up to it, mean, v and number after it;
// the same for a fall when two_sided; and the number of values since the warning level was passed.
//
// Options: drift_confidence, the α at which it fires (1e-12 … 0.999, default 0.001); warning_confidence, the α from
// which a change counts as begun, which says how many reports it has lasted (same range, default 0.005); lambda, the
// weight of the newest value (River's lambda_val; 0.001 … 1, default 0.05); two_sided, whether it starts over after a
// change for the better too, which then never degrades (default false).
type hddmW struct {
	drift, warning float64 // ln(1/α)
	lambda         float64
	twoSided       bool
}

func newHddmW(given *options, goal Goal) detector {
	return newLatch(view{goal, unit}, &hddmW{
		drift:    math.Log(1 / given.between("drift_confidence", 0.001, 1e-12, 0.999)),
		warning:  math.Log(1 / given.between("warning_confidence", 0.005, 1e-12, 0.999)),
		lambda:   given.between("lambda", 0.05, 0.001, 1),
		twoSided: given.flag("two_sided", false),
	})
}

// faded is an exponentially weighted mean and the sum of its squared weights.
type faded struct{ mean, v float64 }

func (f faded) with(x, lambda float64, first bool) faded {
	mean := x
	if !first {
		mean = lambda*x + (1-lambda)*f.mean
	}
	return faded{mean, lambda*lambda + (1-lambda)*(1-lambda)*f.v}
}

func (f faded) fits() bool { return proper(f.mean) && proper(f.v) }

// cut is where a change may have begun: after n values ago.
type cut struct {
	bound         float64
	before, after faded
	n             float64
}

const cutSize = 6

func loadCut(m []float64) cut { return cut{m[0], faded{m[1], m[2]}, faded{m[3], m[4]}, m[5]} }

func (c cut) append(m []float64) []float64 {
	return append(m, c.bound, c.before.mean, c.before.v, c.after.mean, c.after.v, c.n)
}

func (c cut) fits() bool {
	return math.Abs(c.bound) <= 100 && c.before.fits() && c.after.fits() && counts(c.n)
}

func (d *hddmW) room() int {
	if d.twoSided {
		return 3 + 2*cutSize
	}
	return 3 + cutSize
}

func (d *hddmW) fits(m []float64) bool {
	return len(m) == d.room() && (faded{m[0], m[1]}).fits() && counts(m[2]) && loadCut(m[3:]).fits() &&
		(!d.twoSided || loadCut(m[3+cutSize:]).fits())
}

func (d *hddmW) detect(memory []float64, x float64) ([]float64, change) {
	first := len(memory) == 0
	all, rise, fall, warned := faded{v: 1}, cut{}, cut{}, 0.0
	if !first {
		all, warned, rise = faded{memory[0], memory[1]}, memory[2], loadCut(memory[3:])
	}
	if !first && d.twoSided {
		fall = loadCut(memory[3+cutSize:])
	}
	all = all.with(x, d.lambda, first)
	bound := mcDiarmid(all.v, d.drift)
	rise = rise.next(all, all.mean+bound, first || all.mean+bound < rise.bound, x, d.lambda)
	c := d.judge(rise)
	if d.twoSided {
		fall = fall.next(all, all.mean-bound, first || all.mean-bound > fall.bound, x, d.lambda)
		c = d.judgeFall(fall, c)
	}
	if warned++; c.detected {
		c.reports = int(warned)
		return memory[:0], c
	}
	if !c.warned {
		warned = 0
	}
	memory = rise.append(append(memory[:0], all.mean, all.v, warned))
	if d.twoSided {
		memory = fall.append(memory)
	}
	return memory, c
}

func mcDiarmid(v, log float64) float64 { return math.Sqrt(v * log / 2) }

// next moves the cut to now, or x behind it.
func (c cut) next(all faded, bound float64, now bool, x, lambda float64) cut {
	if now {
		return cut{bound: bound, before: all, after: faded{v: 1}}
	}
	c.after = c.after.with(x, lambda, c.n == 0)
	c.n++
	return c
}

func (d *hddmW) judge(rise cut) change {
	if rise.n == 0 {
		return change{}
	}
	apart, v := rise.after.mean-rise.before.mean, rise.before.v+rise.after.v
	c := change{
		detected:  apart > mcDiarmid(v, d.drift),
		statistic: share(apart, mcDiarmid(v, d.drift)),
		before:    rise.before.mean,
		after:     rise.after.mean,
		sd:        rate{mean: rise.before.mean}.deviation(),
	}
	c.warned = !c.detected && apart > mcDiarmid(v, d.warning)
	return c
}

func (d *hddmW) judgeFall(fall cut, c change) change {
	apart, v := fall.before.mean-fall.after.mean, fall.before.v+fall.after.v
	switch {
	case fall.n == 0:
	case apart > mcDiarmid(v, d.drift):
		if !c.detected {
			c.before, c.after = fall.before.mean, fall.after.mean
		}
		c.detected = true
	case apart > mcDiarmid(v, d.warning):
		c.warned = true
	}
	return c
}
