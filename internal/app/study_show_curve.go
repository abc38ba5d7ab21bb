package app

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/guptarohit/asciigraph"

	"github.com/visutility/retune/internal/insight"
)

// The size of a curve, in characters, beside its labels.
const (
	curveWidth  = 60
	curveHeight = 6
	labelWidth  = 14
)

// curve draws the best value so far over the complete trials.
func (s *studyScreen) curve(out io.Writer) {
	metric, goal := s.objective()
	best := insight.BestSoFar(goal, s.results())
	if len(best) < 2 {
		return
	}
	width := curveWidth
	if s.width > 0 {
		width = min(width, max(10, s.width-labelWidth))
	}
	plot, logarithmic := staircase(best, width)
	scale := ""
	if logarithmic {
		scale = " (log scale)"
	}
	fmt.Fprintf(out, "\nbest %s so far, over %d complete trials%s\n%s\n", printable(metric), len(best), scale, plot)
}

// staircase plots values that change seldom, on a logarithmic axis if they are
// positive and span more than two orders of magnitude.
func staircase(values []float64, width int) (plot string, logarithmic bool) {
	heights := make([]float64, width)
	for x := range heights {
		heights[x] = values[((x+1)*len(values)+width-1)/width-1] // the last of those that share a column
	}
	lowest, highest := slices.Min(heights), slices.Max(heights)
	logarithmic = lowest > 0 && highest/lowest > 100
	axis, back := func(v float64) float64 { return v }, func(y float64) float64 { return y }
	if logarithmic {
		axis, back = math.Log10, func(y float64) float64 { return math.Pow(10, y) }
	}
	low, high := axis(lowest), axis(highest)
	half := high/2 - low/2 // of the range, which may be beyond the floats
	for x, value := range heights {
		// From 0 to 1: the library gets lost in values that are large against their range.
		heights[x] = 0
		if half > 0 {
			heights[x] = (axis(value)/2 - low/2) / half
		}
	}
	label := func(y float64) string {
		return fmt.Sprintf("%6.4g", min(back(low*(1-y)+high*y), highest)) // a power may be, too
	}
	return asciigraph.Plot(heights, asciigraph.Height(curveHeight), asciigraph.YAxisValueFormatter(label)), logarithmic
}
