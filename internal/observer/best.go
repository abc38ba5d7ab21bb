package observer

import "math"

// best fires while the mean of the last reports is worse than the best such mean so far by more than
// threshold × |best|. It is early stopping's patience turned round (Prechelt, Early Stopping — But When?, 1998,
// generalization loss GL), on smoothed values: no slow decline is missed, as the best is never
// forgotten. Where the best is 0, anything worse fires. River has none.
//
// Its memory is the best mean, 0 until the window was full once, followed by the window, the oldest value first.
//
// Options: window, the number of values averaged (1 … 10,000, default 20); threshold, as a share of the best mean
// (≥ 0, default 0.05).
type best struct {
	goal      Goal
	window    int
	threshold float64
}

func newBest(given *options, goal Goal) detector {
	return &best{
		goal:      goal,
		window:    given.integer("window", 20, 1, maxWindow),
		threshold: given.number("threshold", 0.05, 0),
	}
}

func (d *best) fresh() []float64 { return make([]float64, 0, d.window+1) }

func (d *best) fits(memory []float64) bool {
	return len(memory) <= d.window+1 && (len(memory) == 0 || len(memory) == d.window+1 || memory[0] == 0)
}

func (d *best) update(memory []float64, value float64) ([]float64, verdict) {
	if len(memory) == 0 {
		memory = append(memory, 0)
	}
	full := len(memory) == d.window+1
	if full {
		memory = memory[:1+copy(memory[1:], memory[2:])]
	}
	memory = append(memory, value)
	if len(memory) <= d.window {
		return memory, verdict{limit: math.NaN()}
	}
	current := mean(memory[1:])
	if !full || d.goal.worse(current, memory[0]) < 0 {
		memory[0] = current
	}
	return memory, d.judge(current, memory[0])
}

// judge compares halves, as the difference of two finite numbers may overflow.
func (d *best) judge(current, best float64) verdict {
	worse, margin := d.goal.worse(current, best), d.threshold*(math.Abs(best)/2)
	v := verdict{
		degraded:  worse > margin,
		reference: best,
		limit:     best + d.goal.sign()*2*margin,
		statistic: share(worse, margin),
	}
	if !finite(v.limit) {
		v.limit = math.NaN()
	}
	return v
}
