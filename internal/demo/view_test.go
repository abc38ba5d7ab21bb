package demo

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// told is a board on which one model drifted, alarmed and was tuned.
func told() *Board {
	b := &Board{Reports: 40}
	t := b.Add("m", "a stream", testConfig)
	for n := 1; n <= 40; n++ {
		if n == 20 {
			t.Drifts()
		}
		wrong := 0.1
		if n >= 20 && n < 30 {
			wrong = 0.3
		}
		t.Measured(Measure{Error: wrong, BatchError: wrong, Alone: 0.3}, t.Config, t.Version)
		t.Considered(n%2 == 0)
		switch n {
		case 21:
			t.Alarmed(21, "Error degraded 99.00% vs. rolling mean", "retrained")
		case 28:
			t.Studying("s", 3, 0.3)
			t.Tried(0.2)
		case 29:
			t.Tuned(0.1, Config{0.02, 1e-5}, 3)
		}
	}
	return b
}

func TestSummaryCountsFromTheDrift(t *testing.T) {
	t.Parallel()
	o := told().Summary(1).Models[0]
	if o.DriftAt != 20 || o.Delay != 2 || o.Alarms[0].False {
		t.Errorf("drift at %d, alarm %+v after %d reports", o.DriftAt, o.Alarms[0], o.Delay)
	}
	if percent(o.ErrorBefore) != "10.0%" || percent(o.ErrorWorst) != "30.0%" || percent(o.ErrorEnd) != "10.0%" || percent(o.ErrorAlone) != "30.0%" {
		t.Errorf("%+v", o)
	}
}

func TestAnAlarmWithoutDriftIsFalse(t *testing.T) {
	t.Parallel()
	b := &Board{Reports: 10}
	track := b.Add("m", "a stream", testConfig)
	track.Measured(Measure{}, testConfig, 1)
	track.Alarmed(1, "Error degraded", "retrained")
	track.Drifts()
	o := b.Summary(1).Models[0]
	if !o.Alarms[0].False || o.Delay != 0 {
		t.Errorf("alarm before the drift: %+v", o)
	}
	var out bytes.Buffer
	if err := b.Summary(1).Write(&out); err != nil || !strings.Contains(out.String(), "missed") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestLinesTellEachThingOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	view, b := NewLines(&out), told()
	for range 2 {
		if err := view.Show(b); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(out.String(), "\n"); got != len(b.News) {
		t.Errorf("%d lines for %d news:\n%s", got, len(b.News), out.String())
	}
}

func TestScreenFitsTheTerminal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 200).Draw(t, "width"), rapid.IntRange(2, 80).Draw(t, "height")
		var out bytes.Buffer
		screen := NewScreen(Terminal{Writer: &out, Size: func() (int, int) { return width, height }})
		if err := screen.Show(told()); err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(hideCursor, "", eraseLine, "", eraseBelow, "").Replace(out.String())
		rows := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(rows) >= height {
			t.Fatalf("%d rows on a terminal of %d", len(rows), height)
		}
		for _, row := range rows {
			if utf8.RuneCountInString(row) > width || strings.Contains(row, "\x1b") {
				t.Fatalf("row %q on a terminal %d wide without colours", row, width)
			}
		}
	})
}

func TestScreenDrawsOverItself(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	screen := NewScreen(Terminal{Writer: &out, Size: func() (int, int) { return 80, 24 }, Color: true})
	b := told()
	_ = screen.Show(b)
	rows := strings.Count(out.String(), "\n")
	out.Reset()
	_ = screen.Show(b)
	if want := "\x1b[" + string(rune('0'+rows/10)) + string(rune('0'+rows%10)) + "A\r"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in %q", want, out.String())
	}
	for _, mark := range []string{"▲", "◆", "★"} {
		if !strings.Contains(out.String(), mark) {
			t.Errorf("no %s on the screen", mark)
		}
	}
	out.Reset()
	if _ = screen.Close(); out.String() != showCursor {
		t.Errorf("closed with %q", out.String())
	}
}
