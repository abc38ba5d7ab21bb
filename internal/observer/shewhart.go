package observer

import "math"

// shewhart fires while a value is worse than the mean of the first reports by more than a number of their standard
// deviations: the chart for single observations, with limits μ ± 3σ (Shewhart, Economic Control of Quality of
// Manufactured Product, 1931; Montgomery 2013, section 6.4), of which only the worse one is used. It sees a large
// jump at once, and a shift of one standard deviation after some 44 reports on average. River has none.
//
// Its memory is the baseline.
//
// Options: warm_up, the number of first reports that make the baseline (2 … 10,000, default 30); sigmas, the distance
// of the limit in standard deviations (0.1 … 1000, default 3).
type shewhart struct {
	view   view
	warmUp int
	sigmas float64
}

func newShewhart(given *options, goal Goal) detector {
	return &shewhart{
		view:   view{goal: goal},
		warmUp: given.integer("warm_up", 30, 2, maxWindow),
		sigmas: given.between("sigmas", 3, 0.1, 1000),
	}
}

func (d *shewhart) fresh() []float64 { return make([]float64, 0, baselineSize) }

func (d *shewhart) fits(memory []float64) bool {
	return len(memory) == 0 || len(memory) == baselineSize && loadBaseline(memory).fits(d.warmUp)
}

func (d *shewhart) update(memory []float64, value float64) ([]float64, verdict) {
	b, x := loadBaseline(memory), d.view.see(value)
	if b.n < float64(d.warmUp) {
		b = b.with(x)
		return append(memory[:0], b.n, b.mean, b.squares), verdict{limit: math.NaN()}
	}
	z := b.deviations(x)
	return memory, verdict{
		degraded:   z > d.sigmas,
		reference:  d.view.back(b.mean),
		deviations: z,
		limit:      d.view.limit(b.mean + d.sigmas*b.sd()),
		statistic:  max(z, 0) / d.sigmas,
	}
}
