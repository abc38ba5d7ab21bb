package strategy

import (
	"math"
	"math/bits"
	"slices"
)

// grid counts and unranks the configs of a discrete space without enumerating them.
//
// A config is represented by one value index per parameter, inactive parameters at index 0: so each
// config has exactly one representative in the full product, and their lexicographic order is the order
// of the grid. Unranking fixes one index after the other, and asks how many representatives go on that way.
type grid struct {
	nodes      []node
	components []component // parts of the space without conditions between them
	total      uint64
}

type component struct {
	members []int // nodes, parents first
	count   uint64
}

// node is one parameter. Values that decide the same conditions are counted together, in groups.
type node struct {
	component int
	parents   []int
	children  []int
	runs      []run
	groups    []group
}

// run is a range of value indexes that are alike for counting.
type run struct {
	first, length uint64
	group         int
}

type group struct {
	weight uint64 // number of values
	allows []bool // by child: whether these values meet its condition
}

// newGrid returns nil if an axis is continuous or the conditions are too entangled to count.
func newGrid(s *Space) *grid {
	positions := make(map[*parameter]int, len(s.parameters))
	for i, p := range s.parameters {
		if _, ok := p.axis.(discrete); !ok {
			return nil
		}
		positions[p] = i
	}
	g := &grid{nodes: make([]node, len(s.parameters)), total: 1}
	for i, p := range s.parameters {
		for _, c := range p.conditions {
			parent := positions[c.parent]
			g.nodes[i].parents = append(g.nodes[i].parents, parent)
			g.nodes[parent].children = append(g.nodes[parent].children, i)
		}
	}
	for i := range g.nodes {
		g.group(i, s)
	}
	members := make([]int, 0, len(s.causal))
	for _, p := range s.causal {
		members = append(members, positions[p])
	}
	if !g.measure(members) {
		return nil
	}
	return g
}

// group splits the values of a node where a condition begins or ends to hold, and after index 0 of a
// conditional parameter, which also stands for its absence.
func (g *grid) group(i int, s *Space) {
	n, axis := &g.nodes[i], s.parameters[i].axis.(discrete)
	met := make([]map[uint64]bool, len(n.children))
	cuts := []uint64{0, axis.size()}
	if len(n.parents) > 0 {
		cuts = append(cuts, min(1, axis.size()))
	}
	for j, child := range n.children {
		met[j] = s.parameters[child].valuesOf(s.parameters[i], axis)
		for k := range met[j] {
			cuts = append(cuts, k, k+1)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	bySignature := make(map[string]int)
	for j, first := range cuts[:len(cuts)-1] {
		n.addRun(run{first: first, length: cuts[j+1] - first}, met, bySignature)
	}
}

// valuesOf returns the indexes of parent's values that meet p's condition on it.
func (p *parameter) valuesOf(parent *parameter, axis discrete) map[uint64]bool {
	indexes := make(map[uint64]bool)
	for _, v := range p.When[parent.Name] {
		k, _ := axis.index(v)
		indexes[k] = true
	}
	return indexes
}

func (n *node) addRun(r run, met []map[uint64]bool, bySignature map[string]int) {
	allows := make([]bool, len(met))
	signature := make([]byte, len(met))
	for j := range met {
		allows[j] = met[j][r.first]
		if allows[j] {
			signature[j] = 1
		}
	}
	known, ok := bySignature[string(signature)]
	if !ok {
		known = len(n.groups)
		bySignature[string(signature)] = known
		n.groups = append(n.groups, group{allows: allows})
	}
	n.groups[known].weight = add(n.groups[known].weight, r.length)
	r.group = known
	n.runs = append(n.runs, r)
}

// measure finds and counts the components; false if that takes too much work.
func (g *grid) measure(members []int) bool {
	c := newCounter(g, maxWork)
	for k, part := range c.split(members) {
		for _, m := range part {
			g.nodes[m].component = k
		}
		count := c.count(part)
		g.components = append(g.components, component{part, count})
		g.total = multiply(g.total, count)
	}
	return c.budget >= 0
}

// unrank returns the value index of each parameter in the i-th config, 0 ≤ i < total.
func (g *grid) unrank(i uint64) []uint64 {
	c := newCounter(g, math.MaxInt)
	counts := make([]uint64, len(g.components))
	for k := range counts {
		counts[k] = g.components[k].count
	}
	for p := range g.nodes {
		k := g.nodes[p].component
		counts[k] = 1
		others := uint64(1)
		for _, n := range counts {
			others = multiply(others, n)
		}
		i, counts[k] = c.fix(p, i, others)
	}
	indexes := make([]uint64, len(c.fixed))
	for p := range indexes {
		indexes[p] = c.fixed[p].index
	}
	return indexes
}

// Saturating arithmetic: a product past MaxUint64 is still larger than every index into it.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

func multiply(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high != 0 {
		return math.MaxUint64
	}
	return low
}
