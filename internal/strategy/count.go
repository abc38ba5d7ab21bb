package strategy

import (
	"encoding/binary"
	"slices"
)

// counter counts the configs that agree with the indexes fixed so far: it decides parents before their
// children, treats what a decision leaves unconnected apart, and remembers what it counted (component
// caching, as in #SAT solvers: Sang et al., "Combining Component Caching and Clause Learning for
// Effective Model Counting", 2004).
type counter struct {
	grid     *grid
	fixed    []fixedIndex
	ruledOut []int // by node: how many decided parents say that it does not exist
	memory   map[string]uint64
	leader   []int // by node, within split: its place in a disjoint-set forest
	part     []int // by node, within split: the part that it leads
	budget   int   // visits of nodes left; a count that runs out is wrong
}

const nobody = -1

type fixedIndex struct {
	index uint64
	set   bool
}

// maxWork bounds the first count of a space, in visits of nodes. Fixing indexes only removes work, so a
// space that passes once stays cheap. Trees of a thousand conditions need some ten thousand visits.
const maxWork = 100_000

func newCounter(g *grid, budget int) *counter {
	return &counter{
		grid:     g,
		fixed:    make([]fixedIndex, len(g.nodes)),
		ruledOut: make([]int, len(g.nodes)),
		leader:   slices.Repeat([]int{nobody}, len(g.nodes)),
		part:     slices.Repeat([]int{nobody}, len(g.nodes)),
		budget:   budget,
	}
}

// fix decides the value index of node p, where i is the rank among the configs that go on from here and
// others is how many ways the other components have to go on. It returns the rank that remains and the
// ways left in p's own component.
func (c *counter) fix(p int, i, others uint64) (rank, ways uint64) {
	members := c.grid.components[c.grid.nodes[p].component].members
	for _, r := range c.grid.nodes[p].runs {
		c.fixed[p] = fixedIndex{r.first, true}
		ways = c.count(members)
		each := multiply(ways, others)
		block := multiply(each, r.length)
		if i < block {
			c.fixed[p].index += i / each
			return i % each, ways
		}
		i -= block
	}
	panic("strategy: rank past the end of the grid")
}

// count counts the ways to decide members, which are connected, in causal order, and have no undecided
// parent elsewhere.
func (c *counter) count(members []int) uint64 {
	c.memory = make(map[string]uint64)
	return c.ways(members)
}

func (c *counter) ways(members []int) uint64 {
	key := c.key(members)
	if known, ok := c.memory[key]; ok {
		return known
	}
	total := uint64(0)
	for _, option := range c.options(members[0]) {
		if c.budget -= len(members); c.budget < 0 {
			break
		}
		c.decide(members[0], option, 1)
		product := option.weight
		for _, part := range c.split(members[1:]) {
			product = multiply(product, c.ways(part))
		}
		c.decide(members[0], option, -1)
		total = add(total, product)
	}
	c.memory[key] = total
	return total
}

// key tells what a count depends on beside the fixed indexes: who is undecided, and who of them is ruled out.
func (c *counter) key(members []int) string {
	key := make([]byte, 0, 2*len(members))
	for _, m := range members {
		code := uint16(m) << 1
		if c.ruledOut[m] > 0 {
			code |= 1
		}
		key = binary.LittleEndian.AppendUint16(key, code)
	}
	return string(key)
}

// options returns what the node can be now. Absence is a group that allows no child.
func (c *counter) options(m int) []group {
	n, fixed := &c.grid.nodes[m], c.fixed[m]
	absent := c.ruledOut[m] > 0
	switch {
	case absent && fixed.set && fixed.index > 0:
		return nil
	case absent:
		return []group{{weight: 1, allows: make([]bool, len(n.children))}}
	case fixed.set:
		return []group{{weight: 1, allows: n.groups[n.groupOf(fixed.index)].allows}}
	}
	return n.groups
}

func (n *node) groupOf(index uint64) int {
	k := slices.IndexFunc(n.runs, func(r run) bool { return index-r.first < r.length })
	return n.runs[k].group
}

// decide tells the children of node m what it became; delta -1 takes it back.
func (c *counter) decide(m int, option group, delta int) {
	for j, child := range c.grid.nodes[m].children {
		if !option.allows[j] {
			c.ruledOut[child] += delta
		}
	}
}

// split groups members that depend on each other. A node that is ruled out no longer depends on its parents.
func (c *counter) split(members []int) [][]int {
	for _, m := range members {
		c.leader[m] = m
		if c.ruledOut[m] > 0 {
			continue
		}
		for _, parent := range c.grid.nodes[m].parents {
			if c.leader[parent] != nobody {
				c.leader[c.find(parent)] = m
			}
		}
	}
	var parts [][]int
	for _, m := range members {
		leader := c.find(m)
		if c.part[leader] == nobody {
			c.part[leader] = len(parts)
			parts = append(parts, nil)
		}
		parts[c.part[leader]] = append(parts[c.part[leader]], m)
	}
	for _, m := range members {
		c.leader[m], c.part[m] = nobody, nobody
	}
	return parts
}

// find is that of a disjoint-set forest, with path halving.
func (c *counter) find(m int) int {
	for c.leader[m] != m {
		c.leader[m] = c.leader[c.leader[m]]
		m = c.leader[m]
	}
	return m
}
