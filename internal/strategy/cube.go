package strategy

import "math"

// cube maps the configs of a space to points of [0,1]^d, one coordinate per parameter in the order of
// Parameters: models work there, where every axis has the same length.
type cube struct {
	space *Space
	place map[*parameter]int
}

func newCube(s *Space) *cube {
	c := &cube{s, make(map[*parameter]int, len(s.parameters))}
	for i, p := range s.parameters {
		c.place[p] = i
	}
	return c
}

func (c *cube) dims() int { return len(c.space.parameters) }

// categorical reports whether the values of axis i have no order.
func (c *cube) categorical(i int) bool { return c.space.parameters[i].Kind == Categorical }

// levels returns the number of values of axis i, which saturates at MaxUint64; 0: continuous.
func (c *cube) levels(i int) uint64 {
	if d, ok := c.space.parameters[i].axis.(discrete); ok {
		return d.size()
	}
	return 0
}

// encode returns the coordinates of a config: a number's position along its axis, in the logarithm if
// the axis is logarithmic; the middle of its bin for value k of n. A parameter that is inactive or
// absent, and a value that its axis does not have, are NaN.
func (c *cube) encode(config map[string]any) []float64 {
	point := make([]float64, c.dims())
	for i, p := range c.space.parameters {
		point[i] = math.NaN()
		if v, ok := config[p.Name]; ok && p.activeIn(config) {
			point[i] = position(p.axis, v)
		}
	}
	return point
}

// decode returns the config of the bin that a point lies in, without its inactive parameters. Any
// coordinate will do: those outside [0,1] are clamped, NaN counts as 0.5.
func (c *cube) decode(point []float64) map[string]any {
	config := make(map[string]any, len(point))
	for _, p := range c.space.causal {
		if p.activeIn(config) {
			config[p.Name] = valueAt(p.axis, point[c.place[p]])
		}
	}
	return config
}

// position is the coordinate of v, NaN if the axis does not have it.
func position(a axis, v any) float64 {
	switch a := a.(type) {
	case interval:
		if f, ok := a.accept(v); ok {
			low, high := a.ends()
			return fraction(a.scaled(f.(float64)), low, high)
		}
	case discrete:
		if k, ok := a.index(v); ok {
			return binCentre(a, k)
		}
	}
	return math.NaN()
}

func binCentre(a discrete, k uint64) float64 {
	if low, high, ok := logarithmic(a); ok {
		f, _ := number(a.at(k))
		return fraction(math.Log(f), low, high)
	}
	return (float64(k) + 0.5) / float64(a.size())
}

// fraction says how far f is from low to high. The logarithms of two neighbouring floats may be equal.
func fraction(f, low, high float64) float64 {
	if high == low {
		return 0.5
	}
	return (f - low) / (high - low)
}

func valueAt(a axis, x float64) any {
	if math.IsNaN(x) {
		x = 0.5
	}
	x = min(max(x, 0), 1)
	switch a := a.(type) {
	case interval:
		low, high := a.ends()
		if a.log {
			return a.clamp(math.Exp(low + x*(high-low)))
		}
		return a.clamp(low + x*(high-low))
	case discrete:
		if low, high, ok := logarithmic(a); ok {
			return a.nearest(math.Exp(low + x*(high-low)))
		}
		return a.at(binOf(x, a.size()))
	}
	panic("strategy: an axis that is neither continuous nor discrete")
}

// binOf returns which of n equal bins of [0,1] holds x. float64(n) may round up past every uint64.
func binOf(x float64, n uint64) uint64 {
	k := x * float64(n)
	if k >= float64(n) {
		return n - 1
	}
	return min(uint64(k), n-1)
}

// ends are the bounds on the axis' own scale.
func (a interval) ends() (low, high float64) { return a.scaled(a.low), a.scaled(a.high) }

func (a interval) scaled(f float64) float64 {
	if a.log {
		return math.Log(f)
	}
	return f
}

// logarithmic returns the ends of an integer axis whose bins are as wide as their rounding intervals in
// the logarithm; ok is false if the bins are equal.
func logarithmic(a discrete) (low, high float64, ok bool) {
	i, ok := a.(integers)
	if !ok || !i.log {
		return 0, 0, false
	}
	low, high = i.logEnds()
	return low, high, true
}

// logEnds are the logarithms of the outer bounds of the first and the last integer's rounding intervals.
func (a integers) logEnds() (low, high float64) {
	return math.Log(float64(a.low) - 0.5), math.Log(float64(a.high) + 0.5)
}
