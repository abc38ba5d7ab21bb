package observer

import (
	"math"
	"slices"
)

// momentary is a change detector as the literature has it: it speaks at the one value at which it finds a change, and
// starts over. It sees values as a view makes them: the larger is the worse, and all are within ±extreme.
type momentary interface {
	// room is how many numbers its memory takes at most.
	room() int
	// detect takes the next value; the memory is empty at the start and after every change. It has room, and is returned
	// in the same array.
	detect(memory []float64, x float64) ([]float64, change)
	// fits is as of a detector; never asked of an empty memory, which always fits.
	fits(memory []float64) bool
}

// change is what a momentary detector thinks of a value. Of one that is no change only warned and statistic count.
type change struct {
	detected      bool
	warned        bool
	before, after float64 // the levels on either side of the change
	sd            float64 // of single values, without the change
	statistic     float64 // as in verdict
	reports       int     // as in verdict
}

// recovery is the weight of the newest value in the mean that ends a degradation.
const recovery = 0.1

// latch makes a condition of momentary changes. A change for the worse begins it; what was the level before it is the
// reference. It lasts until the exponentially weighted mean of the values since (weight 0.1, begun at the new level)
// is better than the midpoint between the two levels. Other changes meanwhile do not move reference or midpoint:
// a second step down must not make the first one normal.
//
// Its memory is that of latched, followed by the momentary detector's.
type latch struct {
	view view
	raw  momentary
	room int // of all of the memory
}

// latched is the memory of a latch. It holds no reports while nothing is degraded.
type latched struct{ reports, reference, midpoint, level, sd float64 }

const latchSize = 5

// belowOne keeps the statistic of what is not degraded below 1, which some tests reach without firing.
const belowOne = 1 - 1.0/(1<<53)

func newLatch(v view, raw momentary) *latch { return &latch{v, raw, latchSize + raw.room()} }

func (d *latch) fresh() []float64 { return make([]float64, 0, d.room) }

func (d *latch) update(memory []float64, value float64) ([]float64, verdict) {
	if len(memory) == 0 {
		memory = append(memory, 0, 0, 0, 0, 0)
	}
	if cap(memory) < d.room {
		memory = slices.Grow(memory, d.room-len(memory))
	}
	x := d.view.see(value)
	raw, c := d.raw.detect(memory[latchSize:], x)
	memory = memory[:latchSize+len(raw)] // where raw lies, as there was room for it
	if memory[0] == 0 && !c.detected {
		return memory, verdict{limit: math.NaN(), statistic: min(c.statistic, belowOne)}
	}
	s := loadLatched(memory).next(x, c)
	memory[0], memory[1], memory[2], memory[3], memory[4] = s.reports, s.reference, s.midpoint, s.level, s.sd
	return memory, d.verdict(s)
}

func (d *latch) fits(memory []float64) bool {
	if len(memory) <= latchSize {
		return len(memory) == 0 || len(memory) == latchSize && loadLatched(memory).sound()
	}
	return loadLatched(memory).sound() && d.raw.fits(memory[latchSize:])
}

func loadLatched(m []float64) latched { return latched{m[0], m[1], m[2], m[3], m[4]} }

func (s latched) sound() bool {
	if s.reports == 0 {
		return s == latched{}
	}
	return counts(s.reports) && modest(s.reference) && modest(s.level) && s.sd > 0 && s.sd <= 3*extreme &&
		s.reference <= s.midpoint && s.midpoint <= s.level
}

func (s latched) next(x float64, c change) latched {
	switch {
	case s.reports > 0:
		s.reports++
		s.level += recovery * (x - s.level)
		if s.level < s.midpoint {
			return latched{}
		}
	case c.detected && c.after > c.before:
		before, after := bounded(c.before), bounded(c.after)
		return latched{float64(max(c.reports, 1)), before, before + (after-before)/2, after, floored(bounded(c.sd), before)}
	}
	return s
}

func (d *latch) verdict(s latched) verdict {
	if s.reports == 0 {
		return verdict{limit: math.NaN()}
	}
	return verdict{
		degraded:   true,
		reference:  d.view.back(s.reference),
		deviations: (s.level - s.reference) / s.sd,
		limit:      d.view.back(s.midpoint),
		statistic:  share(s.level-s.reference, s.midpoint-s.reference),
		reports:    int(s.reports),
	}
}
