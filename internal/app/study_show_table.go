package app

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/visutility/retune/internal/study"
)

// terminalWidth is how many columns a terminal has; 0: w is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// tableColumn is a column of a table, the header first.
type tableColumn []string

func (c tableColumn) width() int {
	widest := 0
	for _, cell := range c {
		widest = max(widest, runes(cell))
	}
	return widest
}

// shrink cuts the cells to a width.
func (c tableColumn) shrink(width int) {
	for i := range c {
		c[i] = shortened(c[i], width)
	}
}

// columnGap is the space between two columns.
const columnGap = 2

// tableWidth is how much room columns take side by side.
func tableWidth(columns []tableColumn) int {
	width := -columnGap
	for _, c := range columns {
		width += c.width() + columnGap
	}
	return width
}

func printTable(out io.Writer, columns []tableColumn) {
	for row := range columns[0] {
		var line strings.Builder
		for _, c := range columns {
			line.WriteString(c[row])
			line.WriteString(strings.Repeat(" ", c.width()+columnGap-runes(c[row])))
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// shortened cuts a text to so many runes.
func shortened(s string, most int) string {
	if runes(s) <= most {
		return s
	}
	return string([]rune(s)[:max(0, most-1)]) + "…"
}

// widestParameter is the most that one parameter takes of a terminal's table.
const widestParameter = 20

// parameters prints the space with the best config and, if it is known, how
// much each parameter decides, the most important first.
func (s *studyScreen) parameters(out io.Writer) {
	names := s.parameterNames()
	if len(names) == 0 {
		return
	}
	space, _ := s.Definition["space"].(map[string]any)
	columns := []tableColumn{{"PARAMETER"}, {"VALUES"}, {"BEST"}}
	for _, name := range names {
		columns[0] = append(columns[0], printable(name))
		columns[1] = append(columns[1], printable(parameterText(space[name])))
		columns[2] = append(columns[2], s.cell(s.Best, name))
	}
	if s.Best == nil {
		columns = columns[:2]
	}
	if len(s.importance.Shares) > 1 { // one has them all
		columns = append(columns, s.importanceColumn())
	}
	s.fit(columns)
	fmt.Fprintln(out)
	printTable(out, columns)
	s.importanceNote(out)
}

// fit cuts the parameters' columns to the terminal: first what they may be, then
// what was best, then their names.
func (s *studyScreen) fit(columns []tableColumn) {
	for _, cut := range []struct{ column, least int }{{1, 24}, {2, 12}, {0, 16}, {1, 12}} {
		if excess := tableWidth(columns) - s.width; s.width > 0 && excess > 0 && cut.column < len(columns) {
			c := columns[cut.column]
			c.shrink(max(min(cut.least, c.width()), c.width()-excess))
		}
	}
}

// parameterNames are the most important first if that is known, otherwise sorted.
func (s *studyScreen) parameterNames() []string {
	if s.unknown != "" {
		space, _ := s.Definition["space"].(map[string]any)
		return slices.Sorted(maps.Keys(space))
	}
	var names []string
	for _, share := range s.importance.Shares {
		names = append(names, share.Parameter)
	}
	return names
}

func (s *studyScreen) importanceColumn() tableColumn {
	const longest = 12
	bars := tableColumn{"IMPORTANCE"}
	for _, share := range s.importance.Shares {
		bar := fmt.Sprintf("%3.0f%% %s", 100*share.Share, strings.Repeat("█", int(math.Round(longest*share.Share))))
		if share.Trials < s.importance.Trials {
			bar += fmt.Sprintf(" (%d trials)", share.Trials)
		}
		bars = append(bars, strings.TrimRight(bar, " "))
	}
	return bars
}

func (s *studyScreen) importanceNote(out io.Writer) {
	switch {
	case s.unknown != "":
		fmt.Fprintln(out, s.fitted("importance: "+printable(s.unknown)))
	case len(s.importance.Shares) > 1:
		fmt.Fprintln(out, s.fitted(fmt.Sprintf("importance: by fANOVA of %d complete trials, explaining %.0f%% of their order",
			s.importance.Trials, 100*s.importance.Explained)))
	}
}

// table prints trials, with as many parameters as the terminal has room for.
func (s *studyScreen) table(out io.Writer, o ShowStudyOptions) {
	trials := s.chosen(o)
	if len(trials) == 0 {
		return
	}
	columns := trialColumns(trials)
	left := 0
	for _, name := range s.parameterNames() {
		c := tableColumn{printable(name)}
		for i := range trials {
			c = append(c, s.cell(&trials[i], name))
		}
		if s.width > 0 && (left > 0 || tableWidth(append(columns, c)) > s.width) {
			left++
			continue
		}
		columns = append(columns, c)
	}
	fmt.Fprintln(out)
	printTable(out, columns)
	if hidden := len(s.Trials) - len(trials); hidden > 0 {
		fmt.Fprintf(out, "… and %s: --limit 0 shows all\n", plural(hidden, "more trial"))
	}
	if left > 0 {
		fmt.Fprintf(out, "no room for %s: %s has all\n", plural(left, "parameter"), cmp.Or(s.whole, "worker study export "+s.Model+" "+s.Name))
	}
}

// chosen are the trials for the table in its order.
func (s *studyScreen) chosen(o ShowStudyOptions) []study.Trial {
	trials := slices.Clone(s.Trials)
	if o.Latest {
		slices.Reverse(trials)
	} else {
		s.rank(trials)
	}
	if o.Limit > 0 {
		trials = trials[:min(o.Limit, len(trials))]
	}
	return trials
}

// rank sorts complete trials from the best, then the others by state, those that
// came furthest first. It keeps the order of equals.
func (s *studyScreen) rank(trials []study.Trial) {
	_, goal := s.objective()
	slices.SortStableFunc(trials, func(a, b study.Trial) int {
		if order := cmp.Compare(slices.Index(trialStates, a.State), slices.Index(trialStates, b.State)); order != 0 {
			return order
		}
		switch {
		case a.Value == nil || b.Value == nil:
			_, aStep, _ := lastPoint(a)
			_, bStep, _ := lastPoint(b)
			return cmp.Compare(bStep, aStep)
		case goal.Better(*a.Value, *b.Value):
			return -1
		case goal.Better(*b.Value, *a.Value):
			return 1
		}
		return 0
	})
}

// trialColumns are those beside the parameters. The value of a trial that did not
// come to its end is the last one it reported.
func trialColumns(trials []study.Trial) []tableColumn {
	columns := []tableColumn{{"TRIAL"}, {"STATE"}, {"VALUE"}, {"STEP"}, {"DURATION"}, {"ATTEMPTS"}}
	const step = 3
	steps := false
	for _, t := range trials {
		row := []string{fmt.Sprint(t.Number), string(t.State), "-", "-", "-", fmt.Sprint(t.Attempt)}
		if value, at, ok := lastPoint(t); ok {
			row[2], row[step], steps = numberText(value), fmt.Sprint(at), true
		}
		if t.Value != nil {
			row[2] = numberText(*t.Value)
		}
		if t.DurationMS > 0 {
			row[4] = shortDuration(time.Duration(t.DurationMS) * time.Millisecond)
		}
		for i, cell := range row {
			columns[i] = append(columns[i], cell)
		}
	}
	if !steps {
		columns = slices.Delete(columns, step, step+1)
	}
	return columns
}

// lastPoint is the latest intermediate value of a trial, and its step.
func lastPoint(t study.Trial) (value float64, step int64, ok bool) {
	last := len(t.PointSteps) - 1
	if last < 0 || last >= len(t.PointValues) {
		return 0, 0, false
	}
	return t.PointValues[last], t.PointSteps[last], true
}

// cell is the value of a parameter in a trial, "-" where it has none. A terminal
// has no room for digits that nobody compares.
func (s *studyScreen) cell(t *study.Trial, name string) string {
	if t == nil || t.Config[name] == nil {
		return "-"
	}
	if s.width == 0 {
		return printable(numberText(t.Config[name]))
	}
	if v, ok := t.Config[name].(float64); ok && math.Abs(v) < 1000 {
		return fmt.Sprintf("%.4g", v)
	}
	return shortened(printable(numberText(t.Config[name])), widestParameter)
}
