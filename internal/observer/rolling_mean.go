package observer

import "math"

// maxWindow keeps a stored memory below 100 KiB and its mean below some 10 µs.
const maxWindow = 10_000

// rollingMean fires when a value is worse than the mean of the values before it by more than threshold × |mean|.
// It is the plainest control chart: a moving average with limits relative to it, see NIST/SEMATECH e-Handbook of
// Statistical Methods, 6.3.2. A drift slower than the threshold per window pulls the mean along and is not seen.
//
// Its memory is the window itself, the oldest value first.
//
// Options: window, the number of values averaged (2 … 10,000, default 20); threshold, as a share of the mean
// (≥ 0, default 0.05); include_current, whether the value judged counts in the mean, which is then judged from the
// first report on instead of once the window is full (default false).
type rollingMean struct {
	goal           Goal
	window         int
	threshold      float64
	includeCurrent bool
}

func newRollingMean(given *options, goal Goal) detector {
	return &rollingMean{
		goal:           goal,
		window:         given.integer("window", 20, 2, maxWindow),
		threshold:      given.number("threshold", 0.05, 0),
		includeCurrent: given.flag("include_current", false),
	}
}

func (d *rollingMean) fresh() []float64 { return make([]float64, 0, d.window) }

func (d *rollingMean) fits(memory []float64) bool { return len(memory) <= d.window }

func (d *rollingMean) update(memory []float64, value float64) ([]float64, verdict) {
	if d.includeCurrent {
		memory = d.push(memory, value)
		return memory, d.judge(value, mean(memory))
	}
	v := verdict{limit: math.NaN()}
	if len(memory) == d.window {
		v = d.judge(value, mean(memory))
	}
	return d.push(memory, value), v
}

// push moves the window along. Moving its values costs less than their mean, and spares a ring its position.
func (d *rollingMean) push(memory []float64, value float64) []float64 {
	if len(memory) == d.window {
		memory = memory[:copy(memory, memory[1:])]
	}
	return append(memory, value)
}

// judge compares halves, as the difference of two finite numbers may overflow. A share of a mean of 0 says nothing.
func (d *rollingMean) judge(value, mean float64) verdict {
	worse, margin := d.goal.worse(value, mean), d.threshold*(math.Abs(mean)/2)
	v := verdict{reference: mean, limit: mean + d.goal.sign()*2*margin, degraded: mean != 0 && worse > margin}
	if mean == 0 || !finite(v.limit) {
		v.limit = math.NaN()
	}
	return v
}

// mean adds all values anew: a running sum would keep the rounding error of a 1e308 long after it left the window.
// It is held within the extremes, where the true mean lies: a constant stream has exactly its constant as the mean,
// and none is infinite.
func mean(values []float64) float64 {
	low, high, sum := values[0], values[0], 0.0
	for _, v := range values {
		sum += v
		if v < low {
			low = v
		} else if v > high {
			high = v
		}
	}
	n := float64(len(values))
	if !finite(sum) {
		sum = 0
		for _, v := range values {
			sum += v / n
		}
		n = 1
	}
	return min(max(sum/n, low), high)
}
