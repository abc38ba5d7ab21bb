package observer

import "math"

// baseline is the mean and standard deviation of a model's first reports, after which it is frozen: the reference of
// a control chart ("phase I", Montgomery, Introduction to Statistical Quality Control, 7th ed. 2013, chapter 5).
// The sums are Welford's (Technometrics 4, 1962, 419–420), which lose nothing on a level far from 0.
type baseline struct{ n, mean, squares float64 }

const baselineSize = 3

func loadBaseline(m []float64) baseline {
	if len(m) == 0 {
		return baseline{}
	}
	return baseline{m[0], m[1], m[2]}
}

func (b baseline) with(x float64) baseline {
	b.n++
	d := x - b.mean
	b.mean += 1 / b.n * d
	b.squares += d * (x - b.mean)
	return b
}

// sd is the sample standard deviation. It takes the baseline for exact, as the charts' textbook limits do: learnt
// from 30 reports, limits are too tight for some models and too wide for others (Jones, Champ & Rigdon,
// Technometrics 43, 2001, 156–167).
func (b baseline) sd() float64 { return floored(math.Sqrt(b.squares/(b.n-1)), b.mean) }

// deviations is how many standard deviations x is above the mean.
func (b baseline) deviations(x float64) float64 { return (x - b.mean) / b.sd() }

func (b baseline) fits(warmUp int) bool {
	return counts(b.n) && b.n >= 1 && b.n <= float64(warmUp) && modest(b.mean) &&
		b.squares >= 0 && b.squares <= 5*extreme*extreme*b.n
}

// rounding is the share of a level below which a difference is none: it may be the rounding of sums.
const rounding = 1e-9

// floored keeps a standard deviation above rounding. The addend serves a level of 0.
func floored(sd, level float64) float64 { return max(sd, rounding*math.Abs(level)+1e-150) }
