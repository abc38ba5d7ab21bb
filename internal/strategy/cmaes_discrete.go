package strategy

import (
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mathext"
)

// keepMargin spreads the distribution along discrete axes, so that a member of the next generation leaves
// the bin of the mean with a probability of at least 1/dims/members (α of Hamano et al. 2022). Theirs also
// moves the mean to the border of the bin: with members in the middle of their bins that is a step that
// repeats, and makes σ grow. The mean of a continuous axis stays in the cube.
func (e *evolution) keepMargin(axes []cmaAxis) {
	chance := 1 / float64(len(axes)*(e.offspring+elites))
	e.spread = make([]float64, len(axes))
	for i, a := range axes {
		e.spread[i] = 1
		if a.discrete == nil {
			e.mean[i] = min(max(e.mean[i], 0), 1)
			continue
		}
		e.spread[i] = max(1, needed(a, e.mean[i], chance)/e.deviation(i))
	}
}

// needed is the deviation with which chance is reached. The outer bins have one neighbour.
func needed(a cmaAxis, mean, chance float64) float64 {
	switch low, high := a.bin(mean); {
	case low <= 0:
		return (high - mean) / mathext.NormalQuantile(1-chance)
	case high >= 1:
		return (mean - low) / mathext.NormalQuantile(1-chance)
	default:
		return (high - low) / 2 / mathext.NormalQuantile(1-chance/2)
	}
}

// choiceRate is how fast the probabilities of choices are learned.
const choiceRate = 0.2

// learnChoice moves the probabilities q of categorical parameter c towards the choices of the better
// members, with a margin of 1/members to each.
func (r rates) learnChoice(q []float64, c int, members []member) []float64 {
	learned, seen := slices.Clone(q), 0.0
	for k, m := range members {
		if w := max(r.weights[k], 0) * choiceRate; m.choice[c] >= 0 {
			learned[m.choice[c]] += w
			seen += w
		}
	}
	floats.AddScaled(learned, -seen, q)
	least := 1 / float64(len(q)*(len(members)+1))
	above := 0.0
	for k, p := range learned {
		learned[k] = max(p, least) - least
		above += learned[k]
	}
	rest := 1 - least*float64(len(q))
	for k := range learned {
		learned[k] = least + learned[k]*rest/above
	}
	return learned
}

// choose draws an index with probabilities q.
func choose(q []float64, random *rand.Rand) int {
	u := random.Float64()
	for k, p := range q {
		if u -= p; u < 0 {
			return k
		}
	}
	return len(q) - 1
}
