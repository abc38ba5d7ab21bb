package strategy

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// rates are the constants of CMA-ES for a number of coordinates and of members (Hansen 2016, equations 49 to 58).
type rates struct {
	weights                  []float64 // by rank, negative ones for the worse half
	effective                float64   // μ_eff
	rankOne, rankMu          float64   // c_1, c_μ
	cumulateC, cumulateSigma float64   // c_c, c_σ
	damping                  float64   // d_σ
	expected                 float64   // E‖N(0,I)‖
}

func newRates(dims, members int) rates {
	n, r := float64(dims), rates{weights: make([]float64, members)}
	for k := range r.weights { // equation 49
		r.weights[k] = math.Log(float64(members+1)/2) - math.Log(float64(k+1))
	}
	better, worse := r.weights[:members/2], r.weights[members/2:]
	m := effective(better)
	r.effective = m
	r.rankOne = 2 / ((n+1.3)*(n+1.3) + m)
	r.rankMu = min(1-r.rankOne, 2*(m-2+1/m)/((n+2)*(n+2)+m))
	r.cumulateC = (4 + m/n) / (n + 4 + 2*m/n)
	r.cumulateSigma = (m + 2) / (n + m + 5)
	r.damping = 1 + 2*max(0, math.Sqrt((m-1)/(n+1))-1) + r.cumulateSigma
	r.expected = math.Sqrt(n) * (1 - 1/(4*n) + 1/(21*n*n))
	negative := min( // equations 50 to 52
		1+r.rankOne/r.rankMu,
		1+2*effective(worse)/(m+2),
		(1-r.rankOne-r.rankMu)/(n*r.rankMu),
	)
	floats.Scale(1/floats.Sum(better), better) // equation 53
	floats.Scale(-negative/floats.Sum(worse), worse)
	return r
}

// effective is how many equal weights would vary as little.
func effective(weights []float64) float64 {
	sum := floats.Sum(weights)
	return sum * sum / floats.Dot(weights, weights)
}

// share gives members of equal worth the mean of their weights.
func (r rates) share(members []member) {
	for first := 0; first < len(members); {
		end := first + 1
		for end < len(members) && compareMembers(members[first], members[end]) == 0 {
			end++
		}
		equal := r.weights[first:end]
		mean := floats.Sum(equal) / float64(len(equal))
		for k := range equal {
			equal[k] = mean
		}
		first = end
	}
}
