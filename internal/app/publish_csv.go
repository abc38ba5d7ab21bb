package app

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/visutility/retune/internal/wire"
)

// csvRows turns the rows of a table into reports.
type csvRows struct {
	r       *csv.Reader
	columns []column
	notes   []string // what was found in the present row, and holds for the table
}

// column is where a cell goes in a report: kind is "metrics", "config" or "", a
// field of its own; "-" leaves it out.
type column struct {
	kind, name string
	numeric    bool // of a metric: a cell was a number
}

// reportColumns are the columns that are fields of a report, and whether they are
// whole numbers.
var reportColumns = map[string]bool{
	"study": false, "trial": true, "attempt": true, "step": true, "state": false, "error": false,
	"duration_ms": true, "time": false, "version": false, "run_id": false, "model_id": false,
}

func newCSV(r io.Reader) (*csvRows, error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("is empty: the first row has to name the columns")
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	rows, seen, exported := &csvRows{r: c}, map[string]bool{}, isExported(header)
	for _, name := range header {
		name = strings.TrimSpace(name)
		if seen[name] && name != "" {
			return nil, fmt.Errorf("header: column %q comes twice: rename one", name)
		}
		seen[name] = true
		to := columnOf(name)
		switch {
		case exported && name == "attempts":
			to.kind = "" // which tells that the rows are trials
		case exported && to.kind == "metrics" && slices.Contains(exportColumns, name):
			to.kind = "-" // what is known beside reports
		}
		rows.columns = append(rows.columns, to)
	}
	return rows, nil
}

// isExported tells the table of an exported study by its columns.
func isExported(header []string) bool {
	for _, name := range exportColumns {
		if !slices.Contains(header, name) {
			return false
		}
	}
	return true
}

// columnOf leaves out a column without a name: tables are often saved with a
// running number in front.
func columnOf(name string) column {
	if _, ok := reportColumns[name]; ok {
		return column{name: name}
	}
	for _, kind := range []string{"config", "metrics"} {
		if own, ok := strings.CutPrefix(name, kind+"."); ok {
			return column{kind: kind, name: own}
		}
	}
	if name == "" {
		return column{kind: "-"}
	}
	return column{kind: "metrics", name: name}
}

func (c *csvRows) next() (line, error) {
	cells, err := c.r.Read()
	var malformed *csv.ParseError
	switch {
	case errors.As(err, &malformed):
		return line{number: malformed.StartLine, err: fmt.Errorf("row: %w", malformed.Err)}, nil
	case errors.Is(err, io.EOF):
		return line{}, io.EOF
	case err != nil:
		return line{}, err
	}
	number, _ := c.r.FieldPos(0)
	body, err := c.report(cells)
	l := line{number, body, err, c.notes}
	c.notes = nil
	return l, nil
}

// missing are cells that stand for none, as tables have them.
var missing = []string{"", "NA", "N/A", "n/a", "NULL", "null", "None"}

// report writes a row as JSON. Missing cells are absent.
func (c *csvRows) report(cells []string) ([]byte, error) {
	fields, metrics, config := map[string]any{}, map[string]any{}, map[string]any{}
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		column := c.columns[i]
		switch {
		case cell == "" || column.kind == "-" || column.kind == "metrics" && slices.Contains(missing, cell):
		case column.kind == "config":
			config[column.name] = configCell(cell)
		case column.kind == "metrics":
			value, err := strconv.ParseFloat(cell, 64)
			if err != nil && column.numeric {
				return nil, &wire.FieldError{Field: column.name, Value: strconv.Quote(cell), Problem: "is not a number", Remedy: "give a number, NaN or inf, as in the rows before"}
			}
			if err != nil {
				c.leaveOut(i, cell)
				continue
			}
			c.columns[i].numeric = true
			metrics[column.name] = value
		default:
			fields[column.name] = fieldCell(column.name, cell)
		}
	}
	if len(metrics) > 0 {
		fields["metrics"] = metrics
	}
	if len(config) > 0 {
		fields["config"] = config
	}
	return wire.Encode(fields, wire.JSON)
}

// leaveOut drops a column whose first cell is not a number. The first decides, as the
// rows may still be on their way.
func (c *csvRows) leaveOut(i int, cell string) {
	name := c.columns[i].name
	c.columns[i].kind = "-"
	c.notes = append(c.notes, fmt.Sprintf("column %s is left out: its first value, %.40q, is not a number: call it config.%s if it is a hyper-parameter, or empty the cell if numbers follow", name, cell, name))
}

// fieldCell leaves it to the report's decoder to refuse what is not a number.
func fieldCell(name, cell string) any {
	if !reportColumns[name] {
		return cell
	}
	if n, err := strconv.ParseInt(cell, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(cell, 64); err == nil {
		return f
	}
	return cell
}

// configCell is a number or a boolean where the cell reads as one. Numbers that
// are not finite stay text: a search space has none.
func configCell(cell string) any {
	if n, err := strconv.ParseInt(cell, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(cell, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		return f
	}
	switch cell {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	return cell
}
