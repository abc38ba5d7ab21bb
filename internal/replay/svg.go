package replay

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Drawing is what WriteSVG draws.
type Drawing struct {
	Monitors []string   // what the monitors are, for the legend
	Subjects []*Subject // those with a chart are drawn
	Models   int        // how many there are in all
}

// Sizes of the drawing in pixels.
const (
	width                    = 1010.0
	left, right              = 70.0, 985.0
	metricHeight, statHeight = 190.0, 64.0
	flagRoom                 = 16.0 // beside a metric's panel, for the events of a monitor
	mostShare                = 3.0  // of the limit, that a statistic is drawn to
)

// style has hues of Okabe and Ito, which the colour-blind can tell apart, on grounds that are light or dark as the
// reader's screen is.
const style = `<style>
.bg{fill:#fff}text{fill:#333;font:12px sans-serif}.title{font-weight:bold;font-size:14px}.dim{fill:#777;font-size:11px}
.box{fill:none;stroke:#999}.grid{stroke:#888;stroke-opacity:.25}.bad{fill:#d55e00;fill-opacity:.13}
.value{fill:none;stroke:#555;stroke-width:1.2}.dot{fill:#555}
.m0{stroke:#0072b2;fill:none}.m1{stroke:#d55e00;fill:none}.f0{fill:#0072b2}.f1{fill:#d55e00}
.ref{stroke-width:1.8}.limit{stroke-width:1.2;stroke-dasharray:5 3}.stat{stroke-width:1.2}.one{stroke:#777;stroke-dasharray:2 3}
@media (prefers-color-scheme:dark){.bg{fill:#16181d}text{fill:#ddd}.dim{fill:#999}.value{stroke:#bbb}.dot{fill:#bbb}
.m0{stroke:#56b4e9}.m1{stroke:#e69f00}.f0{fill:#56b4e9}.f1{fill:#e69f00}.bad{fill:#e69f00}}
</style>`

