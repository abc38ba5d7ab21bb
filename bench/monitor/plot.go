package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Sizes of the plot in pixels.
const (
	panelWidth, panelHeight = 420.0, 320.0
	marginLeft, marginTop   = 60.0, 40.0
	legendWidth             = 230.0
	panelsInRow             = 3
)

// point is a detector on a kind of stream: logarithms, base 10, of ARL0 and delay.
type point struct {
	detector        string
	quiet, delay    float64
	quietIsAtLeast  bool
	low, high       float64 // interval of quiet
	bottom, topmost float64 // interval of delay
}

// writePlot draws, for each kind of stream, the delay at one change against ARL0, both logarithmic, as SVG. Ours are
// discs, River's squares; a triangle has had no false alarm, so that it lies further to the right. Missed changes
// count with the whole time after the change, as a detector that misses most would look quick otherwise.
func writePlot(w io.Writer, v *view) error {
	if len(v.changes) == 0 {
		_, err := io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg"/>`)
		return err
	}
	shown := v.changes[0]
	if usual := (change{size: 1}).String(); slices.Contains(v.changes, usual) {
		shown = usual
	}
	columns := min(len(v.kinds), panelsInRow)
	rows := (len(v.kinds) + panelsInRow - 1) / panelsInRow
	width := float64(columns)*(panelWidth+marginLeft) + legendWidth
	height := max(float64(rows)*(panelHeight+2*marginTop), marginTop+18*float64(len(v.detectors)+1))
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="white"/>`)
	for i, k := range v.kinds {
		p := newPanel(&b, v, k, shown)
		p.left = marginLeft + float64(i%panelsInRow)*(panelWidth+marginLeft)
		p.top = marginTop + float64(i/panelsInRow)*(panelHeight+2*marginTop)
		p.draw(v.detectors, fmt.Sprintf("%s: delay of %s by ARL0", k, shown))
	}
	for i, d := range v.detectors {
		x, y := width-legendWidth+10, marginTop+10+18*float64(i)
		mark(&b, x, y, v.detectors, d, false)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f">%s</text>`+"\n", x+12, y+4, escape(d))
	}
	fmt.Fprintln(&b, "</svg>")
	_, err := w.Write(b.Bytes())
	return err
}

// panel is the drawing of one kind of stream.
type panel struct {
	out       *bytes.Buffer
	left, top float64
	points    []point
	x, y      axis
}

// axis is logarithmic.
type axis struct{ low, high float64 }

func newPanel(out *bytes.Buffer, v *view, kind, change string) *panel {
	p := &panel{out: out, x: axis{math.Inf(1), math.Inf(-1)}, y: axis{math.Inf(1), math.Inf(-1)}}
	for _, d := range v.detectors {
		healthy, judged := v.rows[cell{d, kind, none}]
		changed, both := v.rows[cell{d, kind, change}]
		if !judged || !both || changed.judged() < 2 {
			continue
		}
		quiet, delay := healthy.runLength(), changed.bounded()
		at := point{detector: d, delay: math.Log10(delay.mean), bottom: math.Log10(max(delay.low, 1)), topmost: math.Log10(delay.high)}
		if at.quietIsAtLeast = math.IsInf(quiet.mean, 1); at.quietIsAtLeast {
			quiet = estimate{quiet.low, quiet.low, quiet.low}
		}
		at.quiet, at.low, at.high = math.Log10(quiet.mean), math.Log10(quiet.low), math.Log10(quiet.high)
		p.points = append(p.points, at)
		p.x.include(at.quiet)
		p.y.include(at.delay)
	}
	return p
}

func (a *axis) include(x float64) {
	a.low, a.high = min(a.low, x-0.1), max(a.high, x+0.1)
}

// share is where x lies on the axis, from 0 to 1.
func (a axis) share(x float64) float64 {
	return min(max((x-a.low)/(a.high-a.low), 0), 1)
}

// ticks are the powers of ten, on a short axis also 2 and 5 times these.
func (a axis) ticks() (all []float64) {
	steps := []float64{1, 2, 5}
	if a.high-a.low > 2 {
		steps = steps[:1]
	}
	for e := math.Floor(a.low); e <= a.high; e++ {
		for _, m := range steps {
			if x := e + math.Log10(m); x >= a.low && x <= a.high {
				all = append(all, x)
			}
		}
	}
	return all
}

