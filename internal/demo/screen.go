package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Terminal is where a screen is drawn.
type Terminal struct {
	Writer io.Writer
	Size   func() (width, height int) // in characters, asked before every drawing
	Color  bool
}

// painter applies styles, where they are wanted.
type painter bool

func (p painter) style(sgr, text string) string {
	if !p || sgr == plain || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// NewScreen is a view that redraws in place.
func NewScreen(t Terminal) View { return &screen{terminal: t, paint: painter(t.Color)} }

type screen struct {
	terminal Terminal
	paint    painter
	drawn    int // rows of the latest drawing
}

const (
	hideCursor, showCursor = "\x1b[?25l", "\x1b[?25h"
	eraseLine, eraseBelow  = "\x1b[K", "\x1b[J"
	axisWidth              = 6 // left of a curve
	leastWidth             = 40
)

// Show goes back to the first row of the latest drawing and draws over it.
func (s *screen) Show(b *Board) error {
	width, height := s.terminal.Size()
	rows := s.rows(b, max(width, leastWidth), height)
	rows = rows[:min(len(rows), max(height-1, 1))]
	var out strings.Builder
	out.WriteString(hideCursor)
	if s.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA\r", s.drawn)
	}
	for _, row := range rows {
		out.WriteString(clip(row, width) + eraseLine + "\n")
	}
	out.WriteString(eraseBelow)
	s.drawn = len(rows)
	_, err := io.WriteString(s.terminal.Writer, out.String())
	return err
}

// Close gives the cursor back and leaves the latest drawing where it is.
func (s *screen) Close() error {
	_, err := io.WriteString(s.terminal.Writer, showCursor)
	return err
}

// Rows beside the curves: the head, and per model its name, marks and config.
const (
	headRows  = 2
	modelRows = 3
	leastNews = 4
	mostCurve = 4
)

func (s *screen) rows(b *Board, width, height int) []string {
	models := max(1, len(b.Models))
	curveRows := (height - 1 - headRows - leastNews - models*modelRows) / models
	curveRows = min(max(curveRows, 1), mostCurve)
	rows := s.head(b, width)
	for _, t := range b.Models {
		rows = append(rows, s.model(t, width, curveRows)...)
	}
	return append(rows, s.news(b, max(leastNews, height-1-len(rows)))...)
}

func (s *screen) head(b *Board, width int) []string {
	title := fmt.Sprintf("retune demo · report %d of %d · ", b.Report(), b.Reports)
	room := min(30, width-utf8.RuneCountInString(title))
	done := max(0, room*b.Report()/max(1, b.Reports))
	bar := s.paint.style(cyan, strings.Repeat("━", done)) + s.paint.style(faint, strings.Repeat("─", max(0, room-done)))
	legend := "wrong predictions   " + s.paint.style(yellow, "▲") + " drift begins  " +
		s.paint.style(red, "◆") + " retrain event  " + s.paint.style(green, "★") + " tuned by a study"
	return []string{s.paint.style(bold, title) + bar, legend}
}

// model draws one model: its name, curve, marks and config.
func (s *screen) model(t *Track, width, curveRows int) []string {
	columns := t.columns(min(width-axisWidth-1, t.board.Reports))
	latest := "-"
	if n := len(t.Points); n > 0 {
		latest = percent(t.Points[n-1].Error)
	}
	rows := []string{fmt.Sprintf("%s %s   %s wrong · v%d", s.paint.style(bold, t.Model), s.paint.style(faint, t.About), latest, t.Version)}
	bottom, top := t.scale()
	labels := make([]string, curveRows)
	labels[curveRows-1] = fmt.Sprintf("%.0f%%", 100*bottom)
	labels[0] = fmt.Sprintf("%.0f%%", 100*top)
	for i, line := range curve(columns, curveRows, bottom, top, s.paint) {
		rows = append(rows, s.paint.style(faint, fmt.Sprintf("%*s│", axisWidth-1, labels[i]))+" "+line)
	}
	return append(rows, strings.Repeat(" ", axisWidth+1)+t.marks(len(columns), s.paint), "  "+s.config(t))
}

func (s *screen) config(t *Track) string {
	text := fmt.Sprintf("learning_rate %.2g · l2 %.1g · live %d/%d taken", t.Config.LearningRate, t.Config.L2, t.Taken, t.Proposed)
	if t.Study == nil {
		return text
	}
	if t.Study.Finished {
		return text + s.paint.style(green, " · study "+percent(t.Study.Baseline)+" → "+percent(t.Study.Best))
	}
	return text + s.paint.style(yellow, fmt.Sprintf(" · study: trial %d of %d", t.Study.Done, t.Study.Trials))
}

// news shows the latest, which also fill the rows that are not there yet.
func (s *screen) news(b *Board, room int) []string {
	latest := b.News[max(0, len(b.News)-room):]
	rows := make([]string, 0, room)
	for _, n := range latest {
		rows = append(rows, s.paint.style(faint, fmt.Sprintf("%3d", n.Report))+" "+s.paint.style(bold, fmt.Sprintf("%-10s", n.Model))+" "+n.Text)
	}
	return rows
}

// clip cuts a row to a width, not counting escape sequences.
func clip(row string, width int) string {
	var out strings.Builder
	styled := false
	for i, used := 0, 0; i < len(row); {
		if row[i] == '\x1b' {
			end := i + strings.IndexByte(row[i:], 'm') + 1
			styled = row[i:end] != "\x1b[0m"
			out.WriteString(row[i:end])
			i = end
			continue
		}
		if used == width {
			break
		}
		r, size := utf8.DecodeRuneInString(row[i:])
		out.WriteRune(r)
		used++
		i += size
	}
	if styled {
		out.WriteString("\x1b[0m")
	}
	return out.String()
}
