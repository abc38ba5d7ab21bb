package demo

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func streams(seed uint64) map[string]Stream {
	return map[string]Stream{"SEA": NewSEA(random(seed), 2), "hyperplane": NewHyperplane(random(seed))}
}

// Of two numbers uniform in 0 … 10 the sum is at most θ ≤ 10 with probability
// θ²/200; a tenth of the labels is flipped.
func TestSEALabelsFollowTheThreshold(t *testing.T) {
	t.Parallel()
	for concept, threshold := range seaThresholds {
		s, positives := NewSEA(random(7), concept), 0
		const n = 50_000
		for range n {
			if s.Next().Positive {
				positives++
			}
		}
		pure := threshold * threshold / 200
		want := pure*(1-seaNoise) + (1-pure)*seaNoise
		if got := float64(positives) / n; math.Abs(got-want) > 0.01 {
			t.Errorf("threshold %v: %.3f of the labels are positive, want %.3f", threshold, got, want)
		}
	}
}

func TestHyperplaneLabelsAreBalanced(t *testing.T) {
	t.Parallel()
	s, positives := NewHyperplane(random(7)), 0
	const n = 50_000
	for range n {
		if s.Next().Positive {
			positives++
		}
	}
	if got := float64(positives) / n; math.Abs(got-0.5) > 0.01 {
		t.Errorf("%.3f of the labels are positive, want half", got)
	}
}

func TestDriftChangesLabelsNotFeatures(t *testing.T) {
	t.Parallel()
	steady, drifting := streams(3), streams(3)
	for name := range steady {
		drifting[name].Drift()
		changed := 0
		const n = 20_000
		for i := range n {
			a, b := steady[name].Next(), drifting[name].Next()
			if !slices.Equal(a.Features, b.Features) {
				t.Fatalf("%s: example %d has other features", name, i)
			}
			if i >= n/2 && a.Positive != b.Positive {
				changed++
			}
		}
		if share := float64(changed) / (n / 2); share < 0.15 {
			t.Errorf("%s: the drift changed %.3f of the labels", name, share)
		}
	}
}

func TestTheHyperplaneStopsTurning(t *testing.T) {
	t.Parallel()
	h := NewHyperplane(random(1))
	before := slices.Clone(h.weights)
	h.Drift()
	for range 2 * turnExamples {
		h.Next()
	}
	for i, w := range h.weights {
		want := before[i]
		if i < hyperplaneWidth/2 {
			want += turnWeight
		}
		if math.Abs(w-want) > 1e-9 {
			t.Errorf("weight %d is %v, want %v", i, w, want)
		}
	}
}