func tick(x float64) string { return strconv.FormatFloat(math.Round(math.Pow(10, x)), 'f', -1, 64) }

func (p *panel) across(x float64) float64 { return p.left + panelWidth*p.x.share(x) }

func (p *panel) down(y float64) float64 { return p.top + panelHeight*(1-p.y.share(y)) }

func (p *panel) draw(detectors []string, title string) {
	fmt.Fprintf(p.out, `<rect x="%.1f" y="%.1f" width="%.0f" height="%.0f" fill="none" stroke="#888"/>`+"\n", p.left, p.top, panelWidth, panelHeight)
	p.text(p.left+panelWidth/2, p.top-12, "middle", title)
	if len(p.points) == 0 {
		return
	}
	for _, x := range p.x.ticks() {
		p.line(p.across(x), p.top, p.across(x), p.top+panelHeight, "#eee")
		p.text(p.across(x), p.top+panelHeight+16, "middle", tick(x))
	}
	for _, y := range p.y.ticks() {
		p.line(p.left, p.down(y), p.left+panelWidth, p.down(y), "#eee")
		p.text(p.left-6, p.down(y)+4, "end", tick(y))
	}
	p.connect(detectors)
	for _, at := range p.points {
		colour := colourOf(detectors, at.detector)
		p.label(at, colour)
		p.line(p.across(at.low), p.down(at.delay), p.across(at.high), p.down(at.delay), colour)
		p.line(p.across(at.quiet), p.down(at.bottom), p.across(at.quiet), p.down(at.topmost), colour)
		mark(p.out, p.across(at.quiet), p.down(at.delay), detectors, at.detector, at.quietIsAtLeast)
	}
}

// connect joins one detector of ours with several options, such as auto with several rates of false alarms.
func (p *panel) connect(detectors []string) {
	latest := map[string]point{}
	for _, at := range p.points {
		if strings.HasPrefix(at.detector, riverPrefix) {
			continue
		}
		name := baseName(at.detector)
		if before, several := latest[name]; several {
			p.line(p.across(before.quiet), p.down(before.delay), p.across(at.quiet), p.down(at.delay), colourOf(detectors, at.detector))
		}
		latest[name] = at
	}
}

// label stands above the mark of ours, below that of River's, which may lie at the same place.
func (p *panel) label(at point, colour string) {
	x, y := p.across(at.quiet)+8, p.down(at.delay)-6
	if strings.HasPrefix(at.detector, riverPrefix) {
		y += 20
	}
	anchor := "start"
	if p.x.share(at.quiet) > 0.7 {
		x, anchor = x-16, "end"
	}
	fmt.Fprintf(p.out, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="9" fill="%s">%s</text>`+"\n", x, y, anchor, colour, escape(at.detector))
}

func (p *panel) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(p.out, `<path d="M%.1f %.1fL%.1f %.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
}

func (p *panel) text(x, y float64, anchor, text string) {
	fmt.Fprintf(p.out, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, escape(text))
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// mark is a disc for ours, an open square for River's; a triangle that points on where ARL0 is larger than shown.
func mark(out io.Writer, x, y float64, detectors []string, detector string, atLeast bool) {
	colour, size := colourOf(detectors, detector), 5.0
	style := fmt.Sprintf(`fill="%s"`, colour)
	if strings.HasPrefix(detector, riverPrefix) {
		size, style = 6.5, fmt.Sprintf(`fill="none" stroke="%s" stroke-width="1.5"`, colour)
	}
	switch {
	case atLeast:
		fmt.Fprintf(out, `<path d="M%.1f %.1fv%.1fl%.1f %.1fz" %s/>`+"\n", x-size, y-size, 2*size, 1.6*size, -size, style)
	case size > 5:
		fmt.Fprintf(out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s/>`+"\n", x-size, y-size, 2*size, 2*size, style)
	default:
		fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="%.1f" %s/>`+"\n", x, y, size, style)
	}
}

// colourOf gives namesakes, of ours and River's or with other options, the same colour: as many hues as there are names.
func colourOf(detectors []string, detector string) string {
	var names []string
	for _, d := range detectors {
		names = appendNew(names, baseName(d))
	}
	i := slices.Index(names, baseName(detector))
	return fmt.Sprintf("hsl(%d,70%%,%d%%)", 360*i/len(names), 35+10*(i%2))
}
