package main

import (
	"fmt"
	"math"
	"strings"
)

// trend is the mean of a column over the second half, and its slope by least squares.
func trend(samples []sample, column int) (mean, perHour float64) {
	half := samples[len(samples)/2:]
	var t, v, tt, tv float64
	for _, s := range half {
		t += s[0]
		v += s[column]
	}
	n := float64(len(half))
	t, v = t/n, v/n
	for _, s := range half {
		tt += (s[0] - t) * (s[0] - t)
		tv += (s[0] - t) * (s[column] - v)
	}
	if tt == 0 {
		return v, 0
	}
	return v, tv / tt * 3600
}

func summarize(samples []sample) string {
	var b strings.Builder
	if len(samples) < 4 {
		return fmt.Sprintf("only %d samples: run it longer\n", len(samples))
	}
	last := samples[len(samples)-1]
	fmt.Fprintf(&b, "%.0f s, %.0f reports and commands published (%.0f/s), %.0f studies, %.0f inputs applied, lag %.0f\n\n",
		last[0], last[1], last[1]/last[0], last[2], last[3], last[4])
	fmt.Fprintf(&b, "%-20s %15s %15s %15s %15s %10s\n", "over the 2nd half", "mean", "smallest", "largest", "slope an hour", "of mean")
	for i := 4; i < len(columns); i++ {
		mean, slope := trend(samples, i)
		low, high := bounds(samples[len(samples)/2:], i)
		relative := "-"
		if mean != 0 {
			relative = fmt.Sprintf("%+.1f%%", 100*slope/mean)
		}
		fmt.Fprintf(&b, "%-20s %15.0f %15.0f %15.0f %+15.0f %10s\n", columns[i], mean, low, high, slope, relative)
	}
	return b.String()
}

func bounds(samples []sample, column int) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, s := range samples {
		low, high = min(low, s[column]), max(high, s[column])
	}
	return low, high
}

// plot draws each column over time, from zero.
func plot(samples []sample) string {
	const width, height, left = 720.0, 90.0, 150.0
	if len(samples) < 2 {
		return `<svg xmlns="http://www.w3.org/2000/svg"/>`
	}
	var b strings.Builder
	rows := len(columns) - 4
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" font-family="sans-serif" font-size="11">`+"\n", left+width+20, float64(rows)*height+30)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="white"/>`)
	end := samples[len(samples)-1][0]
	for row, column := 0, 4; column < len(columns); row, column = row+1, column+1 {
		_, high := bounds(samples, column)
		top, scale := float64(row)*height+10, height-25
		fmt.Fprintf(&b, `<text x="5" y="%g">%s</text><text x="5" y="%g" fill="gray">up to %.4g</text>`+"\n", top+12, columns[column], top+27, high)
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%g" y2="%[3]g" stroke="lightgray"/><polyline fill="none" stroke="steelblue" points="`, left, left+width, top+scale)
		for _, s := range samples {
			fmt.Fprintf(&b, "%.1f,%.1f ", left+width*s[0]/end, top+scale*(1-s[column]/max(high, 1)))
		}
		fmt.Fprintln(&b, `"/>`)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" fill="gray">%.0f s</text></svg>`+"\n", left+width-30, float64(rows)*height+22, end)
	return b.String()
}
