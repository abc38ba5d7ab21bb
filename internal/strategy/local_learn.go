package strategy

import "math"

const (
	valueSpan   = 5  // measurements that a value rests on at most: what is older is forgotten
	noiseSpan   = 8  // the same for the noise
	surprise    = 3  // standard deviations off: the value itself has changed
	longSilence = 64 // live reports without one of the best config: what is known of it is of no use any more

	coarsestStep    = 5 // these three as multiples of the first step
	finestStep      = 0.2
	finestExactStep = 0.001
)

// Learn moves the best config, its value and the step after a report: see local.
func (s local) Learn(m *Memory, goal Goal, config map[string]any, value float64) *Memory {
	return s.learn(m, goal, config, value, finestStep)
}

// replay learns from the trials of a study; nil if none is complete.
func (s local) replay(r Request) *Memory {
	var m *Memory
	for _, t := range r.History {
		switch {
		case t.State == Complete:
			m = s.learn(m, r.Goal, t.Config, t.Value, finestExactStep)
		case t.State != Pending && m != nil:
			m = s.learn(m, r.Goal, t.Config, math.NaN(), finestExactStep)
		}
	}
	return m
}

func (s local) learn(m *Memory, goal Goal, config map[string]any, value, finest float64) *Memory {
	value = bounded(value)
	m = s.known(m, goal)
	if m == nil || !s.comparable(m.Best, config) {
		return s.begin(goal, config, value, s.sigma)
	}
	next := *m
	next.Silence++
	switch {
	case same(config, m.Best):
		s.remeasure(&next, value)
	case math.IsNaN(value):
		s.resize(&next, -failure)
	case math.IsNaN(m.Value) || finest == finestStep && next.Silence > longSilence:
		return s.begin(goal, config, value, m.Sigma)
	case goal.Better(value, m.Value):
		next.accept(config, value)
		s.resize(&next, success)
	default:
		s.resize(&next, -failure)
	}
	next.Sigma = min(max(next.Sigma, finest*s.sigma), coarsestStep*s.sigma, 1)
	return &next
}

func (s local) begin(goal Goal, config map[string]any, value, sigma float64) *Memory {
	return &Memory{Metric: s.metric, Goal: goal, Best: normal(config), Value: value, Weight: 1, Sigma: sigma}
}

// known returns what m says about this objective; nil if that is nothing.
func (s local) known(m *Memory, goal Goal) *Memory {
	if m == nil || m.Best == nil || m.Metric != s.metric || m.Goal != goal {
		return nil
	}
	return m
}

// What becomes of the step: at one success in five it stays as long as it is.
const (
	success = 0.8
	failure = 0.2
	worse   = 0.4 // the best config is not as good as it was
)

func (s local) resize(m *Memory, change float64) {
	m.Sigma *= math.Exp(change / math.Sqrt(1+float64(s.movable(m.Best))))
}

// accept makes config the best one. Of what it gained, noise has its expected share (James & Stein,
// "Estimation with quadratic loss", 1961): else one lucky value would be hard to beat.
func (m *Memory) accept(config map[string]any, value float64) {
	if gain := value - m.Value; m.Repeats > 0 {
		value = m.Value + gain*max(0, 1-m.Noise/(gain*gain))
	}
	m.Best, m.Value, m.Weight, m.Silence = normal(config), value, 1, 0
}

// remeasure takes in another value of the best config. One far off shows that the data have changed: the
// value starts anew. Steps grow while it gets worse, or they would be too short to follow the optimum.
func (s local) remeasure(m *Memory, value float64) {
	m.Silence = 0
	off := value - m.Value
	if math.IsNaN(off) {
		m.Value, m.Weight = value, 1
		return
	}
	deviation := math.Sqrt(m.Noise)
	if m.Goal.Better(m.Value, value) && math.Abs(off) > deviation {
		s.resize(m, worse)
	}
	known := m.Repeats > 0
	m.Repeats = min(m.Repeats+1, noiseSpan)
	m.Noise += (off*off*m.Weight/(m.Weight+1) - m.Noise) / float64(m.Repeats)
	if known && math.Abs(off) > surprise*deviation {
		m.Weight = 0
	}
	m.Weight = min(m.Weight+1, valueSpan)
	m.Value += off / m.Weight
}

// bounded keeps the squares of values finite; NaN for a value that is not.
func bounded(value float64) float64 {
	if math.IsInf(value, 0) {
		return math.NaN()
	}
	return min(max(value, -hugeValue), hugeValue)
}
