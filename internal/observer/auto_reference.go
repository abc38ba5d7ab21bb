package observer

import (
	"math"
	"slices"
)

const (
	// autoMarkers is how many values of the reference are kept: all while it has no more, then as many quantiles.
	autoMarkers = 64
	// autoBatch is how many values are admitted at once. So none is in the reference before the CUSUMs had a while to
	// say what they think of it.
	autoBatch = 16
	// autoDense is the size from which on one in autoThinning reports is learnt from, so that a change is found before
	// it has filled the reference, and autoLarge that from which on one in autoSparse is. From autoEnough on the
	// reference is frozen: the error of one much smaller would decide when a model alarms, more than chance does.
	autoDense    = 80
	autoThinning = 4
	autoLarge    = 500
	autoSparse   = 16
	autoEnough   = 2000
	// autoFarthest bounds the deviations of one report, autoFarthestScore its normal score.
	autoFarthest      = 20.0
	autoFarthestScore = 5.0
	// autoGrossly is from where on a value is gross: as far beyond the worst of the reference as so many times the way
	// from there to the median.
	autoGrossly = 5.0
	// autoMostCorrelated bounds φ: of a random walk nothing would be left.
	autoMostCorrelated = 0.9
)

// autoReference is the healthy history of a model.
type autoReference struct {
	sorted []float64
	center float64 // median
	sd     float64 // half of the range of the middle 68 %, or if these are the same a quarter of that of the middle 95 %
	grain  float64 // values nearer to each other are the same
}

func autoReferenceOf(memory []float64) autoReference {
	k := autoKept(memory[autoAdmitted])
	sorted := memory[autoValues : autoValues+k]
	r := autoReference{sorted: sorted, center: (sorted[(k-1)/2] + sorted[k/2]) / 2}
	r.sd = autoRange(sorted, k*4/25) / 2
	if r.grain = rounding * math.Abs(r.center); r.sd <= r.grain {
		// Constant but for outliers: a change of some thousandths is one.
		r.grain = 1e-3*math.Abs(r.center) + rounding
		r.sd = autoRange(sorted, k/40) / 4
	}
	r.sd = max(r.sd, r.grain, math.SmallestNonzeroFloat64)
	return r
}

// autoRange is that of the values without so many at either end.
func autoRange(sorted []float64, without int) float64 {
	return sorted[len(sorted)-1-without] - sorted[without]
}

func autoKept(admitted float64) int { return int(min(admitted, autoMarkers)) }

func (r *autoReference) deviations(x float64) float64 {
	return min(max((x-r.center)/r.sd, -autoFarthest), autoFarthest)
}

// score is the normal score of the rank of x, of the middle of the ranks where it is tied. That of a value beyond all
// others tells more, by how far beyond.
func (r *autoReference) score(x float64) float64 {
	k := len(r.sorted)
	below, upTo := autoRank(r.sorted, x-r.grain, x+r.grain)
	switch {
	case below == k:
		return r.beyond(x, r.sorted[k-1])
	case upTo == 0:
		return -r.beyond(x, r.sorted[0])
	}
	return autoNormalScore(below+upTo+1, k)
}

func (r *autoReference) beyond(x, edge float64) float64 {
	k := len(r.sorted)
	farther := math.Abs(x-edge) / r.reach(edge)
	return min(autoNormalScore(2*k, k)*(1+farther/2), autoFarthestScore)
}

func (r *autoReference) reach(edge float64) float64 {
	return max(math.Abs(edge-r.center), r.grain, math.SmallestNonzeroFloat64)
}

// gross tells a value that no healthy one is like.
func (r *autoReference) gross(x float64) bool {
	worst := r.sorted[len(r.sorted)-1]
	return x-worst > autoGrossly*r.reach(worst)
}

// autoNormalScore is the standard normal quantile of halfRanks/(2k+2).
func autoNormalScore(halfRanks, k int) float64 {
	if k == autoMarkers {
		return autoNormalScores[halfRanks]
	}
	return math.Sqrt2 * math.Erfinv(float64(halfRanks)/float64(k+1)-1)
}

// autoNormalScores are those of a full reference, which spare it a third of its time.
var autoNormalScores = func() (all [2*autoMarkers + 1]float64) {
	for i := 1; i < len(all); i++ {
		all[i] = math.Sqrt2 * math.Erfinv(float64(i)/(autoMarkers+1)-1)
	}
	return all
}()

// autoRank counts the values below low, and those up to high.
func autoRank(sorted []float64, low, high float64) (below, upTo int) {
	end := len(sorted)
	for below < end {
		if middle := (below + end) / 2; sorted[middle] < low {
			below = middle + 1
		} else {
			end = middle
		}
	}
	for upTo = below; upTo < len(sorted) && sorted[upTo] <= high; upTo++ {
	}
	return below, upTo
}

// autoCorrelation estimates φ, the lag-1 autocorrelation of the scores, made up for the bias −(1+3φ)/n (Kendall,
// Biometrika 41, 1954, 403–404). A negative one is left alone: it makes false alarms rarer.
func autoCorrelation(memory []float64) float64 {
	phi := memory[autoMoments] / max(memory[autoMoments+1], 1)
	phi += (1 + 3*phi) / memory[autoAdmitted]
	return min(max(phi, 0), autoMostCorrelated)
}

