package observer

import "math"

// hddmA fires when the mean of all values is above the mean of those up to the cut by more than Hoeffding's bound
// allows, the cut being where mean + bound was lowest: z̄ − x̄ ≥ √(m/2·ln(2/α)), m = (n_z−n_x)/(n_x·n_z)
// (Frías-Blanco et al., Online and Non-Parametric Drift Detection Methods Based on Hoeffding's Bounds, IEEE TKDE 27,
// 2015, 810–823, the A-test). It assumes no distribution but values of 0 … 1: others count
// as the nearer of the two. With goal maximize it sees 1 − value.
//
// It computes what River's HDDMA does.
//
// Its memory is number and mean of all values and of those up to the cut; the same up to the cut from which they fell;
// and the number of values since the warning level was passed.
//
// Options: drift_confidence, the α at which it fires (1e-12 … 0.999, default 0.001); warning_confidence, the α from
// which a change counts as begun, which says how many reports it has lasted (same range, default 0.005); two_sided,
// whether it starts over after a change for the better too, which then never degrades (default false).
type hddmA struct {
	drift    float64 // ln(1/α), and ln(2/α) for both levels
	drift2   float64
	warning2 float64
	twoSided bool
}

func newHddmA(given *options, goal Goal) detector {
	drift := given.between("drift_confidence", 0.001, 1e-12, 0.999)
	warning := given.between("warning_confidence", 0.005, 1e-12, 0.999)
	return newLatch(view{goal, unit}, &hddmA{
		drift:    math.Log(1 / drift),
		drift2:   math.Log(2 / drift),
		warning2: math.Log(2 / warning),
		twoSided: given.flag("two_sided", false),
	})
}

// hddmAMeans is the memory of hddmA: all, up to the cut for a rise, and for a fall.
type hddmAMeans struct{ z, low, high rate }

func (d *hddmA) room() int { return 7 }

func (d *hddmA) fits(m []float64) bool {
	if len(m) != d.room() {
		return false
	}
	s := loadHddmA(m)
	return s.z.fits() && s.low.fits() && s.high.fits() && s.low.n <= s.z.n && s.high.n <= s.z.n && counts(m[6])
}

func loadHddmA(m []float64) hddmAMeans {
	return hddmAMeans{rate{m[0], m[1]}, rate{m[2], m[3]}, rate{m[4], m[5]}}
}

func (d *hddmA) detect(memory []float64, x float64) ([]float64, change) {
	var s hddmAMeans
	warned := 0.0
	if len(memory) > 0 {
		s, warned = loadHddmA(memory), memory[6]
	}
	s.z = s.z.with(x)
	bound := d.hoeffding(s.z.n)
	if s.low.n == 0 || s.low.mean+d.hoeffding(s.low.n) >= s.z.mean+bound {
		s.low = s.z
	}
	if s.high.n == 0 || s.high.mean-d.hoeffding(s.high.n) <= s.z.mean-bound {
		s.high = s.z
	}
	c := d.judge(s)
	if warned++; c.detected {
		c.reports = int(warned)
		return memory[:0], c
	}
	if !c.warned {
		warned = 0
	}
	return append(memory[:0], s.z.n, s.z.mean, s.low.n, s.low.mean, s.high.n, s.high.mean, warned), c
}

func (d *hddmA) hoeffding(n float64) float64 { return math.Sqrt(1 / (2 * n) * d.drift) }

func (d *hddmA) judge(s hddmAMeans) change {
	apart, m := s.z.mean-s.low.mean, scatter(s.low.n, s.z.n)
	c := change{
		detected:  m > 0 && apart >= math.Sqrt(m/2*d.drift2),
		statistic: share(apart, math.Sqrt(m/2*d.drift2)),
		before:    s.low.mean,
		after:     s.z.since(s.low),
		sd:        s.low.deviation(),
	}
	c.warned = !c.detected && m > 0 && apart >= math.Sqrt(m/2*d.warning2)
	if !d.twoSided {
		return c
	}
	apart, m = s.high.mean-s.z.mean, scatter(s.high.n, s.z.n)
	if m > 0 && apart >= math.Sqrt(m/2*d.drift2) {
		if !c.detected {
			c.before, c.after = s.high.mean, s.z.since(s.high)
		}
		c.detected = true
	} else if m > 0 && apart >= math.Sqrt(m/2*d.warning2) {
		c.warned = true
	}
	return c
}

// scatter is what the variance of the difference between the means of all and of the first n is a multiple of.
func scatter(n, all float64) float64 { return (all - n) / n * (1 / all) }
