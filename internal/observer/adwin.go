package observer

// adwin fires when its window of values splits into two parts whose means differ by more than chance allows, by a
// bound with the window's variance: ε = √(2/m·σ²·ln(2 ln n/δ)) + 2/(3m)·ln(2 ln n/δ), 1/m = 1/n₀ + 1/n₁ (Bifet &
// Gavaldà, Learning from Time-Changing Data with Adaptive Windowing, SDM 2007, 443–448, section 3; the window is
// kept as an exponential histogram, section 4, with the variance of Babcock et al., PODS 2003). It needs no baseline
// and no scale, but the bound's second term is made for values of 0 … 1.
//
// It computes what River's ADWIN does. As there, n₀ and n₁ in m are less by min_window_length − 1, and after a change
// the window starts empty. It differs in that it also starts empty after 2³¹ values, and in that a difference of
// less than 1e-9 of the level is none: at large levels, the rounding of the sums exceeds the bound.
//
// Its memory is the number of values in the window, their sum, their sum of squared differences from the mean, and
// the sums of the buckets, the oldest first. How many values are in each follows from the number of all.
//
// Options: delta, the chance of a false alarm at a check, in bound (1e-12 … 0.999, default 0.002); clock, the number
// of reports from check to check (1 … 10,000, default 32); max_buckets, of a size before two are merged (2 … 100,
// default 5); min_window_length, the shortest part looked at (1 … 10,000, default 5); warm_up, the number of reports
// that the window must exceed (River's grace_period; 0 … 10,000, default 10).
type adwin struct {
	delta      float64
	clock      uint32
	maxBuckets int
	shortest   float64
	warmUp     int
}

func newAdwin(given *options, goal Goal) detector {
	return newLatch(view{goal: goal}, &adwin{
		delta:      given.between("delta", 0.002, 1e-12, 0.999),
		clock:      uint32(given.integer("clock", 32, 1, maxWindow)),
		maxBuckets: given.integer("max_buckets", 5, 2, 100),
		shortest:   float64(given.integer("min_window_length", 5, 1, maxWindow)),
		warmUp:     given.integer("warm_up", 10, 0, maxWindow),
	})
}

const (
	adwinHead = 3
	// adwinRows bounds the sizes of buckets; row r has those of 2^r values.
	adwinRows = 31
	adwinMost = 1 << adwinRows
)

// adwinBuckets is how many buckets of each size there are.
type adwinBuckets [adwinRows + 1]int

// rows is those of a window of n values: a row that gets one bucket too many passes two on as one, so that it has
// passed on (n − most + 1)/2 once it has got n > most.
func (d *adwin) rows(n int) (held adwinBuckets, used int) {
	for n > 0 {
		carried := max(0, (n-d.maxBuckets+1)/2)
		held[used] = n - 2*carried
		used++
		n = carried
	}
	return held, used
}

func (d *adwin) room() int {
	// Every row but the last can be full when an update adds one more.
	return adwinHead + adwinRows*d.maxBuckets + 1
}

func (d *adwin) detect(memory []float64, x float64) ([]float64, change) {
	if len(memory) == 0 || memory[0] >= adwinMost {
		memory = append(memory[:0], 0, 0, 0)
	}
	n := memory[0] + 1
	if before := n - 1; before > 0 {
		away := x*before - memory[1]
		memory[2] += away * away / (before * n)
	}
	memory[0], memory[1] = n, memory[1]+x
	memory = d.merge(append(memory, x), int(n))
	if !d.checks(uint32(n)) || int(n) <= d.warmUp {
		return memory, change{}
	}
	c := d.check(memory)
	if c.detected {
		memory = memory[:0]
	}
	return memory, c
}

// checks tells whether it is time to, by a division only where the clock is no power of two.
func (d *adwin) checks(n uint32) bool {
	if d.clock&(d.clock-1) == 0 {
		return n&(d.clock-1) == 0
	}
	return n%d.clock == 0
}

// merge joins the two oldest buckets of each row that the n-th value has made too long.
func (d *adwin) merge(memory []float64, n int) []float64 {
	end := len(memory) // of the row
	for n > d.maxBuckets && (n-d.maxBuckets)&1 == 1 {
		oldest := memory[end-d.maxBuckets-1:]
		oldest[0] += oldest[1]
		for i := 2; i < len(oldest); i++ { // spares the call that copy is
			oldest[i-1] = oldest[i]
		}
		memory = memory[:len(memory)-1]
		end -= d.maxBuckets
		n = (n - d.maxBuckets + 1) >> 1
	}
	return memory
}

func (d *adwin) fits(m []float64) bool {
	if len(m) < adwinHead || !counts(m[0]) || m[0] < 1 || m[0] > adwinMost || !modest(m[1]/m[0]) {
		return false
	}
	if m[2] < 0 || m[2] > 5*extreme*extreme*m[0] {
		return false
	}
	buckets := m[adwinHead:]
	held, used := d.rows(int(m[0]))
	for row := used - 1; row >= 0; row-- {
		if len(buckets) < held[row] {
			return false
		}
		for _, sum := range buckets[:held[row]] {
			if !modest(sum / float64(int(1)<<row)) {
				return false
			}
		}
		buckets = buckets[held[row]:]
	}
	return len(buckets) == 0
}