// autoRelate adds a pair of consecutive scores to the moments. Outliers count as large, no more.
func autoRelate(moments []float64, before, score float64) {
	const large = 2.5
	before, score = min(max(before, -large), large), min(max(score, -large), large)
	moments[0] += before * score
	moments[1] += (before*before + score*score) / 2
}

// autoBegin makes the first reference of the values so far.
func autoBegin(memory []float64) []float64 {
	var kept [autoMarkers]float64
	values := kept[:copy(kept[:], memory)]
	memory = memory[:autoSize]
	clear(memory)
	memory[autoReports], memory[autoAdmitted] = float64(len(values)), float64(len(values))
	slices.Sort(memory[autoValues : autoValues+copy(memory[autoValues:], values)])
	ref := autoReferenceOf(memory)
	for i, x := range values {
		score := ref.score(x)
		if i > 0 {
			autoRelate(memory[autoMoments:], memory[autoScore], score)
		}
		memory[autoScore] = score
	}
	return memory
}

func (d *auto) learn(memory []float64, x, score float64, warming bool) {
	if memory[autoAdmitted] >= autoEnough {
		return
	}
	if memory[autoSkipped]++; memory[autoSkipped] < autoStride(memory[autoAdmitted]) && !warming {
		return
	}
	memory[autoSkipped] = 0
	memory[autoFields+int(memory[autoPending])] = x
	memory[autoPending]++
	autoRelate(memory[autoBatchMoments:], memory[autoScore], score)
	if memory[autoPending] == autoBatch {
		autoAdmit(memory)
	}
}

// autoStride is of how many reports one is learnt from, by the size of the reference.
func autoStride(admitted float64) float64 {
	switch {
	case admitted < autoDense:
		return 1
	case admitted < autoLarge:
		return autoThinning
	}
	return autoSparse
}

// autoAdmit puts the values that wait into the reference.
func autoAdmit(memory []float64) {
	var kept [autoMarkers]float64
	n := memory[autoAdmitted]
	before := kept[:copy(kept[:], memory[autoValues:autoValues+autoKept(n)])]
	batch := memory[autoFields:autoValues]
	slices.Sort(batch)
	memory[autoAdmitted] = n + autoBatch
	autoMerge(memory[autoValues:autoValues+autoKept(n+autoBatch)], before, n/float64(len(before)), batch)
	memory[autoMoments] += memory[autoBatchMoments]
	memory[autoMoments+1] += memory[autoBatchMoments+1]
	memory[autoPending], memory[autoBatchMoments], memory[autoBatchMoments+1] = 0, 0, 0
}

// autoMerge sets to to the quantiles (i + ½)/len(to) of a sample: the sorted values a, each weight times, and b.
// It interpolates, each value standing in the middle of its weight, but not where values are tied: between the levels
// of a discrete metric there is nothing.
func autoMerge(to, a []float64, weight float64, b []float64) {
	var places, values [autoMarkers + autoBatch]float64
	n, total := 0, 0.0
	for ; len(a)+len(b) > 0; n++ {
		w := weight
		if len(b) == 0 || len(a) > 0 && a[0] <= b[0] {
			values[n], a = a[0], a[1:]
		} else {
			values[n], b, w = b[0], b[1:], 1
		}
		places[n] = total + w/2
		total += w
	}
	i := 0
	for j := range to {
		place := (float64(j) + 0.5) / float64(len(to)) * total
		for i < n-1 && places[i] < place {
			i++
		}
		if to[j] = values[i]; i > 0 && place < places[i] {
			to[j] = autoBetween(values[:n], i, (place-places[i-1])/(places[i]-places[i-1]))
		}
	}
}

func autoBetween(values []float64, i int, share float64) float64 {
	low, high := values[i-1], values[i]
	if i > 1 && values[i-2] == low || i+1 < len(values) && values[i+1] == high {
		share = math.Round(share)
	}
	return min(max(low*(1-share)+high*share, low), high)
}

// autoLearnt reports whether the fields of the reference can be such.
func autoLearnt(memory []float64, first int) bool {
	n, pending, skipped := memory[autoAdmitted], memory[autoPending], memory[autoSkipped]
	batches := (n - float64(first)) / autoBatch
	if !counts(batches) || n >= autoEnough+autoBatch || !counts(pending) || pending >= autoBatch ||
		!counts(skipped) || skipped >= autoSparse {
		return false
	}
	ref := memory[autoValues : autoValues+autoKept(n)]
	return slices.IsSorted(ref) && modest(ref[0]) && modest(ref[len(ref)-1]) &&
		!slices.ContainsFunc(memory[autoFields:autoValues], func(x float64) bool { return !modest(x) }) &&
		autoMomentsFit(memory[autoMoments:], n) && autoMomentsFit(memory[autoBatchMoments:], autoBatch)
}

func autoMomentsFit(moments []float64, n float64) bool {
	return math.Abs(moments[0]) <= moments[1]+1e-6 && moments[1] <= 10*n
}
