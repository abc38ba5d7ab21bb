package pruner

import (
	"math"
	"math/rand/v2"
)

// hyperband hedges against a first rung that judges too early (Li et al. 2018, Hyperband, JMLR
// 18(185), algorithm 1): trials are spread over brackets, each an asha of its own whose first rung is
// η times as far as that of the bracket before, and that of the last one at or close to the end. A trial's
// bracket follows from the study's seed and its number, in the proportion in which Hyperband starts
// configs in its brackets, ⌈n·η^s/(s+1)⌉ for s = n-1 … 0 in n brackets.
type hyperband struct {
	resource int64 // r: the first rung of the first bracket, a step
	longest  int64 // R: the last step of a trial; auto: as in asha
	factor   int64 // η
}

func newHyperband(o *options) Pruner {
	return hyperband{
		resource: o.integer("min_resource", 1, 1),
		longest:  o.longest(),
		factor:   o.integer("reduction_factor", 3, 2),
	}
}

func (h hyperband) Prune(r Request) (string, bool) {
	brackets := h.brackets(r.Others)
	if brackets == 0 {
		return "", false
	}
	shares := h.shares(brackets)
	mine := shares.pick(r.Seed, r.Trial.Number)
	bracket := asha{resource: h.resource, factor: h.factor, rate: int64(mine)}
	return bracket.judge(r, func(number int) bool { return shares.pick(r.Seed, number) == mine })
}

// brackets is ⌊log_η(R/r)⌋ + 1 in whole numbers; 0 while R is unknown.
func (h hyperband) brackets(others []Curve) int {
	longest := longestTrial(h.longest, others)
	if longest == 0 {
		return 0
	}
	n := 1
	for ratio := longest / h.resource; ratio >= h.factor; ratio /= h.factor {
		n++
	}
	return n
}

// shares are the cumulated numbers of trials of the brackets.
type shares []float64

func (h hyperband) shares(brackets int) shares {
	cumulated, total := make(shares, brackets), 0.0
	for i := range cumulated {
		s := float64(brackets - 1 - i)
		total += math.Ceil(float64(brackets) * math.Pow(float64(h.factor), s) / (s + 1))
		cumulated[i] = total
	}
	return cumulated
}

// pick draws the bracket of a trial. The seed is changed because strategies draw configs from the
// same pair: the bracket would follow from the config.
func (s shares) pick(seed uint64, number int) int {
	var source rand.PCG
	source.Seed(^seed, uint64(number))
	at := float64(source.Uint64()>>11) / (1 << 53) * s[len(s)-1]
	bracket := 0
	for bracket < len(s)-1 && at >= s[bracket] {
		bracket++
	}
	return bracket
}
