package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// grown is a run in which each column grows by its number a second, after a first half
// that does not count.
func grown() (all []sample) {
	for at := range 40 {
		s := sample{float64(at)}
		for c := 1; c < len(columns); c++ {
			v := 1e6
			if at >= 20 {
				v = 100 + float64(c*at)
			}
			s = append(s, v)
		}
		all = append(all, s)
	}
	return all
}

func TestTrend(t *testing.T) {
	t.Parallel()
	if mean, slope := trend(grown(), 5); math.Abs(mean-247.5) > 1e-9 || math.Abs(slope-5*3600) > 1e-6 {
		t.Errorf("mean %g, slope %g an hour", mean, slope)
	}
}

func TestMetric(t *testing.T) {
	t.Parallel()
	body := []byte("# HELP lag of\nlag{partition=\"0\"} 2\nlag{partition=\"1\"} 3\nlag_more 7\nheap 1.5e+07\n")
	for name, want := range map[string]float64{"lag": 5, "heap": 1.5e7} {
		if v, ok := metric(body, name); !ok || v != want {
			t.Errorf("%s: %g %v, wanted %g", name, v, ok, want)
		}
	}
	if v, ok := metric(body, "la"); ok {
		t.Errorf("there is no metric la, but %g", v)
	}
}

func TestPlotAndSummary(t *testing.T) {
	t.Parallel()
	svg := plot(grown())
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	text := summarize(grown())
	for _, name := range columns[4:] {
		if !strings.Contains(svg, name) || !strings.Contains(text, name) {
			t.Errorf("%s is missing", name)
		}
	}
}
