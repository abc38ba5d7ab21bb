package demo

import "math/rand/v2"

// Example is one labelled observation; its features are scaled to -1 … 1.
type Example struct {
	Features []float64
	Positive bool
}

// Stream gives examples without end. Drift makes its concept, the rule behind the
// labels, start to change; nothing in the features tells of it.
type Stream interface {
	Width() int // number of features
	Next() Example
	Drift()
}

// seaThresholds are the four concepts, in their order in the paper.
var seaThresholds = [...]float64{8, 9, 7, 9.5}

const (
	seaNoise        = 0.10 // share of labels flipped, as in the paper
	hyperplaneNoise = 0.05
)

// SEA is the stream of W. N. Street and Y. Kim, A Streaming Ensemble Algorithm
// (SEA) for Large-Scale Classification, KDD 2001: three features uniform in
// 0 … 10, of which the third means nothing; positive where the first two add up
// to at most a threshold. Its drift is abrupt: to the next threshold.
type SEA struct {
	random  *rand.Rand
	concept int
}

// NewSEA begins with a concept, 0 to 3.
func NewSEA(random *rand.Rand, concept int) *SEA { return &SEA{random, concept} }

// Width is 3.
func (s *SEA) Width() int { return 3 }

// Drift goes on to the next concept, at once.
func (s *SEA) Drift() { s.concept = (s.concept + 1) % len(seaThresholds) }

// Next gives an example of the concept in force.
func (s *SEA) Next() Example {
	features := uniform(s.random, s.Width())
	sum := 5 * (features[0] + 1 + features[1] + 1)
	positive := sum <= seaThresholds[s.concept]
	return Example{features, positive != (s.random.Float64() < seaNoise)}
}

// Hyperplane is the stream of G. Hulten, L. Spencer and P. Domingos, Mining
// Time-Changing Data Streams, KDD 2001: features uniform in a cube, positive on
// one side of a plane through its centre. Its drift is gradual: the weights of
// half the features move a little with every example, until the plane has turned.
type Hyperplane struct {
	random  *rand.Rand
	weights []float64
	turning int // examples until it has turned
}

const (
	hyperplaneWidth = 10
	turnExamples    = 8_000
	turnWeight      = -1.5 // by which a turning weight changes in all
)

// NewHyperplane begins with random weights in 0 … 1.
func NewHyperplane(random *rand.Rand) *Hyperplane {
	h := &Hyperplane{random: random, weights: make([]float64, hyperplaneWidth)}
	for i := range h.weights {
		h.weights[i] = random.Float64()
	}
	return h
}

// Width is 10.
func (h *Hyperplane) Width() int { return hyperplaneWidth }

// Drift starts to turn the plane.
func (h *Hyperplane) Drift() { h.turning = turnExamples }

// Next gives an example, and turns the plane on if it is turning.
func (h *Hyperplane) Next() Example {
	if h.turning > 0 {
		h.turning--
		for i := range hyperplaneWidth / 2 {
			h.weights[i] += turnWeight / turnExamples
		}
	}
	features, side := uniform(h.random, hyperplaneWidth), 0.0
	for i, x := range features {
		side += h.weights[i] * x
	}
	return Example{features, (side >= 0) != (h.random.Float64() < hyperplaneNoise)}
}

func uniform(random *rand.Rand, n int) []float64 {
	features := make([]float64, n)
	for i := range features {
		features[i] = 2*random.Float64() - 1
	}
	return features
}
