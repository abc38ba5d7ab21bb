package insight

import (
	"math"

	"github.com/visutility/retune/internal/strategy"
)

// point is a config with one coordinate per parameter of its space: the value of a number, its logarithm
// on a log axis, the place in its list of anything else; NaN where the parameter does not exist.
type point []float64

// encoder turns configs of a space into points.
type encoder struct {
	space      *strategy.Space
	parameters []strategy.Parameter
	places     []map[any]float64 // by parameter, of each value in its list; nil: a number
}

func newEncoder(space *strategy.Space) encoder {
	e := encoder{space: space, parameters: space.Parameters()}
	e.places = make([]map[any]float64, len(e.parameters))
	for axis, p := range e.parameters {
		if p.Kind == strategy.Float || p.Kind == strategy.Int {
			continue
		}
		e.places[axis] = make(map[any]float64, len(p.Choices))
		for place, choice := range p.Choices {
			e.places[axis][choice] = float64(place)
		}
	}
	return e
}

// point encodes a config of the space whose values have the types of their parameters.
func (e encoder) point(config map[string]any) point {
	p := make(point, len(e.parameters))
	for axis, parameter := range e.parameters {
		switch value := config[parameter.Name].(type) {
		case nil:
			p[axis] = math.NaN()
		case int64:
			p[axis] = e.coordinate(axis, value, float64(value))
		case float64:
			p[axis] = e.coordinate(axis, value, value)
		default:
			p[axis] = e.places[axis][value]
		}
	}
	return p
}

func (e encoder) coordinate(axis int, value any, number float64) float64 {
	switch {
	case e.places[axis] != nil:
		return e.places[axis][value]
	case e.parameters[axis].Log:
		return math.Log(number)
	}
	return number
}

// numericBins is into how many equal parts the axis of a number is cut for its marginal.
const numericBins = 16

// bins is how many bins an axis has: a list one per value.
func (e encoder) bins(axis int) int {
	if e.places[axis] != nil {
		return len(e.parameters[axis].Choices)
	}
	return numericBins
}

func (e encoder) bin(axis int, coordinate float64) int {
	if e.places[axis] != nil {
		return int(coordinate)
	}
	p := e.parameters[axis]
	low, high := e.coordinate(axis, p.Low, p.Low), e.coordinate(axis, p.High, p.High)
	if high/2 == low/2 {
		return 0
	}
	// Halves, because the whole range may be beyond the largest float.
	part := (coordinate/2 - low/2) / (high/2 - low/2)
	return min(int(part*numericBins), numericBins-1)
}
