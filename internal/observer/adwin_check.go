package observer

import "math"

// adwinWindow is a window, or a part of one.
type adwinWindow struct {
	n, sum, squares float64
	buckets         []float64
	rows            adwinBuckets
	used            int
}

// adwinCut is a place between the older and the newer buckets of a window.
type adwinCut struct {
	share  float64 // the difference of the means over its bound: above 1 a change
	n, sum float64 // of the older part
}

// check looks for a cut that shows a change. Nothing is told of cuts that show none.
func (d *adwin) check(memory []float64) change {
	w := adwinWindow{n: memory[0], sum: memory[1], squares: memory[2], buckets: memory[adwinHead:]}
	w.rows, w.used = d.rows(int(w.n))
	if at := d.widest(&w); at.share > 0 {
		return w.change(at)
	}
	return change{}
}

// change has the levels on both sides of a cut. Of the variance, what lies between the two is no noise.
//
// Bifet and Gavaldà drop the oldest buckets until no cut shows a change any more. River does so too, and then drops the
// rest; so this spares it.
func (w *adwinWindow) change(at adwinCut) change {
	n := w.n - at.n
	before, after := at.sum/at.n, (w.sum-at.sum)/n
	apart := after - before
	return change{
		detected:  true,
		before:    before,
		after:     after,
		sd:        math.Sqrt(max(0, w.squares-at.n*n/w.n*apart*apart) / w.n),
		statistic: at.share,
		reports:   int(n),
	}
}

// widest returns the cut that shows a change most clearly; none when no cut shows one.
func (d *adwin) widest(w *adwinWindow) (found adwinCut) {
	logs := math.Log(2 * math.Log(w.n) / d.delta)
	// Either term of a bound, with the shorter part alone, is below it. Most cuts are within that, which no division
	// is needed to see: the means of the parts are (sum₀ − n₀·mean)·n/(n₀n₁) apart.
	mean := w.sum / w.n
	scatter, linear := (1-adwinSlack)*2*(w.squares/w.n)*logs/(w.n*w.n), (1-adwinSlack)*2/3*logs/w.n
	n0, sum0, next := 0.0, 0.0, 0
	for row := w.used - 1; row >= 0; row-- {
		size := float64(int(1) << row)
		for _, sum := range w.buckets[next : next+w.rows[row]] {
			n0 += size
			sum0 += sum
			n1 := w.n - n0
			apart, parts := math.Abs(sum0-n0*mean), n0*n1
			shorter := min(n0, n1) - d.shortest + 1
			if shorter < 1 || apart*apart*shorter <= scatter*parts*parts || apart*shorter <= linear*parts {
				continue
			}
			found = d.wider(w, found, n0, sum0)
		}
		next += w.rows[row]
	}
	return found
}

// adwinSlack is what rounding may take from a difference of means that is not below rounding times their level.
const adwinSlack = 1e-5

// wider returns the cut after the oldest n0 values if it shows a change more clearly than found.
func (d *adwin) wider(w *adwinWindow, found adwinCut, n0, sum0 float64) adwinCut {
	mean := (w.sum - sum0) / (w.n - n0)
	apart := math.Abs(sum0/n0 - mean)
	bound := max(d.bound(w, n0, w.n-n0), rounding*math.Abs(mean))
	if apart > max(1, found.share)*bound {
		return adwinCut{apart / bound, n0, sum0}
	}
	return found
}

// bound is how far apart chance lets the means be.
func (d *adwin) bound(w *adwinWindow, n0, n1 float64) float64 {
	logs := math.Log(2 * math.Log(w.n) / d.delta)
	m := 1/(n0-d.shortest+1) + 1/(n1-d.shortest+1)
	return math.Sqrt(2*m*(w.squares/w.n)*logs) + 2.0/3*logs*m
}