// WriteSVG draws, for each model with a chart, its metrics with what the monitors compare them with, and below what
// they compute of them as a share of the limit.
func WriteSVG(w io.Writer, d Drawing) error {
	c := &canvas{y: 34}
	for i, name := range d.Monitors {
		c.legend(i, name)
	}
	drawn := 0
	for _, s := range d.Subjects {
		if s.Chart != nil && s.Chart.First.Report > 0 {
			c.subject(s)
			drawn++
		}
	}
	if d.Models > drawn {
		c.text(left, c.y, "start", "dim", fmt.Sprintf("the first %d of %d models are drawn", drawn, d.Models))
		c.y += 20
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">
%s
<rect class="bg" width="100%%" height="100%%"/>
%s</svg>
`, width, c.y, width, c.y, style, &c.body)
	return err
}

// canvas is drawn from top to bottom.
type canvas struct {
	body   bytes.Buffer
	y      float64
	panels int
	across scale
	place  func(Place) float64
}

func (c *canvas) legend(i int, name string) {
	x, m := left, fmt.Sprintf("m%d", i)
	c.flag(x+6, c.y-5, i, "")
	c.line(x+24, c.y-4, x+48, c.y-4, m+" ref")
	c.text(x+54, c.y, "start", "", "reference")
	c.line(x+116, c.y-4, x+140, c.y-4, m+" limit")
	c.text(x+146, c.y, "start", "", "limit")
	c.text(x+190, c.y, "start", "", name)
	c.y += 20
}

func (c *canvas) subject(s *Subject) {
	c.y += 14
	c.text(left, c.y, "start", "title", s.Model)
	c.text(right, c.y, "end", "dim", c.told(s))
	c.y += 8
	c.lay(s.Chart)
	for _, m := range s.Chart.Metrics {
		c.metric(s.Chart, m)
	}
	if len(s.Chart.Metrics) == 0 {
		c.text(left, c.y+16, "start", "dim", "no report has a metric that is watched")
		c.y += 24
	}
	c.statistics(s.Chart)
	c.places(s.Chart)
}

func (c *canvas) told(s *Subject) string {
	parts := []string{fmt.Sprintf("%d reports", s.Reports)}
	for _, j := range s.Judges {
		parts = append(parts, fmt.Sprintf("%s: %d events", j.Name, j.Events))
	}
	if s.Chart.Hidden > 0 {
		parts = append(parts, fmt.Sprintf("%d of them not drawn", s.Chart.Hidden))
	}
	return strings.Join(parts, " · ")
}

// lay chooses time for the axis where every report has one and it passes, else numbers.
func (c *canvas) lay(chart *Chart) {
	c.place = func(p Place) float64 { return float64(p.Report) }
	if chart.byTime() {
		c.place = func(p Place) float64 { return float64(p.Millis) }
	}
	c.across = scale{c.place(chart.First), c.place(chart.Last), left, right}
	for _, flags := range chart.Marks {
		for _, f := range flags {
			c.across.include(c.place(f.Place)) // a silence may be told after the last report
		}
	}
}

func (c *Chart) byTime() bool { return c.Timed && c.Last.Millis > c.First.Millis }

func (c *canvas) x(p Place) float64 { return c.across.at(c.place(p)) }

func (c *canvas) metric(chart *Chart, m *Metric) {
	above := flagRoom * float64(len(chart.Marks))
	top := c.y + above
	up := scale{math.Inf(1), math.Inf(-1), top + metricHeight, top}
	up = m.within(up)
	c.spans(chart.Bad, top, metricHeight, "bad")
	c.frame(top, metricHeight, up.ticks(), up)
	c.clip(top, metricHeight, func() {
		c.curve(m.Values, up, "value")
		for _, r := range m.Rules {
			c.curve(r.Limit, up, fmt.Sprintf("m%d limit", r.Monitor))
			c.curve(r.Reference, up, fmt.Sprintf("m%d ref", r.Monitor))
		}
	})
	c.note(left+6, top+15, m.Name)
	for i, flags := range chart.Marks {
		row := c.y + flagRoom*float64(i) + flagRoom/2 + 2
		c.spans(chart.Runs[i], row+4, 4, fmt.Sprintf("f%d", i))
		for _, f := range flags {
			if f.Event.Finding.Metric == m.Name || f.Event.Finding.Metric == "" {
				c.flag(c.x(f.Place), row, i, f.title())
			}
		}
	}
	c.y = top + metricHeight + 10
}

// within shows all values and references, and limits as far as they are near.
func (m *Metric) within(up scale) scale {
	for _, p := range m.Values.Points() {
		up.include(p.Value)
	}
	near := up
	near.pad()
	room := near.high/2 - near.low/2
	for _, r := range m.Rules {
		for _, p := range append(r.Reference.Points(), r.Limit.Points()...) {
			if p.Value > near.low-room && p.Value < near.high+room {
				up.include(p.Value)
			}
		}
	}
	up.pad()
	return up
}

func (f Flag) title() string {
	e := f.Event
	return fmt.Sprintf("%s: report %d, %s", e.Monitor, e.Report, e.Finding.Reason)
}

func (c *canvas) statistics(chart *Chart) {
	top := c.y + 10
	up := scale{0, 1.25, top + statHeight, top}
	some := false
	for _, m := range chart.Metrics {
		for _, r := range m.Rules {
			for _, p := range r.Statistic.Points() {
				up.include(min(p.Value, mostShare))
				some = some || p.Value > 0
			}
		}
	}
	if !some {
		return
	}
	c.text(left+6, top-4, "start", "dim", "statistic as a share of its limit")
	c.frame(top, statHeight, []tick{{0, "0"}, {1, "limit"}}, up)
	c.line(left, up.at(1), right, up.at(1), "one")
	c.clip(top, statHeight, func() {
		for _, m := range chart.Metrics {
			for _, r := range m.Rules {
				c.curve(r.Statistic, up, fmt.Sprintf("m%d stat", r.Monitor))
			}
		}
	})
	c.y = top + statHeight + 4
}

func (c *canvas) places(chart *Chart) {
	ticks, what := c.across.ticks(), "report"
	if chart.byTime() {
		ticks, what = c.across.times(), "UTC"
	}
	c.text(left-6, c.y+12, "end", "dim", what)
	for _, t := range ticks {
		c.line(c.across.at(t.at), c.y-4, c.across.at(t.at), c.y, "box")
		c.text(c.across.at(t.at), c.y+12, "middle", "dim", t.text)
	}
	c.y += 26
}

func (c *canvas) frame(top, height float64, ticks []tick, up scale) {
	for _, t := range ticks {
		c.line(left, up.at(t.at), right, up.at(t.at), "grid")
		c.text(left-6, up.at(t.at)+4, "end", "dim", t.text)
	}
	fmt.Fprintf(&c.body, `<rect class="box" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", left, top, right-left, height)
}

func (c *canvas) clip(top, height float64, draw func()) {
	c.panels++
	fmt.Fprintf(&c.body, `<clipPath id="p%d"><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/></clipPath><g clip-path="url(#p%d)">`+"\n",
		c.panels, left, top, right-left, height, c.panels)
	draw()
	c.body.WriteString("</g>\n")
}

// curve draws what is finite; a lone value is a dot.
func (c *canvas) curve(k *Curve, up scale, class string) {
	var path strings.Builder
	points := k.Points()
	pen := "M"
	for i, p := range points {
		if math.IsNaN(p.Value) {
			pen = "M"
			continue
		}
		x, y := c.x(p.Place), min(max(up.at(p.Value), -1e4), 1e4)
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, x, y)
		if pen == "M" && (i+1 == len(points) || math.IsNaN(points[i+1].Value)) {
			path.WriteString("h0.1")
		}
		pen = "L"
	}
	if path.Len() > 0 {
		fmt.Fprintf(&c.body, `<path class="%s" d="%s"/>`+"\n", class, &path)
	}
}

func (c *canvas) spans(k *Curve, top, height float64, class string) {
	for _, s := range k.Spans() {
		from, to := c.x(s[0]), c.x(s[1])
		fmt.Fprintf(&c.body, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", class, from, top, max(to-from, 1), height)
	}
}

// flag marks an event: a triangle that points down for one monitor, up for the other.
func (c *canvas) flag(x, y float64, monitor int, title string) {
	shape := "l10 0l-5 8z"
	if monitor == 1 {
		shape = "m0 8l10 0l-5 -8z"
	}
	if title != "" {
		title = "<title>" + escape(title) + "</title>"
	}
	fmt.Fprintf(&c.body, `<path class="f%d" d="M%.1f %.1f%s">%s</path>`+"\n", monitor, x-5, y-6, shape, title)
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.body, `<path class="%s" d="M%.1f %.1fL%.1f %.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (c *canvas) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(&c.body, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, escape(text))
}

// note is readable on top of what is drawn.
func (c *canvas) note(x, y float64, text string) {
	fmt.Fprintf(&c.body, `<rect class="bg" fill-opacity=".8" x="%.1f" y="%.1f" width="%d" height="15"/>`+"\n", x-3, y-11, 7*utf8.RuneCountInString(text)+6)
	c.text(x, y, "start", "dim", text)
}

// escape also leaves out what XML cannot have: names of metrics may be any bytes.
func escape(text string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, text))
}
