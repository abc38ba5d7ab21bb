package observer

import "math"

const (
	// autoFastAllowance and autoSlowAllowance are the k of the two CUSUMs in standard deviations. A CUSUM is best at
	// shifts of 2k: the fast one is there for jumps, the slow one for drifts.
	autoFastAllowance = 1.0
	autoSlowAllowance = 0.25
	// autoSurprise bounds what one report can say, in standard deviations. With more, false alarms of heavy tails are more
	// frequent; with less, a jump is found later.
	autoSurprise = 2.7
	// autoElevated is the share of the limit from which on nothing is learnt.
	autoElevated = 0.7
	// autoUncertainty and the two youths make up for what a small reference does not know; see innovation and raised.
	autoUncertainty = 0.7
	autoFastYouth   = 10
	autoSlowYouth   = 3
	// autoGrossReports in a row that are gross alarm, whatever came before them foretells.
	autoGrossReports = 3
	// autoMostRecovery bounds the allowance of the way back.
	autoMostRecovery = 0.5
	// autoLevelWindow is the most reports over which a level is averaged.
	autoLevelWindow = 20.0
)

// auto watches a metric of which nothing is known beforehand, and cries wolf about once in as many reports as asked.
//
// A value is turned into the normal score of its rank among the healthy values, so that neither its unit nor its
// distribution matters (McDonald, Naval Research Logistics 37, 1990, 627–646). What the score before foretells is taken
// out (residual charts: Alwan & Roberts, Journal of Business & Economic Statistics 6, 1988, 87–95). The rest goes into
// two one-sided CUSUMs (Page, Biometrika 41, 1954, 100–115), one for jumps and one for drifts. As in self-starting
// charts (Hawkins, The Statistician 36, 1987, 299–316) the reference grows while it judges, but slowly, never while a
// CUSUM is elevated, and only up to some 2,000 values: a slow decline cannot become the new normal.
// The limits are from simulations of this very detector, what it does not know yet included; see autoLimits. Measured
// rates of false alarms, up to 1 per 10,000, are within ×0.6 and ×1.3 of the one asked for with Gaussian, log-normal,
// exponential, t3 and AR(0 … 0.5) values, from ×0.5 with AR(0.8) to ×2.7 with few distinct or skewed and correlated
// ones, and lower still with moving averages, negative correlation or rare events.
//
// Once degraded, a CUSUM in the other direction decides when the level is back: within a third of the way to where it
// was at the alarm.
//
// Options: false_alarms, how many reports there are to be to a false alarm, on average ("1 per N" or N, of
// 100 … 10,000,000, default "1 per 10000"); warm_up, the reports before it judges (10 … 10,000, default 30).
type auto struct {
	view       view
	warmUp     int
	fast, slow float64 // the limits of the CUSUMs for a large reference
}

func newAuto(given *options, goal Goal) detector {
	d := &auto{
		view:   view{goal: goal},
		warmUp: given.integer("warm_up", 30, 10, maxWindow),
	}
	d.fast, d.slow = autoLimits(given.onePer("false_alarms", 10_000, 100, 10_000_000))
	return d
}

// The memory of a model is its values, until there are enough for a reference. Then it is these fields, the values that
// wait to be admitted to the reference in the order they came, and the reference.
const (
	autoReports      = 0                        // until warm_up is over
	autoScore        = 1                        // of the report before
	autoFast         = 2                        // an autoChart
	autoSlow         = autoFast + autoChartSize // another; while degraded, how far the way back still is
	autoRecovery     = autoSlow + autoChartSize // the allowance of the way back; 0 while healthy
	autoAdmitted     = autoRecovery + 1         // how many values the reference stands for
	autoPending      = autoAdmitted + 1         // how many values wait
	autoSkipped      = autoPending + 1          // how many reports were not learnt from since the last that was
	autoGross        = autoSkipped + 1          // how many of the latest reports in a row were gross
	autoMoments      = autoGross + 1            // of the admitted values: sums of s·s′ and of (s² + s′²)/2, s being scores
	autoBatchMoments = autoMoments + 2          // the same of those that wait
	autoFields       = autoBatchMoments + 2
	autoValues       = autoFields + autoBatch
	autoSize         = autoValues + autoMarkers
)

func (d *auto) fresh() []float64 { return make([]float64, 0, autoSize) }

// first is the size of the first reference.
func (d *auto) first() int { return min(d.warmUp, autoMarkers) }

func (d *auto) update(memory []float64, value float64) ([]float64, verdict) {
	x := d.view.see(value)
	if len(memory) < d.first() {
		if memory = append(memory, x); len(memory) == d.first() {
			memory = autoBegin(memory)
		}
		return memory, verdict{limit: math.NaN()}
	}
	ref := autoReferenceOf(memory)
	score, deviation := ref.score(x), ref.deviations(x)
	if memory[autoGross]++; !ref.gross(x) {
		memory[autoGross] = 0
	}
	v := d.judge(memory, d.innovation(memory, score), deviation)
	warming := memory[autoReports] < float64(d.warmUp)
	if warming || v.statistic < autoElevated && memory[autoGross] == 0 {
		d.learn(memory, x, score, warming)
	}
	if warming {
		memory[autoReports]++
		if v.degraded {
			autoSettle(memory)
		}
		v = verdict{}
	}
	memory[autoScore] = score
	v.reference, v.limit = d.view.back(ref.center), math.NaN()
	return memory, v
}

