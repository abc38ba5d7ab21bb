package strategy

import (
	"math"
	"slices"
)

// coordinates says how the kernel compares encoded configs, axis by axis.
type coordinates struct {
	nominal []bool // values are equal or different, no more
	study   bool   // a last axis tells this study's trials from those of earlier ones
}

func (c coordinates) axes() int { return len(c.nominal) }

// of returns the coordinates of a point of the cube.
func (c coordinates) of(point []float64, prior bool) []float64 {
	switch {
	case !c.study:
		return point
	case prior:
		return append(slices.Clone(point), 1)
	}
	return append(slices.Clone(point), 0)
}

func (c coordinates) point(r result) []float64 { return c.of(r.point, r.prior) }

func (c coordinates) points(all []result) [][]float64 {
	points := make([][]float64, len(all))
	for i, r := range all {
		points[i] = c.point(r)
	}
	return points
}

// squared is the squared distance along an axis, between values in [0,1] or NaN for an absent one: that
// lies beside the middle of a numeric axis, at half its length.
func (c coordinates) squared(i int, a, b float64) float64 {
	d := a - b
	switch {
	case c.nominal[i] && (a == b || a != a && b != b):
		return 0
	case c.nominal[i]:
		return 1
	case d == d:
		return d * d
	case a != a && b != b:
		return 0
	case a != a:
		return 0.25 + (b-0.5)*(b-0.5)
	}
	return 0.25 + (a-0.5)*(a-0.5)
}

// matern is the Matérn kernel of smoothness 5/2 with variance 1 at a squared scaled distance, and its
// derivative by that (Rasmussen & Williams, "Gaussian Processes for Machine Learning", equation 4.17).
func matern(squared float64) (k, derivative float64) {
	r := math.Sqrt(5 * squared)
	decay := math.Exp(-r)
	return (1 + r + r*r/3) * decay, -5.0 / 6 * (1 + r) * decay
}

// additive is the kernel of a function of one axis, on points x₀, x₁, …: a Matérn kernel of smoothness
// 5/2. An absent value is related to absent ones only. As the distance of numbers is their difference,
// e^(−a|x−y|) is the product of a factor of x and one of y: no exponential per pair.
type additive struct {
	nominal    bool
	rate       float64 // √5 / length scale
	apart      float64 // covariance of different nominal values
	x          []float64
	rise, fall []float64 // e^(rate·x), e^(−rate·x)
}

func newAdditive(nominal bool, scale float64) *additive {
	a := &additive{nominal: nominal, rate: math.Sqrt(5) / scale}
	a.apart, _ = matern(1 / (scale * scale))
	return a
}

func (a *additive) push(x float64) {
	a.x = append(a.x, x)
	if !a.nominal {
		e := math.Exp(a.rate * x)
		a.rise, a.fall = append(a.rise, e), append(a.fall, 1/e)
	}
}

// accumulate adds share times the covariance of v and each of the first len(k) points to k.
func (a *additive) accumulate(share, v float64, k []float64) {
	if a.nominal {
		apart := share * a.apart
		for j, x := range a.x[:len(k)] {
			if x == v || x != x && v != v {
				k[j] += share
			} else {
				k[j] += apart
			}
		}
		return
	}
	rise := math.Exp(a.rate * v)
	fall := 1 / rise
	for j, x := range a.x[:len(k)] {
		r := a.rate * (v - x)
		switch {
		case r >= 0:
			k[j] += share * (1 + r + r*r/3) * (fall * a.rise[j])
		case r < 0:
			k[j] += share * (1 - r + r*r/3) * (rise * a.fall[j])
		case v != v && x != x:
			k[j] += share
		}
	}
}

// slopes accumulates as accumulate does, and sets slope to share times the derivative by the logarithm
// of the length scale.
func (a *additive) slopes(share, v float64, k, slope []float64) {
	if a.nominal {
		a.accumulate(share, v, k)
		r := a.rate
		apart := share * r * r / 3 * (1 + r) * math.Exp(-r)
		for j, x := range a.x[:len(k)] {
			slope[j] = apart
			if x == v || x != x && v != v {
				slope[j] = 0
			}
		}
		return
	}
	rise := math.Exp(a.rate * v)
	fall := 1 / rise
	for j, x := range a.x[:len(k)] {
		r := a.rate * (v - x)
		e := fall * a.rise[j]
		if r < 0 {
			r, e = -r, rise*a.fall[j]
		}
		if r != r {
			slope[j] = 0
			if v != v && x != x {
				k[j] += share
			}
			continue
		}
		e *= share
		q := r * r / 3
		k[j] += (1 + r + q) * e
		slope[j] = q * (1 + r) * e
	}
}

// along returns the sums of the derivatives by v of the covariances with all points, weighted by either
// of two weights. v is a number.
func (a *additive) along(v float64, first, second []float64) (byFirst, bySecond float64) {
	rise := math.Exp(a.rate * v)
	fall := 1 / rise
	for j, x := range a.x {
		r := a.rate * (v - x)
		switch {
		case r >= 0:
			e := (1 + r) * r * (fall * a.rise[j])
			byFirst += e * first[j]
			bySecond += e * second[j]
		case r < 0:
			e := (1 - r) * r * (rise * a.fall[j])
			byFirst += e * first[j]
			bySecond += e * second[j]
		}
	}
	return -a.rate / 3 * byFirst, -a.rate / 3 * bySecond
}
