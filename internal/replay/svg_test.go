package replay

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// wellFormed reads all of an XML document.
func wellFormed(document []byte) error {
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestDrawingIsWellFormedWhateverComes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := newBundle(t, Options{Charts: 1}, limit(1), []any{
			map[string]any{"metric": "loss", "detector": "rolling_mean", "window": 2.0},
			map[string]any{"metric": "loss", "detector": "cusum", "warm_up": 2.0},
		})
		timed := rapid.Bool().Draw(rt, "timed")
		for i, v := range rapid.SliceOfN(rapid.Float64(), 1, 30).Draw(rt, "values") {
			var at time.Time
			if timed {
				at = begin.Add(time.Duration(i*i) * time.Minute)
			}
			b.report(at, v)
		}
		s := b.end(time.Time{})
		name := rapid.String().Draw(rt, "name")
		s.Chart.Metrics[0].Name = name
		var out bytes.Buffer
		if err := WriteSVG(&out, Drawing{Monitors: []string{name, "b"}, Subjects: []*Subject{s}, Models: 3}); err != nil {
			rt.Fatal(err)
		}
		if err := wellFormed(out.Bytes()); err != nil {
			rt.Fatalf("%v in %s", err, &out)
		}
		if text := out.String(); strings.Contains(text, "NaN") && !strings.Contains(name, "NaN") && !strings.Contains(text, "(NaN)") || strings.Contains(text, "Inf ") {
			rt.Fatal(text)
		}
	})
}

func TestThinningKeepsExtremes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30_000).Draw(t, "n")
		low, high := rapid.IntRange(0, n-1).Draw(t, "low"), rapid.IntRange(0, n-1).Draw(t, "high")
		c := new(Curve)
		for i := range n {
			v := math.Sin(float64(i))
			if i == low {
				v = -7
			}
			if i == high {
				v = 7
			}
			c.add(Place{Report: int64(i + 1)}, v)
		}
		points := c.Points()
		if len(points) > 2*mostBuckets || n <= mostBuckets && len(points) != n {
			t.Fatalf("%d points of %d", len(points), n)
		}
		least, most, last := math.Inf(1), math.Inf(-1), int64(0)
		for _, p := range points {
			if p.Report <= last {
				t.Fatalf("report %d after %d", p.Report, last)
			}
			least, most, last = min(least, p.Value), max(most, p.Value), p.Report
		}
		if most != 7 || low != high && least != -7 {
			t.Fatalf("from %v to %v", least, most)
		}
	})
}

func TestAMissingReferenceBreaksTheCurve(t *testing.T) {
	t.Parallel()
	c := new(Curve)
	for i, v := range []float64{math.NaN(), 1, 2, math.Inf(1), 3} {
		c.add(Place{Report: int64(i + 1)}, v)
	}
	var got []float64
	for _, p := range c.Points() {
		got = append(got, p.Value)
	}
	if len(got) != 5 || !math.IsNaN(got[0]) || got[1] != 1 || got[2] != 2 || !math.IsNaN(got[3]) || got[4] != 3 {
		t.Errorf("%v", got)
	}
}

func TestTicksAreFewAndInside(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := scale{low: math.Inf(1), high: math.Inf(-1), from: 0, to: 100}
		for _, x := range rapid.SliceOfN(rapid.Float64(), 1, 3).Draw(t, "values") {
			s.include(x)
		}
		s.pad()
		for _, tick := range s.ticks() {
			if at := s.at(tick.at); !(at >= -1 && at <= 101) {
				t.Fatalf("%+v of %+v at %v", tick, s, at)
			}
		}
		start := rapid.Int64Range(0, 4e12).Draw(t, "start")
		span := rapid.Int64Range(1, 1e13).Draw(t, "span")
		when := scale{low: float64(start), high: float64(start + span), from: 0, to: 100}
		if n := len(when.times()); n > 3*mostTimes {
			t.Fatalf("%d of %d ms", n, span)
		}
	})
}

func TestScalesDoNotOverflow(t *testing.T) {
	t.Parallel()
	s := scale{low: -math.MaxFloat64, high: math.MaxFloat64, from: 100, to: 0}
	if got := s.at(0); got != 50 {
		t.Errorf("0 is at %v", got)
	}
	if low, high := s.at(s.low), s.at(s.high); low != 100 || high != 0 {
		t.Errorf("the ends are at %v and %v", low, high)
	}
}

func TestALateReportIsDrawnWhereItCame(t *testing.T) {
	t.Parallel()
	c := newChart(1)
	for i, hours := range []int{0, 2, 1, 3} {
		c.begin(i+1, begin.Add(time.Duration(hours)*time.Hour), false)
	}
	last := int64(0)
	for _, p := range c.Bad.Points() {
		if p.Millis < last {
			t.Errorf("report %d lies before the one before it", p.Report)
		}
		last = p.Millis
	}
	if !c.byTime() || c.Last.Millis-c.First.Millis != 3*3600*1000 {
		t.Errorf("from %d to %d", c.First.Millis, c.Last.Millis)
	}
}