// innovation is the part of a score that the score before does not foretell, in standard deviations: (s − φs′)/√(1−φ²).
// Two things are made up for. The standard deviation of n values is too small, by √(1 − (1+φ)/((1−φ)n)). And φ, with
// its standard error of √((1−φ²)/n), may be too small, so that sums grow by 1 + O(1/√((1−φ²)n)) too much.
func (d *auto) innovation(memory []float64, score float64) float64 {
	n, phi := memory[autoAdmitted], autoCorrelation(memory)
	e := (score - phi*memory[autoScore]) / (math.Sqrt(1-phi*phi) + autoUncertainty/math.Sqrt(n))
	e *= math.Sqrt(1 - min(0.75, (1+phi)/((1-phi)*n)))
	most := min(autoSurprise, autoFastAllowance+0.95*d.fast) // no report alarms alone
	return min(max(e, -most), most)
}

func (d *auto) judge(memory []float64, innovation, deviation float64) verdict {
	if memory[autoRecovery] == 0 {
		return d.watch(memory, innovation, deviation)
	}
	left := autoChart(memory[autoSlow:])
	left.add(innovation-memory[autoRecovery], deviation)
	if left[0] == 0 {
		autoSettle(memory)
		return verdict{}
	}
	left[0] = min(left[0], d.slow)
	return left.verdict(1)
}

// watch adds a report to the CUSUMs.
func (d *auto) watch(memory []float64, innovation, deviation float64) verdict {
	fastLimit, slowLimit := d.raised(memory[autoAdmitted])
	fast, slow := autoChart(memory[autoFast:]), autoChart(memory[autoSlow:])
	fast.add(innovation-autoFastAllowance, deviation)
	slow.add(innovation-autoSlowAllowance, deviation)
	chart, allowance, statistic := slow, autoSlowAllowance, slow[0]/slowLimit
	if share := fast[0] / fastLimit; share > statistic {
		chart, allowance, statistic = fast, autoFastAllowance, share
	}
	if memory[autoGross] >= autoGrossReports {
		chart, allowance, statistic = autoChart{fastLimit, autoGrossReports, deviation}, autoFastAllowance, 1
	}
	v := chart.verdict(statistic)
	if v.degraded {
		d.degrade(memory, chart, allowance)
	}
	return v
}

// raised are the limits for a reference of so many values. An error δ of its mean makes a CUSUM with the allowance k
// and the limit h alarm e^2hδ times as often, on average e^(2h²/n) times, for which the limit h(1 + h/(kn)) makes up.
// The slow one needs less, as the reference grows meanwhile, the fast one more: it also judges by the tail.
func (d *auto) raised(admitted float64) (fast, slow float64) {
	return d.fast * (1 + autoFastYouth*d.fast/admitted), d.slow * (1 + autoSlowYouth*d.slow/admitted)
}

// degrade begins the way back. Its allowance is a third of the estimated shift (the mean since the CUSUM left 0), as the
// estimate is too high at an alarm.
func (d *auto) degrade(memory []float64, decided autoChart, allowance float64) {
	shift, run, level := allowance+decided[0]/decided[1], decided[1], decided[2]
	autoSettle(memory)
	copy(memory[autoSlow:], []float64{d.slow, run, level})
	memory[autoRecovery] = min(max(shift/3, autoSlowAllowance), autoMostRecovery)
}

// autoSettle clears the CUSUMs and what waits to be admitted.
func autoSettle(memory []float64) {
	clear(memory[autoFast : autoRecovery+1])
	clear(memory[autoPending : autoGross+1])
	clear(memory[autoBatchMoments : autoBatchMoments+2])
}

// autoChart is a CUSUM: its sum, the number of reports since it left 0, and their level in standard deviations.
type autoChart []float64

const autoChartSize = 3

func (c autoChart) add(step, deviation float64) {
	if c[0] += step; c[0] <= 0 {
		clear(c[:autoChartSize])
		return
	}
	c[1]++
	c[2] += (deviation - c[2]) / min(c[1], autoLevelWindow)
}

func (c autoChart) verdict(statistic float64) verdict {
	return verdict{degraded: statistic >= 1, statistic: statistic, deviations: c[2], reports: int(c[1])}
}

func (c autoChart) fits(limit float64) bool {
	return c[0] >= 0 && c[0] <= limit && counts(c[1]) && math.Abs(c[2]) <= autoFarthest
}

func (d *auto) fits(memory []float64) bool {
	if len(memory) < d.first() {
		return true
	}
	if len(memory) != autoSize || !autoLearnt(memory, d.first()) {
		return false
	}
	reports, recovery := memory[autoReports], memory[autoRecovery]
	fast, slow := d.raised(float64(d.first())) // when the reference was smallest
	fast, slow = 2*fast, 2*slow                // limits of other versions may have been higher
	return counts(memory[autoGross]) && counts(reports) && reports >= float64(d.first()) && reports <= float64(d.warmUp) &&
		math.Abs(memory[autoScore]) <= autoFarthestScore &&
		autoChart(memory[autoFast:]).fits(fast) && autoChart(memory[autoSlow:]).fits(slow) &&
		(recovery == 0 || recovery >= autoSlowAllowance && recovery <= autoMostRecovery)
}
