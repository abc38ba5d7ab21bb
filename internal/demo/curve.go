package demo

import "strings"

// levels are the heights of a character cell, in eighths.
var levels = []rune(" ▁▂▃▄▅▆▇█")

// Styles of a terminal, as SGR parameters.
const (
	plain  = ""
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// column is a part of the curve, one character wide.
type column struct {
	value float64 // the greatest error in it; negative: not yet
	style string
}

// columns squeezes the reports of a model into a width.
func (t *Track) columns(width int) []column {
	columns := make([]column, width)
	for i := range columns {
		columns[i] = column{-1, t.phase(reportAt(i, width, t.board.Reports))}
	}
	for i, m := range t.Points {
		c := &columns[columnOf(i+1, width, t.board.Reports)]
		c.value = max(c.value, m.Error)
	}
	return columns
}

// scale is what the bottom and the top of the curve stand for. Half of the least
// value at the bottom leaves more of the height to what changes.
func (t *Track) scale() (bottom, top float64) {
	if len(t.Points) == 0 {
		return 0, 1
	}
	bottom = t.Points[0].Error
	for _, m := range t.Points {
		bottom, top = min(bottom, m.Error), max(top, m.Error)
	}
	return bottom / 2, top
}

// columnOf and reportAt convert between reports, from 1, and columns, from 0.
func columnOf(report, width, reports int) int { return min((report-1)*width/reports, width-1) }

func reportAt(column, width, reports int) int { return column*reports/width + 1 }

// phase colours the time before the drift, until the retrain event, and since.
func (t *Track) phase(report int) string {
	switch {
	case t.DriftAt == 0 || report < t.DriftAt:
		return cyan
	case t.TunedAt > 0 && report >= t.TunedAt:
		return green
	}
	return red
}

// curve draws the columns over some rows, the top one first.
func curve(columns []column, rows int, bottom, top float64, paint painter) []string {
	drawn := make([]string, rows)
	for r := range drawn {
		var line strings.Builder
		for _, c := range columns {
			height := 0
			if c.value >= 0 && top > bottom {
				height = max(1, int((c.value-bottom)/(top-bottom)*float64(8*rows)+0.5))
			}
			eighths := min(max(height-8*(rows-1-r), 0), 8)
			line.WriteString(paint.style(c.style, string(levels[eighths])))
		}
		drawn[r] = line.String()
	}
	return drawn
}

// marks names the moments under a curve: the drift, retrain events, and the config
// that a study found. Of two in one column the later moves right.
func (t *Track) marks(width int, paint painter) string {
	cells := make([]string, width)
	put := func(report int, style, mark string) {
		if report == 0 {
			return
		}
		c := columnOf(report, width, t.board.Reports)
		for c < width && cells[c] != "" {
			c++
		}
		if c < width {
			cells[c] = paint.style(style, mark)
		}
	}
	put(t.DriftAt, yellow, "▲")
	for _, a := range t.Alarms {
		put(a.Report, red, "◆")
	}
	put(t.TunedAt, green, "★")
	for i := range cells {
		if cells[i] == "" {
			cells[i] = " "
		}
	}
	return strings.TrimRight(strings.Join(cells, ""), " ")
}
