package replay

import (
	"fmt"
	"math"
	"time"
)

// scale maps values to pixels.
type scale struct{ low, high, from, to float64 }

// at works on halves, as the difference of two finite numbers may overflow.
func (s scale) at(x float64) float64 {
	room := s.high/2 - s.low/2
	if room <= 0 {
		return (s.from + s.to) / 2
	}
	return s.from + (s.to-s.from)*((x/2-s.low/2)/room)
}

// include widens the scale to what it has to show.
func (s *scale) include(x float64) {
	if !math.IsNaN(x) && !math.IsInf(x, 0) {
		s.low, s.high = min(s.low, x), max(s.high, x)
	}
}

// pad leaves a little room at both ends, and some where there is but one value.
func (s *scale) pad() {
	if s.low > s.high {
		s.low, s.high = 0, 1
	}
	room := s.high/2 - s.low/2
	if room == 0 {
		room = math.Max(math.Abs(s.low), 1e-300) / 10
	}
	s.low = max(s.low-room/8, -math.MaxFloat64)
	s.high = min(s.high+room/8, math.MaxFloat64)
}

// tick is a labelled place on an axis.
type tick struct {
	at   float64
	text string
}

// ticks are some five multiples of 1, 2 or 5 times a power of ten.
func (s scale) ticks() (all []tick) {
	step := math.Pow(10, math.Floor(math.Log10(s.high/2-s.low/2)))
	for _, factor := range []float64{0.2, 0.5, 1, 2, 5} {
		if (s.high/2-s.low/2)/(step*factor) <= 3 {
			step *= factor
			break
		}
	}
	if step == 0 || math.IsInf(step, 0) || math.IsNaN(step) {
		return nil
	}
	for i := math.Ceil(s.low / step); i*step <= s.high && len(all) < 12; i++ {
		all = append(all, tick{i * step, fmt.Sprintf("%.6g", i*step+0)}) // -0 is 0
	}
	return all
}

// steps of the axis of time.
var steps = []struct {
	step   time.Duration
	format string
}{
	{time.Second, "15:04:05"}, {5 * time.Second, "15:04:05"}, {15 * time.Second, "15:04:05"}, {time.Minute, "15:04"},
	{5 * time.Minute, "15:04"}, {15 * time.Minute, "15:04"}, {time.Hour, "15:04"}, {3 * time.Hour, "Jan 2 15:04"},
	{12 * time.Hour, "Jan 2 15:04"}, {24 * time.Hour, "2006-01-02"}, {7 * 24 * time.Hour, "2006-01-02"},
}

const mostTimes = 7

// times are ticks of a scale of milliseconds since 1970, UTC.
func (s scale) times() []tick {
	span := time.Duration(min((s.high-s.low)*1e6, math.MaxInt64/2))
	for _, c := range steps {
		if span/c.step < mostTimes {
			return s.regular(c.step, c.format)
		}
	}
	return s.months()
}

func (s scale) regular(step time.Duration, format string) (all []tick) {
	at := time.UnixMilli(int64(s.low)).UTC().Truncate(step)
	for ; float64(at.UnixMilli()) <= s.high; at = at.Add(step) {
		if x := float64(at.UnixMilli()); x >= s.low {
			all = append(all, tick{x, at.Format(format)})
		}
	}
	return all
}

func (s scale) months() (all []tick) {
	first, last := time.UnixMilli(int64(s.low)).UTC(), time.UnixMilli(int64(s.high)).UTC()
	months := (last.Year()-first.Year())*12 + int(last.Month()) - int(first.Month())
	step := 1
	for _, c := range []int{2, 3, 6, 12, 24, 60, 120, 600, 1200, 12000} {
		if months/step >= mostTimes {
			step = c
		}
	}
	at := time.Date(first.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	for ; !at.After(last) && len(all) < 3*mostTimes; at = at.AddDate(0, step, 0) {
		if x := float64(at.UnixMilli()); x >= s.low {
			all = append(all, tick{x, at.Format("2006-01")})
		}
	}
	return all
}
