package observer

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// kswin fires when the newest values of its window and as many sampled from the older ones have different
// distributions, by the two-sample Kolmogorov-Smirnov test: p ≤ α and D > 0.1 (Raab, Heusinger & Schleif, Reactive
// Soft Prototype Computing for Concept Drift Streams, Neurocomputing 416, 2020, 340–351). It sees other changes than
// of the mean too; of these only those with which the mean got worse degrade. It tests at every report, so that α is
// no rate of false alarms by far: with the defaults there is one in some hundreds of reports of a healthy model.
//
// It computes what River's KSWIN does, with scipy's exact p. It differs in the sample: the draws are a function of
// seed and number of values since the last change, not of a generator's state; without replacement, as there.
//
// Its memory is the number of values since the last change, followed by the window, the oldest value first.
//
// Options: alpha, the significance of one test (1e-12 … 0.5, default 0.005); window, the number of values kept
// (River's window_size; 2 × sample … 4096, default 100); sample, the number compared (River's stat_size; 2 … 256,
// default 30); seed, of the draws (0 … 2^53, default 0; River draws it).
type kswin struct {
	window, sample int
	critical       int // the least n·D with p ≤ α and D > 0.1
	seed           uint64
}

// The largest options: a test's scratch memory is on the stack.
const (
	kswinWindow = 4096
	kswinSample = 256
)

func newKswin(given *options, goal Goal) detector {
	alpha := given.between("alpha", 0.005, 1e-12, 0.5)
	window := given.integer("window", 100, 4, kswinWindow)
	sample := given.integer("sample", 30, 2, kswinSample)
	seed := given.integer("seed", 0, 0, 1<<53)
	if window < 2*sample {
		given.fail("window", window, fmt.Sprintf("at least twice the sample (%d)", sample), 100)
		window = 2 * sample
	}
	critical := kolmogorovSmirnov(sample, alpha)
	if critical > sample {
		given.fail("sample", sample, fmt.Sprintf("large enough for a test at alpha %v", alpha), 30)
	}
	return newLatch(view{goal: goal}, &kswin{window, sample, critical, uint64(seed)})
}

// kolmogorovSmirnov is the least h for which two samples of n differ by D = h/n with p ≤ α and D > 0.1; n+1 if
// none does. The p-value falls with h, so that comparing h decides as comparing p would.
func kolmogorovSmirnov(n int, alpha float64) int {
	for h := 1; h <= n; h++ {
		if float64(h)/float64(n) > 0.1 && smirnovP(n, h) <= alpha {
			return h
		}
	}
	return n + 1
}

// smirnovP is P(D ≥ h/n) of two samples of n: 2·Σ (−1)^(k−1) C(2n, n−kh)/C(2n, n) over k ≥ 1 (Gnedenko & Korolyuk
// 1951; Hodges, Arkiv för Matematik 3, 1958, 469–486), nested as in scipy so that nothing cancels.
func smirnovP(n, h int) float64 {
	p := 0.0
	for k := n / h; k >= 0; k-- {
		ratio := 1.0
		for j := range h {
			ratio = float64(n-k*h-j) * ratio / float64(n+k*h+j+1)
		}
		p = ratio * (1 - p)
	}
	return 2 * p
}

func (d *kswin) room() int { return 1 + d.window }

func (d *kswin) fits(m []float64) bool {
	return len(m) >= 2 && len(m) <= d.room() && counts(m[0]) &&
		(m[0] == float64(len(m)-1) || len(m) == d.room() && m[0] > float64(d.window)) &&
		!slices.ContainsFunc(m[1:], func(x float64) bool { return !modest(x) })
}

func (d *kswin) detect(memory []float64, x float64) ([]float64, change) {
	if len(memory) == 0 {
		memory = append(memory, 0)
	}
	if len(memory) == d.room() {
		memory = memory[:1+copy(memory[1:], memory[2:])]
	}
	memory = append(memory, x)
	memory[0]++
	if len(memory) < d.room() {
		return memory, change{}
	}
	older, newer := memory[1:1+d.window-d.sample], memory[1+d.window-d.sample:]
	h := d.distance(older, newer, uint64(memory[0]))
	c := change{statistic: float64(h) / float64(d.critical)}
	if h < d.critical {
		return memory, c
	}
	c.detected, c.reports = true, d.sample
	c.before, c.after, c.sd = mean(older), mean(newer), spread(older)
	return memory[:0], c
}

// distance is n·D of newer and a sample of older.
func (d *kswin) distance(older, newer []float64, n uint64) int {
	var a, b [kswinSample]float64
	sampled, recent := a[:d.sample], b[:d.sample]
	d.draw(sampled, older, n)
	copy(recent, newer)
	slices.Sort(sampled)
	slices.Sort(recent)
	i, j, largest := 0, 0, 0
	for i < d.sample && j < d.sample {
		at := min(sampled[i], recent[j])
		for i < d.sample && sampled[i] == at {
			i++
		}
		for j < d.sample && recent[j] == at {
			j++
		}
		largest = max(largest, i-j, j-i)
	}
	return largest
}

// draw samples without replacement, by Floyd's algorithm (Bentley & Floyd, Communications of the ACM 30, 1987,
// 754–757).
func (d *kswin) draw(sampled, from []float64, n uint64) {
	var taken [kswinWindow / 64]uint64
	state := splitMix(d.seed ^ splitMix(n))
	for i := range sampled {
		last := len(from) - len(sampled) + i
		state += 0x9e3779b97f4a7c15
		at, _ := bits.Mul64(splitMix(state), uint64(last)+1)
		if taken[at/64]&(1<<(at%64)) != 0 {
			at = uint64(last)
		}
		taken[at/64] |= 1 << (at % 64)
		sampled[i] = from[at]
	}
}

// splitMix is the output function of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
func splitMix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// spread is the standard deviation of values within ±extreme.
func spread(values []float64) float64 {
	var b baseline
	for _, x := range values {
		b = b.with(x)
	}
	return math.Sqrt(b.squares / b.n)
}
