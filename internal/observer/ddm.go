package observer

import "math"

// ddm fires when the rate of errors is above the lowest it was by a number of standard deviations: p + s > p_min +
// 3·s_min, s = √(p(1−p)/n), the minimum being that of p + s (Gama, Medas, Castillo & Rodrigues, Learning with Drift
// Detection, SBIA 2004, 286–295). It is made for a metric of single predictions, right or wrong: an error
// is a value on the worse side of 0.5, and its references are rates of those. After a run without any error, the
// first one fires: s_min is 0.
//
// It computes what River's DDM does.
//
// Its memory is the number of values, the rate of errors, that rate, its s and the number when p + s was lowest, and
// the number of values since the warning level was passed.
//
// Options: warm_up, the number of reports before one can fire (River's warm_start; 1 … 10,000, default 30); warning,
// the distance from which a change counts as begun, which says how many reports it has lasted (River's
// warning_threshold; 0 … 100, default 2); drift, the distance at which it fires (River's drift_threshold; 0 … 100,
// default 3); both in standard deviations.
type ddm struct {
	warmUp         float64
	warning, drift float64
}

func newDdm(given *options, goal Goal) detector {
	return newLatch(view{goal, hits}, &ddm{
		warmUp:  float64(given.integer("warm_up", 30, 1, maxWindow)),
		warning: given.between("warning", 2, 0, 100),
		drift:   given.between("drift", 3, 0, 100),
	})
}

// rate is a number of values and their mean, which River computes in this order of operations.
type rate struct{ n, mean float64 }

func (r rate) with(x float64) rate {
	r.n++
	r.mean += 1 / r.n * (x - r.mean)
	return r
}

func (r rate) fits() bool { return counts(r.n) && r.n >= 1 && proper(r.mean) }

// deviation is that of a single 0 or 1; rounding may carry a mean past 1.
func (r rate) deviation() float64 { return math.Sqrt(max(0, r.mean*(1-r.mean))) }

// since is the mean of the values after those of first.
func (r rate) since(first rate) float64 { return meanSince(r.n, r.mean, first.n, first.mean) }

func (d *ddm) room() int { return 6 }

func (d *ddm) fits(m []float64) bool {
	if len(m) != d.room() {
		return false
	}
	now, lowest := rate{m[0], m[1]}, rate{m[2], m[3]}
	began := lowest.n == 0 && lowest.mean == 0 || lowest.fits() && lowest.n <= now.n
	return now.fits() && began && m[4] >= 0 && m[4] <= 1 && counts(m[5])
}

func (d *ddm) detect(memory []float64, x float64) ([]float64, change) {
	var now, lowest rate
	var least, warned float64
	if len(memory) > 0 {
		now, lowest, least, warned = rate{memory[0], memory[1]}, rate{memory[2], memory[3]}, memory[4], memory[5]
	}
	now = now.with(x)
	var c change
	if now.n > d.warmUp {
		s := math.Sqrt(max(0, now.mean*(1-now.mean)/now.n))
		level := now.mean + s
		if lowest.n == 0 || level <= lowest.mean+least {
			lowest, least = now, s
		}
		c.statistic = share(level-lowest.mean, d.drift*least)
		c.detected = level > lowest.mean+d.drift*least
		c.warned = !c.detected && level > lowest.mean+d.warning*least
	}
	if c.detected {
		c.before, c.after, c.sd = lowest.mean, now.since(lowest), lowest.deviation()
		c.reports = int(warned) + 1
		return memory[:0], c
	}
	if warned++; !c.warned {
		warned = 0
	}
	return append(memory[:0], now.n, now.mean, lowest.n, lowest.mean, least, warned), c
}
