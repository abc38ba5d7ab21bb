package observer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// golden is one line of testdata/goldens.
type golden struct {
	stream            string
	options           map[string]any
	goal              Goal
	changes, warnings []int
}

// TestRiverFiresAtTheSamePositions compares with River, whose positions testdata/goldens.py wrote.
func TestRiverFiresAtTheSamePositions(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"adwin", "ddm", "hddm_a", "hddm_w", "kswin", "page_hinkley"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := 0
			for _, g := range goldens(t, name) {
				g.check(t, name)
				changes += len(g.changes)
			}
			if changes < 10 {
				t.Errorf("the goldens have only %d changes", changes)
			}
		})
	}
}

func (g golden) check(t *testing.T, name string) {
	t.Helper()
	given := &options{path: "golden", values: g.options}
	d := kinds[name].build(given, g.goal).(*latch)
	if err := given.finish(); err != nil {
		t.Fatal(err)
	}
	memory := make([]float64, 0, d.raw.room())
	var changes, warnings []int
	for i, value := range streamOf(t, g.stream) {
		var c change
		if memory, c = d.raw.detect(memory, d.view.see(value)); c.detected {
			changes = append(changes, i)
		}
		if c.warned {
			warnings = append(warnings, i)
		}
	}
	if !slices.Equal(changes, g.changes) {
		t.Errorf("%s, options %v: fires at %v, River at %v", g.stream, g.options, changes, g.changes)
	}
	if !slices.Equal(warnings, g.warnings) {
		t.Errorf("%s, options %v: warns at %v, River at %v", g.stream, g.options, warnings, g.warnings)
	}
}

func goldens(t *testing.T, name string) (all []golden) {
	for _, line := range lines(t, filepath.Join("goldens", name+".txt")) {
		field := strings.Split(line, "|")
		if len(field) != 4 {
			t.Fatalf("%q has not four fields", line)
		}
		g := golden{stream: field[0], options: map[string]any{}, changes: ranges(t, field[2]), warnings: ranges(t, field[3])}
		for _, option := range strings.Fields(field[1]) {
			key, value, _ := strings.Cut(option, "=")
			switch number, err := strconv.ParseFloat(value, 64); {
			case key == "goal":
				g.goal = Maximize
			case err == nil:
				g.options[key] = number
			default:
				g.options[key] = value == "true"
			}
		}
		all = append(all, g)
	}
	return all
}

// ranges reads positions: "3 7-9" is 3, 7, 8 and 9.
func ranges(t *testing.T, text string) (all []int) {
	for _, field := range strings.Fields(text) {
		from, to, isRange := strings.Cut(field, "-")
		first, err := strconv.Atoi(from)
		last := first
		if isRange && err == nil {
			last, err = strconv.Atoi(to)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := first; i <= last; i++ {
			all = append(all, i)
		}
	}
	return all
}

// lines are those of a file in testdata that are not comments.
func lines(t *testing.T, file string) []string {
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return slices.DeleteFunc(all, func(line string) bool { return strings.HasPrefix(line, "#") })
}

// streamOf makes the stream that testdata/streams.py makes of the same text; what the text means is said there.
func streamOf(t *testing.T, text string) (values []float64) {
	fields := strings.Fields(text)
	if fields[0] == "published" {
		return published(t, fields[1])
	}
	seed, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	u := uniform(seed)
	for _, piece := range fields[2:] {
		var length int
		var level, spread float64
		if _, err := fmt.Sscanf(piece, "%d,%g,%g", &length, &level, &spread); err != nil {
			t.Fatalf("%q: %v", piece, err)
		}
		for i := range length {
			values = append(values, u.value(fields[0], float64(i)/float64(length), level, spread))
		}
	}
	return values
}

// uniform draws from 0 … 1 by SplitMix64.
type uniform uint64

func (u *uniform) next() float64 {
	*u += 0x9e3779b97f4a7c15
	return float64(splitMix(uint64(*u))>>11) / (1 << 53)
}

// bell is nearly a standard normal.
func (u *uniform) bell() float64 {
	sum := 0.0
	for range 12 {
		sum += u.next()
	}
	return sum - 6
}

// value rounds every product, as Python does: a fused multiply-add would make another stream.
func (u *uniform) value(shape string, progress, level, spread float64) float64 {
	switch shape {
	case "normal":
		return level + float64(spread*u.bell())
	case "ramp":
		return level + float64((spread-level)*progress) + u.bell()
	case "skewed":
		x := u.next()
		return level + float64(spread*float64(float64(x*x)*float64(x*x)))
	}
	if u.next() < level {
		return 1
	}
	return 0
}

func published(t *testing.T, name string) (values []float64) {
	for _, line := range lines(t, "published.txt") {
		if key, digits, _ := strings.Cut(line, " "); key == name {
			for _, digit := range digits {
				values = append(values, float64(digit-'0'))
			}
		}
	}
	if len(values) < 1000 {
		t.Fatalf("no published stream %s", name)
	}
	return values
}
