package strategy

import (
	"math"
	"math/rand/v2"
	"slices"
)

// parzen is a mixture of kernels, products over the axes with widths in common, and of the uniform
// distribution. Densities are logarithms, with respect to the lengths of continuous axes and to the counts
// of discrete ones: a bin has the mass that the kernel gives it.
type parzen struct {
	axes       []tpeAxis
	widths     []float64
	centres    [][]float64
	continuous []int       // places of axes by kind
	discrete   []int       // ordered ones
	unordered  []int       // categorical ones
	scaled     []float64   // centres × continuous axes, in widths
	bins       []int32     // centres × (discrete + unordered axes)
	masses     [][]float64 // per discrete axis: log mass of a bin by bin of the centre; NaN: not yet known
	other      []float64   // per unordered axis: what another value has less than the same
	logWeights []float64   // of the centres, with what does not depend on the point
	cumulated  []float64   // weights of the centres
	uniform    float64     // log weight of the uniform part
}

// newParzen builds the density; uniform, above 0, is the weight of the uniform part beside the kernels'.
func newParzen(axes []tpeAxis, k kernels, widths []float64, uniform float64) *parzen {
	p := &parzen{axes: axes, widths: widths, centres: k.x}
	same := p.sortAxes()
	total := uniform
	for _, w := range k.weights {
		total += w
	}
	p.uniform = math.Log(uniform / total)
	sum := 0.0
	for i, x := range k.x {
		p.addKernel(x, math.Log(k.weights[i]/total)+same)
		sum += k.weights[i] / total
		p.cumulated = append(p.cumulated, sum)
	}
	return p
}

// sortAxes returns the log density that all kernels have in common.
func (p *parzen) sortAxes() (same float64) {
	for j, a := range p.axes {
		switch {
		case a.categorical:
			p.unordered = append(p.unordered, j)
			same += math.Log(1 - p.widths[j])
			p.other = append(p.other, math.Log(p.widths[j]/float64(max(a.levels-1, 1))/(1-p.widths[j])))
		case a.levels > 0:
			p.discrete = append(p.discrete, j)
			p.masses = append(p.masses, unknown(a.levels*a.levels))
		default:
			p.continuous = append(p.continuous, j)
			same -= math.Log(p.widths[j] * math.Sqrt(2*math.Pi))
		}
	}
	n, d := len(p.centres), len(p.axes)
	p.scaled, p.bins = make([]float64, 0, n*len(p.continuous)), make([]int32, 0, n*(d-len(p.continuous)))
	p.logWeights, p.cumulated = make([]float64, 0, n), make([]float64, 0, n)
	return same
}

func unknown(n int) []float64 {
	table := make([]float64, n)
	for i := range table {
		table[i] = math.NaN()
	}
	return table
}

func (p *parzen) addKernel(x []float64, logWeight float64) {
	inside := 1.0 // mass of the kernel within [0,1]^d, by factors of at least 0.3
	for _, j := range p.continuous {
		p.scaled = append(p.scaled, x[j]/p.widths[j])
		inside *= 1 - tail(x[j]/p.widths[j]) - tail((1-x[j])/p.widths[j])
		if inside < 1e-200 {
			logWeight -= math.Log(inside)
			inside = 1
		}
	}
	p.bins = p.appendBins(p.bins, x)
	p.logWeights = append(p.logWeights, logWeight-math.Log(inside))
}

func (p *parzen) appendBins(bins []int32, x []float64) []int32 {
	for _, j := range p.discrete {
		bins = append(bins, int32(p.axes[j].level(x[j])))
	}
	for _, j := range p.unordered {
		bins = append(bins, int32(p.axes[j].level(x[j])))
	}
	return bins
}

// sample draws a point.
func (p *parzen) sample(random *rand.Rand) []float64 {
	x := make([]float64, len(p.axes))
	i, _ := slices.BinarySearch(p.cumulated, random.Float64())
	for j := range x {
		if i == len(p.centres) {
			x[j] = p.axes[j].snap(random.Float64())
		} else {
			x[j] = p.axes[j].draw(p.centres[i][j], p.widths[j], random)
		}
	}
	return x
}

// base is the log density of the uniform part, the least that the whole has at x.
func (p *parzen) base(x []float64) float64 {
	log := p.uniform
	for j, a := range p.axes {
		if a.levels > 0 {
			log += a.logWidth(a.level(x[j]))
		}
	}
	return log
}

// negligible is how far below the largest term of a sum of exponentials another one does not count.
const negligible = 20

// density returns the log density at x. The memory may be of use to the next call.
func (p *parzen) density(x []float64, memory *parzenMemory) float64 {
	memory.scaled, memory.bins = memory.scaled[:0], p.appendBins(memory.bins[:0], x)
	for _, j := range p.continuous {
		memory.scaled = append(memory.scaled, x[j]/p.widths[j])
	}
	largest := p.base(x)
	terms := append(memory.terms[:0], largest)
	for i := range p.centres {
		if log := p.kernel(i, memory, largest-negligible); log > largest-negligible {
			terms = append(terms, log)
			largest = max(largest, log)
		}
	}
	memory.terms = terms
	sum := 0.0
	for _, log := range terms {
		sum += math.Exp(log - largest)
	}
	return largest + math.Log(sum)
}

type parzenMemory struct {
	scaled, terms []float64
	bins          []int32
}

// kernel is the weighted log density of kernel i; when that is below least, any number below least.
func (p *parzen) kernel(i int, at *parzenMemory, least float64) float64 {
	log := p.logWeights[i]
	d := len(p.continuous)
	row := p.scaled[i*d : i*d+d]
	room := 2 * (log - least) // masses are at most 1, so this bounds the distance
	distance := 0.0
	for c, v := range at.scaled {
		off := v - row[c]
		if distance += off * off; distance > room {
			return math.Inf(-1)
		}
	}
	log -= distance / 2
	n := len(at.bins)
	bins := p.bins[i*n : i*n+n]
	for c := range p.discrete {
		log += p.mass(c, bins[c], at.bins[c])
	}
	for c := range p.unordered {
		if k := len(p.discrete) + c; bins[k] != at.bins[k] {
			log += p.other[c]
		}
	}
	return log
}

// mass is the log mass of a bin of discrete axis c under a kernel within another one.
func (p *parzen) mass(c int, centre, bin int32) float64 {
	a, width := &p.axes[p.discrete[c]], p.widths[p.discrete[c]]
	known := &p.masses[c][int(centre)*a.levels+int(bin)]
	if math.IsNaN(*known) {
		middle := a.centre(int(centre))
		*known = logMass(a.edges[bin], a.edges[bin+1], middle, width) - logMass(0, 1, middle, width)
	}
	return *known
}
