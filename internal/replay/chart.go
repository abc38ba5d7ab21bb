package replay

import (
	"math"
	"time"

	"github.com/visutility/retune/internal/observer"
)

const (
	mostMetrics = 3   // drawn of a model
	mostBuckets = 500 // of a curve; each has at most two points
	mostMarks   = 300 // events drawn of a monitor and model
)

// Chart is the course of one model, as far as it is drawn: its points are thinned such that extremes stay.
type Chart struct {
	Metrics []*Metric
	Marks   [][]Flag // by monitor
	Runs    []*Curve // by monitor: 1 while an episode runs, else 0
	Bad     *Curve   // 1 while the model is bad by the labels
	Hidden  int      // events without a mark
	Timed   bool     // every report so far has a time, and none runs back by it
	First   Place
	Last    Place
}

// Metric is the curves of one metric.
type Metric struct {
	Name   string
	Values *Curve
	Rules  []*Rule
}

// Rule is what one rule of a monitor makes of a metric.
type Rule struct {
	Monitor, Rule int
	Detector      string
	Reference     *Curve
	Limit         *Curve
	Statistic     *Curve
}

// Place is where a report stands: by number and by time, in milliseconds since 1970.
type Place struct{ Report, Millis int64 }

// Flag is an event in a chart.
type Flag struct {
	Place
	Event *Event
}

// Curve is a sequence of values, thinned: each bucket is of `width` reports and has the lowest and the highest of them.
type Curve struct {
	width   int64
	first   int64
	buckets []bucket
}

type bucket struct {
	low, high Point
	points    int  // 0: nothing came
	gap       bool // there was a report without a value
}

// Point is a value at a place. A value that is not a number breaks the curve.
type Point struct {
	Place
	Value float64
}

func newChart(monitors int) *Chart {
	c := &Chart{Marks: make([][]Flag, monitors), Bad: new(Curve), Timed: true}
	for range monitors {
		c.Runs = append(c.Runs, new(Curve))
	}
	return c
}

func (c *Chart) begin(number int, at time.Time, bad bool) {
	now := Place{int64(number), at.UnixMilli()}
	if at.IsZero() {
		c.Timed, now.Millis = false, 0
	}
	if c.First.Report == 0 {
		c.First = now
	}
	now.Millis = max(now.Millis, c.Last.Millis) // a late report is drawn where it came
	if c.Last.Report == 0 {
		now.Millis = c.First.Millis
	}
	c.Last = now
	c.Bad.add(now, indicator(bad))
}

func (c *Chart) end(monitor int, runs bool) { c.Runs[monitor].add(c.Last, indicator(runs)) }

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (c *Chart) event(monitor int, e *Event) {
	if len(c.Marks[monitor]) == mostMarks {
		c.Hidden++
		return
	}
	at := c.Last
	if c.Timed && !e.Time.IsZero() {
		at.Millis = max(at.Millis, e.Time.UnixMilli())
	}
	c.Marks[monitor] = append(c.Marks[monitor], Flag{at, e})
}

func (c *Chart) look(monitor int, views []observer.View) {
	for _, v := range views {
		m := c.metric(v.Metric)
		if m == nil {
			continue
		}
		m.Values.addOnce(c.Last, v.Value)
		r := m.rule(monitor, v)
		r.Reference.add(c.Last, v.Reference)
		r.Limit.add(c.Last, v.Limit)
		r.Statistic.add(c.Last, v.Statistic)
	}
}

func (c *Chart) metric(name string) *Metric {
	for _, m := range c.Metrics {
		if m.Name == name {
			return m
		}
	}
	if len(c.Metrics) == mostMetrics {
		return nil
	}
	m := &Metric{Name: name, Values: new(Curve)}
	c.Metrics = append(c.Metrics, m)
	return m
}

func (m *Metric) rule(monitor int, v observer.View) *Rule {
	for _, r := range m.Rules {
		if r.Monitor == monitor && r.Rule == v.Rule {
			return r
		}
	}
	r := &Rule{Monitor: monitor, Rule: v.Rule, Detector: v.Detector, Reference: new(Curve), Limit: new(Curve), Statistic: new(Curve)}
	m.Rules = append(m.Rules, r)
	return r
}

// addOnce leaves out a value of a report that is there already.
func (c *Curve) addOnce(at Place, value float64) {
	if n := len(c.buckets); n > 0 && c.buckets[n-1].last() >= at.Report {
		return
	}
	c.add(at, value)
}

func (c *Curve) add(at Place, value float64) {
	if len(c.buckets) == 0 {
		c.width, c.first = 1, at.Report
	}
	for (at.Report-c.first)/c.width >= mostBuckets {
		c.widen()
	}
	for int64(len(c.buckets)) <= (at.Report-c.first)/c.width {
		c.buckets = append(c.buckets, bucket{})
	}
	c.buckets[len(c.buckets)-1].add(Point{at, value})
}

// widen makes one bucket of two.
func (c *Curve) widen() {
	kept := c.buckets[:0]
	for i := 0; i < len(c.buckets); i += 2 {
		b := c.buckets[i]
		if i+1 < len(c.buckets) {
			b = b.with(c.buckets[i+1])
		}
		kept = append(kept, b)
	}
	c.buckets, c.width = kept, 2*c.width
}

func (b *bucket) add(p Point) {
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
		b.gap = true
		if b.points == 0 {
			b.high.Place = p.Place
		}
		return
	}
	*b = b.with(bucket{low: p, high: p, points: 1})
}

func (b bucket) with(next bucket) bucket {
	gap := b.gap || next.gap
	switch {
	case next.points == 0:
	case b.points == 0:
		b = next
	default:
		b.points += next.points
		if next.low.Value < b.low.Value {
			b.low = next.low
		}
		if next.high.Value > b.high.Value {
			b.high = next.high
		}
	}
	b.gap = gap
	return b
}

// last is the newest report that the bucket holds.
func (b bucket) last() int64 { return max(b.low.Report, b.high.Report) }

// Points are the curve in order. Between runs of values is one that is not a number, where values were missing for
// a whole bucket.
func (c *Curve) Points() (all []Point) {
	for _, b := range c.buckets {
		switch {
		case b.points == 0 && b.gap:
			all = append(all, Point{Value: math.NaN()})
		case b.points == 0:
		case b.low == b.high:
			all = append(all, b.low)
		case b.low.Report < b.high.Report:
			all = append(all, b.low, b.high)
		default:
			all = append(all, b.high, b.low)
		}
	}
	return all
}

// Spans are the places from and to which the curve is above 0.
func (c *Curve) Spans() (all [][2]Place) {
	open := false
	for _, b := range c.buckets {
		switch {
		case b.points == 0:
		case b.high.Value > 0 && open:
			all[len(all)-1][1] = b.end()
		case b.high.Value > 0:
			all, open = append(all, [2]Place{b.high.Place, b.end()}), true
		default:
			if open {
				all[len(all)-1][1] = b.low.Place // up to the report that ended it
			}
			open = false
		}
	}
	return all
}

// end is the place of the last report above 0 that the bucket is known to have.
func (b bucket) end() Place { return b.high.Place }
