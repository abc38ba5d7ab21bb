package pruner

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// options hands a pruner its options, each asked for once with its default and range. The first
// mistake is kept, so that a pruner reads all of them without looking at errors.
type options struct {
	values map[string]any
	asked  []string
	err    error
}

// auto stands for a resource that the pruner derives from the trials.
const auto = 0

// integer reads a whole number that is at least low; 20.0 is one.
func (o *options) integer(name string, standard, low int64) int64 {
	value := o.lookup(name)
	if value == nil {
		return standard
	}
	n, ok := whole(value)
	if !ok || n < low {
		o.fail(name, value, fmt.Sprintf("a whole number ≥ %d", low), fmt.Sprintf("give one, or leave it out for %d", standard))
		return standard
	}
	return n
}

// resource reads a step ≥ 1 or "auto".
func (o *options) resource(name string, standard int64) int64 {
	value := o.lookup(name)
	if value == "auto" {
		return auto
	}
	if value == nil {
		return standard
	}
	n, ok := whole(value)
	if !ok || n < 1 {
		o.fail(name, value, `a step ≥ 1 or "auto"`, "give one of these")
		return standard
	}
	return n
}

// longest reads the last step of a trial.
func (o *options) longest() int64 {
	longest := o.resource("max_resource", auto)
	if first, ok := whole(o.values["min_resource"]); ok && longest != auto && longest < first {
		o.fail("max_resource", longest, "at least min_resource", "give the last step of a trial")
	}
	return longest
}

// number reads a finite number from low to high; absent: the default.
func (o *options) number(name string, absent, low, high float64) float64 {
	value := o.lookup(name)
	if value == nil {
		return absent
	}
	x, ok := float(value)
	if !ok || math.IsNaN(x) || math.IsInf(x, 0) || x < low || x > high {
		o.fail(name, value, "a number"+span(low, high), "give one")
		return absent
	}
	return x
}

func span(low, high float64) string {
	switch {
	case high < math.MaxFloat64:
		return fmt.Sprintf(" from %v to %v", low, high)
	case low > -math.MaxFloat64:
		return fmt.Sprintf(" ≥ %v", low)
	}
	return ""
}

// require notes that an option which has no default was left out.
func (o *options) require(name, remedy string) {
	if o.err == nil && o.values[name] == nil {
		o.err = fmt.Errorf("pruner.options.%s: is missing: %s", name, remedy)
	}
}

// finish returns the first mistake, also that an option was given which the pruner does not have.
func (o *options) finish() error {
	remedy := "leave it out, this pruner has no options"
	if len(o.asked) > 0 {
		remedy = "use " + strings.Join(o.asked, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(o.values)) {
		if !slices.Contains(o.asked, name) {
			return fmt.Errorf("pruner.options.%s: is not an option of this pruner: %s", cut(name), remedy)
		}
	}
	return o.err
}

func (o *options) lookup(name string) any {
	o.asked = append(o.asked, name)
	return o.values[name]
}

func (o *options) fail(name string, value any, wanted, remedy string) {
	if o.err == nil {
		o.err = fmt.Errorf("pruner.options.%s: %s is not %s: %s", name, show(value), wanted, remedy)
	}
}

func float(value any) (float64, bool) {
	switch x := value.(type) {
	case float64:
		return x, true
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	case int:
		return float64(x), true
	}
	return 0, false
}

func whole(value any) (int64, bool) {
	if n, ok := value.(int64); ok {
		return n, true
	}
	x, ok := float(value)
	return int64(x), ok && x == math.Trunc(x) && math.Abs(x) < 1<<63
}

// show prints a value for an error; lists and maps by their kind only.
func show(value any) string {
	switch x := value.(type) {
	case string:
		return strconv.Quote(cut(x))
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return fmt.Sprint(value)
}

func cut(s string) string {
	const shownBytes = 80
	if len(s) <= shownBytes {
		return s
	}
	return strings.ToValidUTF8(s[:shownBytes], "") + "…"
}
