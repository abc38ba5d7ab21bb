package app

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/visutility/retune/internal/wire"
)

// csvRows turns the rows of a table into reports.
type csvRows struct {
	r       *csv.Reader
	columns []column
}

// column is where a cell goes in a report: kind is "metrics", "config" or "", a
// field of its own; "-" leaves it out.
type column struct{ kind, name string }

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
	rows, seen := &csvRows{r: c}, map[string]bool{}
	for _, name := range header {
		name = strings.TrimSpace(name)
		if seen[name] && name != "" {
			return nil, fmt.Errorf("header: column %q comes twice: rename one", name)
		}
		seen[name] = true
		rows.columns = append(rows.columns, columnOf(name))
	}
	return rows, nil
}

// exportTimes are what an exported study has beside the fields of a report, and
// what is no number.
var exportTimes = map[string]bool{"created_at": true, "started_at": true, "ended_at": true}

// columnOf leaves out a column without a name: tables are often saved with a
// running number in front.
func columnOf(name string) column {
	if _, ok := reportColumns[name]; ok {
		return column{"", name}
	}
	if parameter, ok := strings.CutPrefix(name, "config."); ok {
		return column{"config", parameter}
	}
	if name == "" || exportTimes[name] {
		return column{"-", ""}
	}
	return column{"metrics", name}
}

func (c *csvRows) next() (line, error) {
	cells, err := c.r.Read()
	var malformed *csv.ParseError
	switch {
	case errors.As(err, &malformed):
		return line{malformed.StartLine, nil, fmt.Errorf("row: %w", malformed.Err)}, nil
	case errors.Is(err, io.EOF):
		return line{}, io.EOF
	case err != nil:
		return line{}, err
	}
	number, _ := c.r.FieldPos(0)
	body, err := c.report(cells)
	return line{number, body, err}, nil
}

// report writes a row as JSON. Empty cells are absent.
func (c *csvRows) report(cells []string) ([]byte, error) {
	fields, metrics, config := map[string]any{}, map[string]any{}, map[string]any{}
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		column := c.columns[i]
		switch {
		case cell == "" || column.kind == "-":
		case column.kind == "config":
			config[column.name] = configCell(cell)
		case column.kind == "metrics":
			value, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return nil, &wire.FieldError{Field: column.name, Value: strconv.Quote(cell), Problem: "is not a number", Remedy: "give a number, NaN or inf, or call the column config." + column.name}
			}
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
