package observer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// options hands a detector its options, each asked for once with its default and range.
// It keeps the first mistake, so that a detector reads all of them without looking at errors.
type options struct {
	path    string // of the spec, for errors
	values  map[string]any
	asked   []string
	changed []string // name=value of those that differ from their default, in the order asked
	err     error
}

// integer reads a whole number in low … high; 20.0 is one.
func (o *options) integer(name string, standard, low, high int) int {
	value, ok := o.lookup(name)
	if !ok {
		return standard
	}
	x, ok := number(value)
	if !ok || x != math.Trunc(x) || x < float64(low) || x > float64(high) {
		o.fail(name, value, fmt.Sprintf("an integer from %d to %d", low, high), standard)
		return standard
	}
	return settle(o, name, int(x), standard)
}

// number reads a finite number that is at least low.
func (o *options) number(name string, standard, low float64) float64 {
	value, ok := o.lookup(name)
	if !ok {
		return standard
	}
	x, ok := number(value)
	if !ok || !finite(x) || x < low {
		o.fail(name, value, fmt.Sprintf("a number ≥ %v", low), standard)
		return standard
	}
	return settle(o, name, x, standard)
}

// between reads a number in low … high.
func (o *options) between(name string, standard, low, high float64) float64 {
	value, ok := o.lookup(name)
	if !ok {
		return standard
	}
	x, ok := number(value)
	if !ok || !(x >= low && x <= high) {
		o.fail(name, value, fmt.Sprintf("a number from %v to %v", low, high), standard)
		return standard
	}
	return settle(o, name, x, standard)
}

// onePer reads a rate, as "1 per N" or N in low … high, and returns N.
func (o *options) onePer(name string, standard, low, high float64) float64 {
	value, ok := o.lookup(name)
	if !ok {
		return standard
	}
	x, ok := number(value)
	if text, written := value.(string); written {
		count, found := strings.CutPrefix(strings.Join(strings.Fields(text), " "), "1 per ")
		parsed, err := strconv.ParseFloat(count, 64)
		x, ok = parsed, found && err == nil
	}
	if !ok || !(x >= low && x <= high) {
		o.fail(name, value, fmt.Sprintf(`"1 per N" with N from %.0f to %.0f`, low, high), fmt.Sprintf("1 per %.0f", standard))
		return standard
	}
	return settle(o, name, x, standard)
}

// required reads a finite number that has no default.
func (o *options) required(name string) float64 {
	value, _ := o.lookup(name)
	x, ok := number(value)
	if !ok || !finite(x) {
		if o.err == nil {
			o.err = mistake(o.path+"."+name, value, "a finite number", "give one")
		}
		return 0
	}
	return settle(o, name, x, math.NaN())
}

// flag reads true or false.
func (o *options) flag(name string, standard bool) bool {
	value, ok := o.lookup(name)
	if !ok {
		return standard
	}
	x, ok := value.(bool)
	if !ok {
		o.fail(name, value, "true or false", standard)
		return standard
	}
	return settle(o, name, x, standard)
}

// finish returns the first mistake, also that an option was given that no one asked for.
func (o *options) finish() error {
	for _, name := range slices.Sorted(maps.Keys(o.values)) {
		if o.err == nil && !slices.Contains(o.asked, name) {
			o.err = fmt.Errorf("%s.%s: is not an option of this detector: remove it or give one of %s",
				o.path, name, strings.Join(o.asked, ", "))
		}
	}
	return o.err
}

func (o *options) lookup(name string) (any, bool) {
	o.asked = append(o.asked, name)
	value := o.values[name]
	return value, value != nil
}

func (o *options) fail(name string, value any, wanted string, standard any) {
	if o.err == nil {
		o.err = mistake(o.path+"."+name, value, wanted, fmt.Sprintf("give one, or leave it out for %v", standard))
	}
}

// settle notes a value that differs from its default.
func settle[T comparable](o *options, name string, value, standard T) T {
	if value != standard {
		o.changed = append(o.changed, fmt.Sprintf("%s=%v", name, value))
	}
	return value
}

func number(value any) (float64, bool) {
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

func mistake(path string, value any, wanted, remedy string) error {
	shown := fmt.Sprintf("%v", value)
	switch value := value.(type) {
	case nil:
		return fmt.Errorf("%s: is missing: %s", path, remedy)
	case string:
		shown = fmt.Sprintf("%q", value)
	}
	return fmt.Errorf("%s: %s is not %s: %s", path, shown, wanted, remedy)
}
