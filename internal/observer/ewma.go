package observer

import "math"

// ewma fires while the exponentially weighted mean of the values is worse than the mean of the first reports by more
// than a number of its own standard deviations: E = λz + (1−λ)E from E = 0, against L√(λ/(2−λ)·(1−(1−λ)^2t)), z being
// in standard deviations (Roberts, Technometrics 1, 1959, 239–250; Lucas & Saccucci, Technometrics 32, 1990, 1–12;
// Montgomery 2013, equations 9.22 and 9.25: the limits exact from the first value on, not those they tend to). Only
// the worse limit is used. River has none.
//
// Its memory is the baseline, E, (1−λ)^2t, and the number of reports since E was last not above 0.
//
// Options: warm_up, the number of first reports that make the baseline (2 … 10,000, default 30); lambda, the weight
// of the newest value (0.001 … 1, default 0.2); sigmas, the distance L of the limit in standard deviations of E
// (0.1 … 1000, default 3).
type ewma struct {
	view           view
	warmUp         int
	lambda, sigmas float64
}

func newEwma(given *options, goal Goal) detector {
	return &ewma{
		view:   view{goal: goal},
		warmUp: given.integer("warm_up", 30, 2, maxWindow),
		lambda: given.between("lambda", 0.2, 0.001, 1),
		sigmas: given.between("sigmas", 3, 0.1, 1000),
	}
}

const ewmaSize = baselineSize + 3

func (d *ewma) fresh() []float64 { return make([]float64, 0, ewmaSize) }

func (d *ewma) fits(m []float64) bool {
	if len(m) == 0 {
		return true
	}
	return len(m) == ewmaSize && loadBaseline(m).fits(d.warmUp) &&
		math.Abs(m[3]) <= mostDeviations && m[4] >= 0 && m[4] <= 1 && counts(m[5])
}

func (d *ewma) update(memory []float64, value float64) ([]float64, verdict) {
	b, x := loadBaseline(memory), d.view.see(value)
	if b.n < float64(d.warmUp) {
		b = b.with(x)
		return append(memory[:0], b.n, b.mean, b.squares, 0, 1, 0), verdict{limit: math.NaN()}
	}
	before, fading, reports := memory[3], memory[4]*(1-d.lambda)*(1-d.lambda), memory[5]+1
	e := d.lambda*b.deviations(x) + (1-d.lambda)*before
	if e <= 0 {
		reports = 0
	}
	bound := d.sigmas * math.Sqrt(d.lambda/(2-d.lambda)*(1-fading))
	memory[3], memory[4], memory[5] = e, fading, reports
	return memory, verdict{
		degraded:   e > bound,
		reference:  d.view.back(b.mean),
		deviations: e,
		limit:      d.view.limit(b.mean + (bound-(1-d.lambda)*before)/d.lambda*b.sd()),
		statistic:  max(e, 0) / bound,
		reports:    int(reports),
	}
}
