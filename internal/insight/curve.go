package insight

import (
	"math"

	"github.com/visutility/retune/internal/strategy"
)

// BestSoFar is the best value after each complete trial, in the order of the trials. A value that is not
// finite is no result and leaves no trace.
func BestSoFar(goal strategy.Goal, trials []strategy.Trial) []float64 {
	var best []float64
	for _, t := range trials {
		if t.State != strategy.Complete || !finite(t.Value) {
			continue
		}
		value := t.Value
		if n := len(best); n > 0 && !goal.Better(value, best[n-1]) {
			value = best[n-1]
		}
		best = append(best, value)
	}
	return best
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
