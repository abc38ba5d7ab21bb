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

// row is the result of a run after budget trials.
type row struct {
	run
	best    float64 // true objective of the best trial
	seconds float64 // mean time per suggestion
}

var header = []string{"problem", "optimiser", "parallel", "budget", "seed", "best", "seconds_per_suggestion"}

// store keeps the rows, in a file unless the path is empty. Several processes may append to one file.
type store struct {
	path string
	rows map[run]row
}

func openStore(folder string) (*store, error) {
	s := &store{rows: map[run]row{}}
	if folder == "" {
		return s, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	s.path = filepath.Join(folder, "runs.csv")
	return s, s.read()
}

func (s *store) read() error {
	file, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.write([][]string{header})
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := csv.NewReader(file)
	for first := true; ; first = false {
		line, err := lines.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if first {
			continue
		}
		parsed, err := parseRow(line)
		if err != nil {
			return fmt.Errorf("%s: %w: mend the line or remove the file", s.path, err)
		}
		s.rows[parsed.run] = parsed
	}
}

func parseRow(line []string) (row, error) {
	if len(line) != len(header) {
		return row{}, fmt.Errorf("%q has not the fields %q", line, header)
	}
	r := row{run: run{problem: line[0], optimiser: line[1]}}
	var err error
	for i, target := range []*int{&r.parallel, &r.budget, &r.seed} {
		var e error
		*target, e = strconv.Atoi(line[2+i])
		err = errors.Join(err, e)
	}
	for i, target := range []*float64{&r.best, &r.seconds} {
		var e error
		*target, e = strconv.ParseFloat(line[5+i], 64)
		err = errors.Join(err, e)
	}
	return r, err
}

func (r row) line() []string {
	return []string{
		r.problem, r.optimiser, strconv.Itoa(r.parallel), strconv.Itoa(r.budget), strconv.Itoa(r.seed),
		strconv.FormatFloat(r.best, 'g', -1, 64), strconv.FormatFloat(r.seconds, 'g', 4, 64),
	}
}

// add keeps the rows of one run.
func (s *store) add(rows []row) error {
	lines := make([][]string, len(rows))
	for i, r := range rows {
		s.rows[r.run] = r
		lines[i] = r.line()
	}
	return s.write(lines)
}

// write appends in one go, and opens the file anew as drop may have replaced it.
func (s *store) write(lines [][]string) error {
	if s.path == "" {
		return nil
	}
	file, err := os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(csv.NewWriter(file).WriteAll(lines), file.Close())
}

// drop forgets the rows of the named optimisers.
func (s *store) drop(optimisers []string) error {
	lines := [][]string{header}
	for key, r := range s.rows {
		if slices.Contains(optimisers, r.optimiser) {
			delete(s.rows, key)
		} else {
			lines = append(lines, r.line())
		}
	}
	if s.path == "" || len(optimisers) == 0 {
		return nil
	}
	slices.SortFunc(lines[1:], slices.Compare)
	replacement := s.path + ".new"
	if err := writeFile(replacement, func(w io.Writer) error { return csv.NewWriter(w).WriteAll(lines) }); err != nil {
		return err
	}
	return os.Rename(replacement, s.path)
}
