package strategy

import "math"

// coordinates says how the kernel compares encoded configs, axis by axis.
type coordinates struct {
	nominal []bool // values are equal or different, no more
}

func (c coordinates) axes() int { return len(c.nominal) }

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
