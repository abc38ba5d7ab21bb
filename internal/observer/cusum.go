package observer

import "math"

// cusum fires while the cumulative sum of what values are worse than the mean of the first reports, less an allowance,
// is above a decision interval: C = max(0, C + z − k) > h, all in standard deviations (Page, Biometrika 41, 1954,
// 100–115; Montgomery 2013, equations 9.2 and 9.3, one-sided). With k 0.5 and h 5 it sees a shift of one standard
// deviation after some 10 reports on average, and cries wolf once in some 930.
//
// C is held at 2h: after a long bad time it would else take as long to hear that it is over. River has none.
//
// Its memory is the baseline, C, and the sum of z and the number of reports since C left 0.
//
// Options: warm_up, the number of first reports that make the baseline (2 … 10,000, default 30); k, the allowance,
// half the shift that matters (0 … 100, default 0.5); h, the decision interval (0.1 … 1000, default 5); both in
// standard deviations.
type cusum struct {
	view   view
	warmUp int
	k, h   float64
}

func newCusum(given *options, goal Goal) detector {
	return &cusum{
		view:   view{goal: goal},
		warmUp: given.integer("warm_up", 30, 2, maxWindow),
		k:      given.between("k", 0.5, 0, 100),
		h:      given.between("h", 5, 0.1, 1000),
	}
}

// cusumSum is what follows the baseline in the memory.
type cusumSum struct{ c, total, reports float64 }

const cusumSize = baselineSize + 3

// mostDeviations bounds sums of deviations.
const mostDeviations = 1e300

func (d *cusum) fresh() []float64 { return make([]float64, 0, cusumSize) }

func (d *cusum) fits(m []float64) bool {
	if len(m) == 0 {
		return true
	}
	return len(m) == cusumSize && loadBaseline(m).fits(d.warmUp) &&
		m[3] >= 0 && m[3] <= 2*d.h && math.Abs(m[4]) <= mostDeviations && counts(m[5])
}

func (d *cusum) update(memory []float64, value float64) ([]float64, verdict) {
	b, x, s := loadBaseline(memory), d.view.see(value), cusumSum{}
	v := verdict{limit: math.NaN()}
	if b.n < float64(d.warmUp) {
		b = b.with(x)
	} else {
		v = d.judge(b, cusumSum{memory[3], memory[4], memory[5]}, x, &s)
	}
	return append(memory[:0], b.n, b.mean, b.squares, s.c, s.total, s.reports), v
}

// judge sets next to what follows s. The limit is the value that would carry C to h. While C is above 0, the mean of z
// since it left 0 estimates the shift: k + C/reports (Montgomery 2013, section 9.1).
func (d *cusum) judge(b baseline, s cusumSum, x float64, next *cusumSum) verdict {
	z := b.deviations(x)
	v := verdict{
		reference: d.view.back(b.mean),
		limit:     d.view.limit(b.mean + (d.h+d.k-s.c)*b.sd()),
	}
	if c := s.c + z - d.k; c > 0 {
		*next = cusumSum{min(c, 2*d.h), min(s.total+z, mostDeviations), s.reports + 1}
		v.deviations, v.reports = next.total/next.reports, int(next.reports)
	}
	v.statistic, v.degraded = next.c/d.h, next.c > d.h
	return v
}
