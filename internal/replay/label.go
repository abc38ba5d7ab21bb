package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/visutility/retune/internal/wire"
)

// Label says when a model had gone bad: from a report or time on, to another, which is bad too. Without an end it lasts
// until the next label of the model, or the end.
type Label struct {
	Model    string // empty: of all
	From, To Mark   // To may be zero
}

// Mark is a report of a model, from 1, or a time.
type Mark struct {
	Report int
	Time   time.Time
}

func (m Mark) zero() bool { return m.Report == 0 && m.Time.IsZero() }

// compare is of two marks of the same kind.
func (m Mark) compare(other Mark) int {
	return cmp.Or(cmp.Compare(m.Report, other.Report), m.Time.Compare(other.Time))
}

func (m Mark) timed() bool { return m.Report == 0 }

// String writes a mark as it is read.
func (m Mark) String() string {
	if m.timed() {
		return m.Time.Format(time.RFC3339Nano)
	}
	return strconv.Itoa(m.Report)
}

// String writes a label as it is read.
func (l Label) String() string {
	text := l.From.String()
	if !l.To.zero() {
		text += ".." + l.To.String()
	}
	if l.Model != "" {
		text = l.Model + " " + text
	}
	return text
}

// Labels are in the order in which they are reached; those of a model do not overlap.
type Labels []Label

// of are the labels of a model: its own, else those of all.
func (l Labels) of(model string) (own []Label) {
	for _, name := range []string{model, ""} {
		for _, label := range l {
			if label.Model == name {
				own = append(own, label)
			}
		}
		if own != nil {
			return own
		}
	}
	return nil
}

const mostLabels = 100_000

// ParseLabels reads labels with commas or line breaks between them: 120 or 300..350, counted in reports,
// 1997-05-01 or 1997-05-01T12:00:00Z..1997-06-01, each perhaps after the name of a model: fraud-eu 120.
// What follows a # on a line is not read.
func ParseLabels(text string) (Labels, error) {
	labels := Labels{}
	for number, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for entry := range strings.SplitSeq(line, ",") {
			entry = strings.TrimSpace(entry)
			if entry == "" {
				continue
			}
			label, err := parseLabel(entry)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number+1, err)
			}
			if labels = append(labels, label); len(labels) > mostLabels {
				return nil, fmt.Errorf("line %d: more than %d labels: give fewer", number+1, mostLabels)
			}
		}
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("%.40q has no labels: give some such as 120, 300..350 or 1997-05-01", text)
	}
	slices.SortStableFunc(labels, func(a, b Label) int {
		return cmp.Or(strings.Compare(a.Model, b.Model), a.From.compare(b.From))
	})
	return labels, labels.check()
}

func parseLabel(entry string) (l Label, err error) {
	fields := strings.Fields(entry)
	if len(fields) > 1 {
		if err := wire.CheckName("model", fields[0]); err != nil {
			return l, err
		}
		l.Model = fields[0]
	}
	from, to, ranged := strings.Cut(fields[len(fields)-1], "..")
	if l.From, err = parseMark(from, false); err != nil || len(fields) > 2 {
		return l, notLabel(entry)
	}
	if !ranged {
		return l, nil
	}
	if l.To, err = parseMark(to, true); err != nil {
		return l, notLabel(entry)
	}
	if l.From.timed() != l.To.timed() {
		return l, fmt.Errorf("label %q goes from a report to a time or back: give two of a kind", entry)
	}
	if l.To.compare(l.From) < 0 {
		return l, fmt.Errorf("label %q ends before it begins: swap them", entry)
	}
	return l, nil
}

func notLabel(entry string) error {
	return fmt.Errorf("%.80q is not a label: give a report number from 1 (120), a time (1997-05-01, 1997-05-01T12:00:00Z), or a range of them (300..350), perhaps after a model (fraud-eu 120)", entry)
}

const mostReports = 1 << 53

// parseMark takes the end of a day for the end of a range.
func parseMark(text string, end bool) (Mark, error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= mostReports {
		return Mark{Report: n}, nil
	}
	at, err := time.Parse(time.DateOnly, text)
	if err == nil && end {
		at = at.AddDate(0, 0, 1).Add(-1)
	}
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if at = at.UTC(); err == nil && (at.Year() < 1000 || at.Year() > 9999) {
		err = strconv.ErrRange
	}
	return Mark{Time: at}, err
}

// check finds labels of a model that cannot be told apart.
func (l Labels) check() error {
	for i := 1; i < len(l); i++ {
		a, b := l[i-1], l[i]
		switch {
		case a.Model != b.Model:
		case a.From.timed() != b.From.timed():
			return fmt.Errorf("labels %q and %q: one is a report, the other a time: give all of a model as one kind", a, b)
		case a.From.compare(b.From) == 0, !a.To.zero() && a.To.compare(b.From) >= 0:
			return fmt.Errorf("labels %q and %q overlap: give one range, or end the first before the second", a, b)
		}
	}
	return nil
}
