package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// handMade has ours on two kinds, one of River's that never gives a false alarm, and one for binary streams alone.
func handMade(t *testing.T, folder string) *store {
	t.Helper()
	s, err := openStore(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.use(settings{horizon: 1000, healthy: 100, within: 50, warmUp: 30, mean: 10, sd: 1, seed: 1}); err != nil {
		t.Fatal(err)
	}
	var all []tally
	put := func(detector, kind string, c change, firsts ...int) {
		all = append(all, newTally(cell{detector, kind, c.String()}, c.size == 0, firsts, s.settings))
	}
	for _, kind := range []string{"gaussian", "binary"} {
		put("cusum:h=4", kind, change{}, 120, 300, 700, 0)
		put("cusum:h=4", kind, change{size: 1}, 50, 105, 110, 130)
		put("cusum:h=4", kind, change{ramp: true, size: 0.02}, 120, 130, 140, 0)
		put("river-adwin", kind, change{}, 0, 0, 0, 0)
		put("river-adwin", kind, change{size: 1}, 128, 128, 0, 0)
		put("river-adwin", kind, change{ramp: true, size: 0.02}, 0, 0, 0, 0)
	}
	put("ddm", "binary", change{}, 40, 900, 0, 0)
	put("ddm", "binary", change{size: 1}, 101, 101, 102, 30)
	put("ddm", "binary", change{ramp: true, size: 0.02}, 30, 30, 30, 30)
	if err := s.add(all); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := writeReport(&out, handMade(t, "")); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", out.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(want, got) {
		t.Errorf("%s: %v; rewrite it with -update if this is right:\n%s", path, err, got)
	}
}

// TestStoreIsTakenUpAgain also has --report, which needs nothing but the folder.
func TestStoreIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var want, got bytes.Buffer
	if err := writeReport(&want, handMade(t, folder)); err != nil {
		t.Fatal(err)
	}
	o := small(folder)
	o.Report = true
	if err := o.run(t.Context(), &got, io.Discard); err != nil || got.String() != want.String() {
		t.Errorf("%v, reported again:\n%s", err, got.String())
	}
	golden(t, "results.csv", readFile(t, filepath.Join(folder, "results.csv")))
	s, err := openStore(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.use(settings{}); err == nil || !strings.Contains(err.Error(), "give another folder") {
		t.Errorf("rows of other settings: %v", err)
	}
	s.drop([]string{"ddm"})
	if v := newView(s); len(s.rows) != 12 || strings.Join(v.detectors, " ") != "cusum:h=4 river-adwin" {
		t.Errorf("without ddm %d rows of %q", len(s.rows), v.detectors)
	}
}

func TestDamagedStore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	handMade(t, folder)
	path := filepath.Join(folder, "results.csv")
	damaged := bytes.Replace(readFile(t, path), []byte("gaussian,none,4"), []byte("gaussian,none,four"), 1)
	if err := os.WriteFile(path, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(folder); err == nil || !strings.Contains(err.Error(), "results.csv") || !strings.Contains(err.Error(), "mend the line") {
		t.Errorf("the error is %v", err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPlot(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := writePlot(&b, newView(handMade(t, ""))); err != nil {
		t.Fatal(err)
	}
	// Two panels and the legend: ours are discs; River's, without a false alarm, are triangles in the panels.
	for mark, want := range map[string]int{"<circle": 2 + 1 + 2, `<rect`: 1 + 2 + 1, "v13.0l10.4": 2} {
		if got := strings.Count(b.String(), mark); got != want {
			t.Errorf("%d of %s, want %d", got, mark, want)
		}
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Errorf("a coordinate is not finite:\n%s", b.String())
	}
	for d := xml.NewDecoder(&b); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
