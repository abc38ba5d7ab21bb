package main

import (
	"math"
	"slices"
)

// cell is what one detector is judged on: a kind of stream and a change.
type cell struct{ detector, kind, change string }

// settings are what all rows of a comparison have in common.
type settings struct {
	horizon, healthy, within, warmUp int
	mean, sd                         float64
	seed                             uint64
}

// tally is what came of the streams of a cell. Times are in reports. On healthy streams they begin with the stream and
// end at the first alarm, or at the horizon. On others they begin with the change (an alarm on the first changed report
// has time 1) and end at the first alarm or with the stream; streams with an alarm before the change are left out.
type tally struct {
	cell
	streams       int
	leftOut       int     // had an alarm before the change
	alarms        int     // streams with an alarm in time
	early         int     // healthy streams with an alarm in the first 100 reports after the warm-up, or before
	time          float64 // sum over all streams that are not left out, and of its square
	timeSquared   float64
	caught        float64 // sum over those with an alarm, and of its square
	caughtSquared float64
	median        estimate // +Inf where it lies beyond the end
}

// earlyReports is how long after the warm-up an alarm counts as early.
const earlyReports = 100

// newTally counts first alarms, numbered from 1 from the beginning of their stream; 0: none.
func newTally(c cell, healthyStream bool, firsts []int, s settings) tally {
	t := tally{cell: c, streams: len(firsts)}
	skip, end := s.healthy, s.within
	if healthyStream {
		skip, end = 0, s.horizon
	}
	var times []float64
	for _, first := range firsts {
		if first > 0 && first <= skip {
			t.leftOut++
			continue
		}
		if healthyStream && first > 0 && first <= s.warmUp+earlyReports {
			t.early++
		}
		times = append(times, t.add(first-skip, end))
	}
	t.median = medianInterval(times)
	return t
}

// add counts a stream; time is not positive without an alarm. It returns the time, +Inf without an alarm.
func (t *tally) add(time, end int) float64 {
	x := float64(time)
	if time > 0 {
		t.alarms++
		t.caught += x
		t.caughtSquared += x * x
	} else {
		x = float64(end)
	}
	t.time += x
	t.timeSquared += x * x
	if time <= 0 {
		return math.Inf(1)
	}
	return x
}

// judged is the number of streams that are not left out.
func (t *tally) judged() int { return t.streams - t.leftOut }

// estimate is a figure with its 95 % interval.
type estimate struct{ mean, low, high float64 }

// normal95 is the 97.5 % point of the normal distribution.
const normal95 = 1.959964

// runLength is reports at risk ÷ first alarms, the maximum likelihood estimate of the mean of run lengths that are
// exponential and censored (Lawless, "Statistical Models and Methods for Lifetime Data", 2003, section 4.1). The
// interval is that of a ratio of means over streams, on the logarithm, and does not need them to be exponential.
// Without an alarm it is infinite, from what no alarm in so many reports leaves likely (the rule of three).
func (t *tally) runLength() estimate {
	if t.alarms == 0 {
		return estimate{math.Inf(1), t.time / 3, math.Inf(1)}
	}
	n := float64(t.alarms)
	ratio := t.time / n
	return around(ratio, math.Sqrt(t.timeSquared-2*ratio*t.caught+ratio*ratio*n)/t.time)
}

// delay is the mean time to the alarm over streams with one.
func (t *tally) delay() estimate { return meanOf(t.caught, t.caughtSquared, t.alarms) }

// bounded is the mean time with that of missed changes taken as the whole time after the change.
func (t *tally) bounded() estimate { return meanOf(t.time, t.timeSquared, t.judged()) }

// missed is the share of changes without an alarm.
func (t *tally) missed() estimate { return share(t.judged()-t.alarms, t.judged()) }

func meanOf(sum, squares float64, count int) estimate {
	n := float64(count)
	mean := sum / n
	half := normal95 * math.Sqrt(max(squares/n-mean*mean, 0)/(n-1))
	return estimate{mean, mean - half, mean + half}
}

// around is the interval of a positive figure from the standard error of its logarithm.
func around(mean, logError float64) estimate {
	factor := math.Exp(normal95 * logError)
	return estimate{mean, mean / factor, mean * factor}
}

// share is a proportion with Wilson's interval (1927).
func share(count, of int) estimate {
	n, z := float64(of), normal95
	p := float64(count) / n
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	e := estimate{p, middle - half, middle + half}
	if count == 0 {
		e.low = 0 // rounding aside
	}
	if count == of {
		e.high = 1
	}
	return e
}

// medianInterval is the median with the order statistics that hold it with 95 % (Conover, 1999, section 3.2).
func medianInterval(values []float64) estimate {
	n := len(values)
	if n == 0 {
		return estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(values)
	half := normal95 * math.Sqrt(float64(n)) / 2
	at := func(rank float64) float64 { return values[min(max(int(rank), 0), n-1)] }
	middle := values[n/2]
	if n%2 == 0 && values[n/2-1] != middle {
		middle = (middle + values[n/2-1]) / 2
	}
	return estimate{middle, at(float64(n)/2 - half), at(float64(n)/2 + half)}
}
