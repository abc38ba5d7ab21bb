package observer

import "math"

// pageHinkley fires when the faded sum of what values are above their running mean, less an allowance, has risen by a
// threshold above its lowest: S = αS + (x − mean) − δ, S − min S > λ (Page, Biometrika 41, 1954, 100–115; Hinkley,
// Biometrika 58, 1971, 509–523; with fading, as River's PageHinkley computes it). Allowance and threshold are in the
// unit of the metric: set them to it.
//
// It differs from River in the default direction: mode "up" for minimize and "down" for maximize, River's is "both".
//
// Its memory is that of pageHinkleySum.
//
// Options: warm_up, the number of reports before one can fire (River's min_instances; 1 … 10,000, default 30); delta,
// the allowance (0 … 1e100, default 0.005); threshold, the λ above (0 … 1e100, default 50); alpha, what is left of
// the sum after each report (0 … 1, default 0.9999).
type pageHinkley struct {
	warmUp                  int
	delta, threshold, alpha float64
}

func newPageHinkley(given *options, goal Goal) detector {
	return newLatch(view{goal: goal}, &pageHinkley{
		warmUp:    given.integer("warm_up", 30, 1, maxWindow),
		delta:     given.between("delta", 0.005, 0, 1e100),
		threshold: given.between("threshold", 50, 0, 1e100),
		alpha:     given.between("alpha", 0.9999, 0, 1),
	})
}

// pageHinkleySum has the values' baseline.n, mean and squares now and when the sum was lowest.
type pageHinkleySum struct {
	now, then   baseline
	sum, lowest float64
}

func (d *pageHinkley) room() int { return 2*baselineSize + 2 }

func (d *pageHinkley) fits(m []float64) bool {
	if len(m) != d.room() {
		return false
	}
	s := loadPageHinkley(m)
	return s.now.fits(1<<53) && s.then.fits(1<<53) && s.then.n <= s.now.n &&
		math.Abs(s.sum) <= mostSum && math.Abs(s.lowest) <= mostSum
}

// mostSum is beyond any sum of 2⁵³ differences and allowances.
const mostSum = 1e200

func loadPageHinkley(m []float64) pageHinkleySum {
	if len(m) == 0 {
		return pageHinkleySum{lowest: mostSum}
	}
	return pageHinkleySum{loadBaseline(m), loadBaseline(m[baselineSize:]), m[6], m[7]}
}

func (d *pageHinkley) detect(memory []float64, x float64) ([]float64, change) {
	s := loadPageHinkley(memory)
	s.now = s.now.with(x)
	s.sum = d.alpha*s.sum + (x - s.now.mean) - d.delta
	if s.sum < s.lowest {
		s.lowest, s.then = s.sum, s.now
	}
	c := change{statistic: share(s.sum-s.lowest, d.threshold)}
	if s.now.n >= float64(d.warmUp) && s.sum-s.lowest > d.threshold {
		return memory[:0], s.change(c)
	}
	now, then := s.now, s.then
	return append(memory[:0], now.n, now.mean, now.squares, then.n, then.mean, then.squares, s.sum, s.lowest), c
}

// change has the levels before and after the sum was lowest, where the likeliest time of the change is.
func (s pageHinkleySum) change(c change) change {
	c.detected = true
	c.reports = int(s.now.n - s.then.n)
	c.before, c.after = s.then.mean, meanSince(s.now.n, s.now.mean, s.then.n, s.then.mean)
	c.sd = math.Sqrt(s.then.squares / s.then.n)
	return c
}

// meanSince is the mean of the values after the first n of all, given both means.
func meanSince(all, mean, n, first float64) float64 {
	if n >= all {
		return mean
	}
	return mean + (mean-first)*(n/(all-n))
}
