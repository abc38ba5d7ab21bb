package problem

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/visutility/retune/internal/strategy"
)

// tables are the files of real results: all configs of a grid with the value each had.
var tables = []struct {
	name, file string
	goal       strategy.Goal
}{
	{"australian", "hpobench_australian.csv.gz", strategy.Maximize},
	{"protein", "hpolib_protein_structure.csv.gz", strategy.Minimize},
	{"nasbench201", "nasbench201_cifar10.csv.gz", strategy.Maximize},
}

// Tables reads the tables in the folder. missing names the files that are not there.
func Tables(folder string) (problems []*Problem, missing []string, err error) {
	for _, t := range tables {
		path := filepath.Join(folder, t.file)
		p, err := readTable(t.name, path)
		if os.IsNotExist(err) {
			missing = append(missing, path)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		p.Goal = t.goal
		p.takeBest(t.goal)
		problems = append(problems, p.Problem)
	}
	return problems, missing, nil
}

// table is a problem with its rows still at hand.
type table struct {
	*Problem
	columns []string
	rows    [][]string
	values  []float64
	parse   []func(string) any // per column
}

func readTable(name, path string) (*table, error) {
	rows, err := readRows(path)
	if err != nil {
		return nil, err
	}
	last := len(rows[0]) - 1 // the value
	t := &table{columns: rows[0][:last], rows: rows[1:]}
	tree := map[string]any{}
	for i, column := range t.columns {
		description, parse := describe(distinct(t.rows, i))
		tree[column] = description
		t.parse = append(t.parse, parse)
	}
	known := make(map[string]float64, len(t.rows))
	for _, row := range t.rows {
		v, err := strconv.ParseFloat(row[last], 64)
		if err != nil {
			return nil, err
		}
		known[key(t.columns, t.config(row))] = v
		t.values = append(t.values, v)
	}
	t.Problem = newProblem(name, tree, func(config map[string]any) (float64, error) {
		v, ok := known[key(t.columns, config)]
		if !ok {
			return 0, fmt.Errorf("%s: %v is not in the table", name, config)
		}
		return v, nil
	}, 0, nil)
	exact := median(slices.Clone(t.values))
	t.median = func() (float64, error) { return exact, nil }
	return t, nil
}

// takeBest sets the optimum, which the table knows.
func (t *table) takeBest(goal strategy.Goal) {
	best := 0
	for i, v := range t.values {
		if goal.Better(v, t.values[best]) {
			best = i
		}
	}
	t.optimum, t.best = t.values[best], t.config(t.rows[best])
}

func (t *table) config(row []string) map[string]any {
	config := make(map[string]any, len(t.columns))
	for i, column := range t.columns {
		config[column] = t.parse[i](row[i])
	}
	return config
}

func key(columns []string, config map[string]any) string {
	var b strings.Builder
	for _, column := range columns {
		fmt.Fprint(&b, config[column], ",")
	}
	return b.String()
}

func readRows(path string) ([][]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(unpacked).ReadAll()
	if err == nil && len(rows) < 2 {
		err = io.ErrUnexpectedEOF
	}
	return rows, err
}

func distinct(rows [][]string, column int) []string {
	seen := map[string]bool{}
	var values []string
	for _, row := range rows {
		if v := row[column]; !seen[v] {
			seen[v] = true
			values = append(values, v)
		}
	}
	return values
}

// describe makes an ordered list of a column of numbers, and a categorical parameter of any other.
func describe(column []string) (description map[string]any, parse func(string) any) {
	numbers := make([]float64, len(column))
	whole := true
	for i, s := range column {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return categorical(texts(column)...), func(s string) any { return s }
		}
		numbers[i] = f
		whole = whole && !strings.ContainsAny(s, ".e")
	}
	parse = func(s string) any {
		f, _ := strconv.ParseFloat(s, 64)
		if whole {
			return int64(f)
		}
		return f
	}
	slices.Sort(numbers)
	values := make([]any, len(numbers))
	for i, f := range numbers {
		values[i] = parse(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return map[string]any{"values": values}, parse
}

func texts(column []string) []any {
	values := make([]any, len(column))
	for i, s := range column {
		values[i] = s
	}
	return values
}
