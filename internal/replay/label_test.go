package replay

import (
	"strings"
	"testing"
	"time"
)

func TestLabelsAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"120", "120"},
		{"350, 120..130,,", "120..130; 350"},
		{"# the known ones\nfraud-eu 120 # a release\nfraud-eu 300..350\nb 7", "b 7; fraud-eu 120; fraud-eu 300..350"},
		{"1997-05-01", "1997-05-01T00:00:00Z"},
		{"1997-05-01..1997-05-02", "1997-05-01T00:00:00Z..1997-05-02T23:59:59.999999999Z"},
		{"1997-05-01T12:00:00+02:00..1997-06-01T00:00:00Z", "1997-05-01T10:00:00Z..1997-06-01T00:00:00Z"},
		{"5..5", "5..5"},
	} {
		labels, err := ParseLabels(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var texts []string
		for _, l := range labels {
			texts = append(texts, l.String())
		}
		if got := strings.Join(texts, "; "); got != c.want {
			t.Errorf("%q: %s, wanted %s", c.text, got, c.want)
		}
	}
}

func TestWrongLabelsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", "has no labels: give some"},
		{"# nothing", "has no labels"},
		{"0", `line 1: "0" is not a label: give a report number from 1`},
		{"1\n-3", `line 2: "-3" is not a label`},
		{"1e3", `"1e3" is not a label`},
		{"3..", `"3.." is not a label`},
		{"..3", `"..3" is not a label`},
		{"9..3", `label "9..3" ends before it begins: swap them`},
		{"9..1997-01-01", "from a report to a time or back"},
		{"a b 3", "is not a label"},
		{"a.b 3", `model: "a.b"`},
		{"3,1997-01-01", "one is a report, the other a time"},
		{"3,3", `labels "3" and "3" overlap`},
		{"3..7,7..9", "overlap: give one range, or end the first before the second"},
		{strings.Repeat("1,", 100_002), "more than 100000 labels"},
	} {
		if _, err := ParseLabels(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, wanted %s", c.text, err, c.want)
		}
	}
}

func TestLabelsOfAModelGoBeforeThoseOfAll(t *testing.T) {
	t.Parallel()
	labels, err := ParseLabels("9, a 3, a 5")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := labels.of("a"), labels.of("b"); len(a) != 2 || a[0].From.Report != 3 || len(b) != 1 || b[0].From.Report != 9 {
		t.Errorf("%v %v", a, b)
	}
}

func FuzzParseLabels(f *testing.F) {
	for _, seed := range []string{"120,300..350", "fraud-eu 1997-05-01..1997-06-01T00:00:00Z # x", "1\n2\n", "0001-01-01", "9999-12-31..9999-12-31"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		labels, err := ParseLabels(text)
		if err != nil {
			return
		}
		var lines []string
		for _, l := range labels {
			if l.From.zero() || !l.To.zero() && l.To.compare(l.From) < 0 {
				t.Fatalf("%q: %+v", text, l)
			}
			lines = append(lines, l.String())
		}
		again, err := ParseLabels(strings.Join(lines, "\n"))
		if err != nil || len(again) != len(labels) {
			t.Fatalf("%q, written %q: %v", text, lines, err)
		}
		for i := range again {
			if again[i].String() != labels[i].String() {
				t.Fatalf("%q: %v then %v", text, labels[i], again[i])
			}
		}
	})
}

// TestCourse follows labels by hand: a row per report.
func TestCourse(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	yes, no := new(true), new(false)
	for _, c := range []struct {
		name, labels string
		times        func(int) time.Time
		says         []*bool
		bad          string // by report: + bad, . well, ^ the first of a change
		changes      []Change
	}{
		{"a point lasts", "3", nil, nil, "..^++", []Change{{From: 3, To: 5}}},
		{"a range ends", "2..3", nil, nil, ".^+..", []Change{{From: 2, To: 3}}},
		{"a point ends where the next begins", "2,4", nil, nil, ".^+^+", []Change{{From: 2, To: 3}, {From: 4, To: 5}}},
		{"ranges side by side", "2..3,4..4", nil, nil, ".^+^.", []Change{{From: 2, To: 3}, {From: 4, To: 4}}},
		{"never reached", "9", nil, nil, ".....", nil},
		{"by time", "2026-01-02..2026-01-03", day, nil, ".^+..", []Change{{2, 3, day(2)}}},
		{"between two reports", "2026-01-02T01:00:00Z..2026-01-02T02:00:00Z", day, nil, ".....", nil},
		{"a time without times", "2026-01-02", nil, nil, ".....", nil},
		{"as the inputs say", "", nil, []*bool{nil, yes, nil, no, yes}, ".^+.^", []Change{{From: 2, To: 3}, {From: 5, To: 5}}},
		{"labels go before", "5", nil, []*bool{yes, yes, no, no, no}, "....^", []Change{{From: 5, To: 5}}},
	} {
		k, got := course{}, ""
		if c.labels != "" {
			labels, err := ParseLabels(c.labels)
			if err != nil {
				t.Fatal(err)
			}
			k = course{fixed: true, labelled: true, given: labels}
		}
		for n := 1; n <= len(c.bad); n++ {
			var at time.Time
			var says *bool
			if c.times != nil {
				at = c.times(n)
			}
			if c.says != nil {
				says = c.says[n-1]
			}
			in, begins := k.arrive(n, at, says)
			switch {
			case begins:
				got += "^"
			case in != nil:
				got += "+"
			default:
				got += "."
			}
		}
		k.end(len(c.bad))
		if got != c.bad || len(k.changes) != len(c.changes) || k.healthy != strings.Count(c.bad, ".") {
			t.Errorf("%s: %s %+v, %d healthy", c.name, got, k.changes, k.healthy)
			continue
		}
		for i := range c.changes {
			if k.changes[i] != c.changes[i] {
				t.Errorf("%s: %+v, wanted %+v", c.name, k.changes[i], c.changes[i])
			}
		}
	}
}
