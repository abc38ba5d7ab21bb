package insight

import (
	"math"
	"math/rand/v2"
)

// forest predicts a value from a point by extremely randomised trees: each node takes the best of one
// random split per parameter (Geurts, Ernst & Wehenkel, "Extremely randomized trees", Machine Learning
// 63, 2006, table 1; K is the number of parameters and n_min is 5, as advised there for regression).
type forest struct {
	trees    []tree
	accuracy float64 // R² on what each tree had not seen; at most 1
}

const (
	treeCount = 100
	minSplit  = 5     // n_min: fewer points stay together
	heldOut   = 5     // each tree leaves out one point in so many, to be judged by
	leastGain = 1e-12 // of ranks; less is rounding
)

// tree holds its nodes, the root first.
type tree []node

// node is a leaf where it has no right child; the left one follows it.
type node struct {
	split
	right int
	value float64 // mean of the points in it
}

// split sends the points below a threshold to the left. Those without the coordinate go to the right.
//
// Categories are split by their places in their list, too: to split off one at a time came closer to the
// known shares with 3 choices, but not with 8 or 20.
type split struct {
	axis      int
	threshold float64
}

func (s split) left(p point) bool { return p[s.axis] < s.threshold }

// grow fits a forest to the values of the points.
func grow(points []point, values []float64, random *rand.Rand) forest {
	f := forest{trees: make([]tree, treeCount)}
	sums, votes := make([]float64, len(points)), make([]float64, len(points))
	for i := range f.trees {
		order := random.Perm(len(points))
		kept := len(points) - len(points)/heldOut
		g := grower{points: points, values: values, random: random}
		g.grow(order[:kept])
		f.trees[i] = g.tree
		for _, k := range order[kept:] {
			sums[k] += g.tree.predict(points[k])
			votes[k]++
		}
	}
	f.accuracy = accuracy(values, sums, votes)
	return f
}

// accuracy is R² of the means sums/votes, where there are votes.
func accuracy(values, sums, votes []float64) float64 {
	var missed, spread float64
	centre := mean(values)
	for k, v := range values {
		if votes[k] == 0 {
			continue
		}
		off := v - sums[k]/votes[k]
		missed += off * off
		spread += (v - centre) * (v - centre)
	}
	return 1 - missed/spread
}

func (f forest) predict(p point) float64 {
	sum := 0.0
	for _, t := range f.trees {
		sum += t.predict(p)
	}
	return sum / float64(len(f.trees))
}

func (t tree) predict(p point) float64 {
	i := 0
	for t[i].right > 0 {
		if t[i].left(p) {
			i++
		} else {
			i = t[i].right
		}
	}
	return t[i].value
}

// grower builds one tree.
type grower struct {
	points []point
	values []float64
	random *rand.Rand
	tree   tree
}

// grow adds the node of the members, which are indexes of points, and those below it. It reorders them.
func (g *grower) grow(members []int) {
	at := len(g.tree)
	g.tree = append(g.tree, node{value: g.mean(members)})
	split, ok := g.best(members)
	if !ok {
		return
	}
	border := g.partition(split, members)
	g.tree[at].split = split
	g.grow(members[:border])
	g.tree[at].right = len(g.tree)
	g.grow(members[border:])
}

func (g *grower) mean(members []int) float64 {
	sum := 0.0
	for _, k := range members {
		sum += g.values[k]
	}
	return sum / float64(len(members))
}

// best is the split that leaves the least variance on its two sides, if there is any to take away.
func (g *grower) best(members []int) (best split, ok bool) {
	if len(members) < minSplit {
		return best, false
	}
	mean, most := g.mean(members), leastGain
	for axis := range g.points[0] {
		s, ok := g.draw(axis, members)
		if !ok {
			continue
		}
		if gain := g.gain(s, members, mean); gain > most {
			best, most = s, gain
		}
	}
	return best, most > leastGain
}

// draw takes a threshold within the range of the members. It fails where they all have the same value.
func (g *grower) draw(axis int, members []int) (split, bool) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, k := range members {
		if x := g.points[k][axis]; !math.IsNaN(x) {
			low, high = min(low, x), max(high, x)
		}
	}
	u := g.random.Float64()
	return split{axis, low*u + high*(1-u)}, low < high // high - low may be beyond the largest float
}

// gain is by how much the sum of squares about the mean falls.
func (g *grower) gain(s split, members []int, mean float64) float64 {
	var sums, counts [2]float64
	for _, k := range members {
		side := 0
		if s.left(g.points[k]) {
			side = 1
		}
		sums[side] += g.values[k] - mean
		counts[side]++
	}
	if counts[0] == 0 || counts[1] == 0 {
		return 0
	}
	return sums[0]*sums[0]/counts[0] + sums[1]*sums[1]/counts[1]
}

// partition moves the members that go left to the front and returns how many they are.
func (g *grower) partition(s split, members []int) int {
	border := 0
	for i, k := range members {
		if s.left(g.points[k]) {
			members[i], members[border] = members[border], k
			border++
		}
	}
	return border
}
