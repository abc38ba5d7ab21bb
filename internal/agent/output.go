package agent

import (
	"bytes"
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/visutility/retune/internal/wire"
)

// Measurement is what a line of output says of a trial.
type Measurement struct {
	Metrics map[string]float64 // the objective among them
	Step    *int64             // nil: none
	Failure string             // why the trial failed, of an object with the state failed; "": it did not
}

// maxMetrics bounds what is taken of one line, the objective aside.
const maxMetrics = 1000

// ParseLine reads a line that has the objective: a JSON object, with `metrics` or flat, or name=value pairs among
// other text. A whole number >= 0 named step, or else epoch, is the step. Not finite numbers are taken as Python and
// C write them. An object may say with state failed, and error, that the trial has failed.
func ParseLine(line []byte, objective string) (Measurement, bool) {
	line = bytes.TrimSpace(colour.ReplaceAll(line, nil))
	if len(line) > 0 && line[0] == '{' {
		if m, ok := parseObject(line, objective); ok {
			return m, true
		}
	}
	if !bytes.Contains(line, []byte(objective)) {
		return Measurement{}, false
	}
	values := map[string]float64{}
	for _, at := range pairPattern.FindAllSubmatchIndex(line, -1) {
		name, text, rest := line[at[2]:at[3]], line[at[4]:at[5]], line[at[5]:]
		if value, ok := parseNumber(string(text)); ok && utf8.Valid(name) && !(digits.Match(text) && decimals.Match(rest)) {
			values[string(name)] = value
		}
	}
	return measurement(values, values, objective)
}

// colour is what terminals take for a colour or a style (ECMA-48, SGR).
var colour = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// digits, a comma and decimals are a number as half of the world writes it: 0,5 is not 0.
var (
	digits   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	decimals = regexp.MustCompile(`^,[0-9]`)
)

// pairPattern divides pairs by blanks, commas and brackets, and allows for blanks around the sign.
var pairPattern = regexp.MustCompile(`([^\s,;|=()\[\]{}]+)\s*=\s*([^\s,;|=()\[\]{}]+)`)

func parseObject(line []byte, objective string) (Measurement, bool) {
	tree, err := wire.DecodeTree(line, wire.JSON.ContentType())
	if err != nil {
		return Measurement{}, false
	}
	object := tree.(map[string]any) // what begins with a brace
	flat := numbers(object)
	metrics := flat
	if nested, ok := object["metrics"].(map[string]any); ok {
		metrics = numbers(nested)
	}
	m, ok := measurement(metrics, flat, objective)
	if object["state"] == wire.Failed.String() {
		text, _ := object["error"].(string)
		m.Failure = cmp.Or(text, `the program printed "state": "failed"`)
	}
	return m, ok
}

func numbers(tree map[string]any) map[string]float64 {
	numbers := map[string]float64{}
	for name, value := range tree {
		switch value := value.(type) {
		case int64:
			numbers[name] = float64(value)
		case uint64:
			numbers[name] = float64(value)
		case float64:
			numbers[name] = value
		case string:
			if f, ok := parseNumber(value); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
				numbers[name] = f
			}
		}
	}
	return numbers
}

// parseNumber also takes -nan, which C prints, and a number too large for 64 bits as infinite.
func parseNumber(text string) (float64, bool) {
	if strings.EqualFold(strings.TrimLeft(text, "+-"), "nan") {
		return math.NaN(), true
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil || math.IsInf(f, 0)
}

// measurement takes the step from the fields, which may be the metrics themselves: then it is none of them.
func measurement(metrics, fields map[string]float64, objective string) (Measurement, bool) {
	value, ok := metrics[objective]
	if !ok {
		return Measurement{}, false
	}
	m := Measurement{Metrics: metrics}
	for _, name := range []string{"step", "epoch"} {
		if step, ok := wholeNumber(fields[name], fields, name); ok && name != objective {
			m.Step = &step
			delete(fields, name)
			break
		}
	}
	for name := range metrics {
		if len(metrics) <= maxMetrics {
			break
		}
		delete(metrics, name)
	}
	metrics[objective] = value
	return m, true
}

func wholeNumber(f float64, fields map[string]float64, name string) (int64, bool) {
	_, there := fields[name]
	return int64(f), there && f >= 0 && f < 1<<53 && f == math.Trunc(f)
}
