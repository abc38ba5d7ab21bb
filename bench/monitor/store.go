package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// store keeps the tallies, in results.csv of a folder unless that is "".
type store struct {
	folder   string
	settings settings
	rows     map[cell]tally
	order    []cell // as they came
}

// The columns before "value" are what a row is read from; the others are for readers of the file.
var header = []string{
	"detector", "kind", "change", "streams", "left_out", "alarms", "early", "time", "time_squared", "caught", "caught_squared",
	"median", "median_low", "median_high", "horizon", "healthy", "within", "warm_up", "mean", "sd", "seed",
	"value", "low", "high", "missed", "missed_low", "missed_high",
}

func openStore(folder string) (*store, error) {
	s := &store{folder: folder, rows: map[cell]tally{}}
	if folder == "" {
		return s, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	file, err := os.Open(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, line := range lines[min(1, len(lines)):] {
		t, common, err := parseRow(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: mend the line or remove the file", s.path(), err)
		}
		s.settings = common
		s.put(t)
	}
	return s, nil
}

func (s *store) path() string { return filepath.Join(s.folder, "results.csv") }

// use refuses settings that the rows of the store do not have.
func (s *store) use(common settings) error {
	if len(s.rows) > 0 && s.settings != common {
		return fmt.Errorf("--out %s: it has results of other settings, %s: give another folder", s.folder, s.settings)
	}
	s.settings = common
	return nil
}

func (s settings) String() string {
	return fmt.Sprintf("horizon %d, healthy %d, within %d, warm-up %d, mean %v, sd %v, seed %d", s.horizon, s.healthy, s.within, s.warmUp, s.mean, s.sd, s.seed)
}

func (s *store) put(t tally) {
	if _, known := s.rows[t.cell]; !known {
		s.order = append(s.order, t.cell)
	}
	s.rows[t.cell] = t
}

// drop forgets the rows of the named detectors.
func (s *store) drop(detectors []string) {
	s.order = slices.DeleteFunc(s.order, func(c cell) bool {
		if !slices.Contains(detectors, c.detector) {
			return false
		}
		delete(s.rows, c)
		return true
	})
}

// add keeps tallies, and replaces the file by one that has them.
func (s *store) add(tallies []tally) error {
	for _, t := range tallies {
		s.put(t)
	}
	if s.folder == "" {
		return nil
	}
	lines := [][]string{header}
	for _, c := range s.order {
		t := s.rows[c]
		lines = append(lines, t.line(s.settings))
	}
	replacement := s.path() + ".new"
	if err := writeFile(replacement, func(w io.Writer) error { return csv.NewWriter(w).WriteAll(lines) }); err != nil {
		return err
	}
	return os.Rename(replacement, s.path())
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// fields are the places of the numbers of a row, in the order of the header.
func fields(t *tally, s *settings) []any {
	return []any{
		&t.streams, &t.leftOut, &t.alarms, &t.early, &t.time, &t.timeSquared, &t.caught, &t.caughtSquared,
		&t.median.mean, &t.median.low, &t.median.high, &s.horizon, &s.healthy, &s.within, &s.warmUp, &s.mean, &s.sd, &s.seed,
	}
}

// line has, besides what it is read from, the run length or the delay.
func (t tally) line(s settings) []string {
	line := []string{t.detector, t.kind, t.change}
	for _, field := range fields(&t, &s) {
		switch x := field.(type) {
		case *int:
			line = append(line, strconv.Itoa(*x))
		case *uint64:
			line = append(line, strconv.FormatUint(*x, 10))
		case *float64:
			line = append(line, strconv.FormatFloat(*x, 'g', -1, 64))
		}
	}
	value, missed := t.delay(), t.missed()
	if t.change == (change{}).String() {
		value = t.runLength()
	}
	for _, x := range []float64{value.mean, value.low, value.high, missed.mean, missed.low, missed.high} {
		line = append(line, strconv.FormatFloat(x, 'g', 5, 64))
	}
	return line
}

func parseRow(line []string) (t tally, s settings, err error) {
	if len(line) != len(header) {
		return t, s, fmt.Errorf("%q has not the fields %q", line, header)
	}
	t.cell = cell{line[0], line[1], line[2]}
	for i, field := range fields(&t, &s) {
		var e error
		switch x := field.(type) {
		case *int:
			*x, e = strconv.Atoi(line[3+i])
		case *uint64:
			*x, e = strconv.ParseUint(line[3+i], 10, 64)
		case *float64:
			*x, e = strconv.ParseFloat(line[3+i], 64)
		}
		err = errors.Join(err, e)
	}
	return t, s, err
}
