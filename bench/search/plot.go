package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Sizes of the plot in pixels.
const (
	panelWidth, panelHeight = 420.0, 320.0
	marginLeft, marginTop   = 60.0, 40.0
	legendWidth             = 210.0
)

// panel is the drawing of one parallel mode.
type panel struct {
	out          *bytes.Buffer
	left         float64
	first, last  float64 // log10 of the number of trials
	least, most  float64 // mean log10 regret
	lines        map[string][]point
	trialBudgets []int
}

type point struct{ trials, regret float64 } // logarithms, base 10

// writePlot draws the mean log10 regret against the number of trials as SVG: a panel for each parallel
// mode, a line for each optimiser, Optuna's dashed.
func writePlot(w io.Writer, v *view) error {
	var b bytes.Buffer
	width := legendWidth + float64(len(v.parallel))*(panelWidth+marginLeft)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">`+"\n", width, panelHeight+2*marginTop)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="white"/>`)
	for i, parallel := range v.parallel {
		p := newPanel(&b, v, parallel)
		p.left = marginLeft + float64(i)*(panelWidth+marginLeft)
		p.draw(v.optimisers, fmt.Sprintf("%d in parallel", parallel))
	}
	for i, o := range v.optimisers {
		y := marginTop + 10 + 18*float64(i)
		x := width - legendWidth + 10
		fmt.Fprintf(&b, `<path d="M%.0f %.0fh24" %s/><text x="%.0f" y="%.0f">%s</text>`+"\n", x, y, stroke(v.optimisers, o), x+30, y+4, escape(o))
	}
	fmt.Fprintln(&b, "</svg>")
	_, err := w.Write(b.Bytes())
	return err
}

func newPanel(out *bytes.Buffer, v *view, parallel int) *panel {
	p := &panel{out: out, lines: map[string][]point{}, least: math.Inf(1), most: math.Inf(-1)}
	budgets := slices.Sorted(slices.Values(slices.Concat(checkpoints, v.budgets)))
	for _, budget := range slices.Compact(budgets) {
		c := cell{parallel, budget}
		present := v.present(c, v.optimisers)
		blocks := v.blocks(c, present)
		if len(present) == 0 || len(blocks) == 0 {
			continue
		}
		p.trialBudgets = append(p.trialBudgets, budget)
		for i, o := range present {
			_, logs := column(blocks, func(regrets []float64) float64 { return logRegret(regrets[i]) })
			mean := bootstrap(logs).mean
			p.lines[o] = append(p.lines[o], point{math.Log10(float64(budget)), mean})
			p.least, p.most = min(p.least, mean), max(p.most, mean)
		}
	}
	if n := len(p.trialBudgets); n > 0 {
		p.first, p.last = math.Log10(float64(p.trialBudgets[0])), math.Log10(float64(p.trialBudgets[n-1]))
	}
	return p
}

func (p *panel) x(trials float64) float64 {
	return p.left + panelWidth*(trials-p.first)/max(p.last-p.first, 1e-9)
}

func (p *panel) y(regret float64) float64 {
	return marginTop + panelHeight*(p.most-regret)/max(p.most-p.least, 1e-9)
}

func (p *panel) draw(optimisers []string, title string) {
	fmt.Fprintf(p.out, `<rect x="%.1f" y="%.1f" width="%.0f" height="%.0f" fill="none" stroke="#888"/>`+"\n", p.left, marginTop, panelWidth, panelHeight)
	p.text(p.left+panelWidth/2, marginTop-12, title+": mean log10 regret by trials")
	for _, budget := range p.trialBudgets {
		p.text(p.x(math.Log10(float64(budget))), marginTop+panelHeight+16, fmt.Sprint(budget))
	}
	for i := range 6 {
		regret := p.least + (p.most-p.least)*float64(i)/5
		if len(p.lines) > 0 {
			p.text(p.left-24, p.y(regret)+4, fmt.Sprintf("%.2f", regret))
		}
	}
	for _, o := range optimisers {
		if len(p.lines[o]) == 0 {
			continue
		}
		var path strings.Builder
		for i, at := range p.lines[o] {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], p.x(at.trials), p.y(at.regret))
		}
		fmt.Fprintf(p.out, `<path d="%s" %s/>`+"\n", path.String(), stroke(optimisers, o))
	}
}

func (p *panel) text(x, y float64, text string) {
	fmt.Fprintf(p.out, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", x, y, escape(text))
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// palette is that of Okabe and Ito, which the colour-blind can tell apart.
var palette = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9"}

// stroke gives namesakes the same colour.
func stroke(optimisers []string, optimiser string) string {
	dashes := ""
	for _, pair := range pairs(optimisers) {
		if pair[1] == optimiser {
			optimiser, dashes = pair[0], ` stroke-dasharray="6 4"`
			break
		}
	}
	if strings.HasPrefix(optimiser, optunaPrefix) {
		dashes = ` stroke-dasharray="2 3"`
	}
	colour := palette[slices.Index(optimisers, optimiser)%len(palette)]
	return fmt.Sprintf(`fill="none" stroke="%s" stroke-width="2"%s`, colour, dashes)
}
