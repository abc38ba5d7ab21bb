package observer

import (
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"
)

// reason is the sentence of a finding.
func (w *watch) reason(value, reference float64) string {
	name := capitalised(w.metric)
	if !finite(value) {
		return fmt.Sprintf("%s is not finite (%s)", name, notFinite(value))
	}
	return fmt.Sprintf("%s degraded %s%% vs. %s", name, percent(value, reference), w.against)
}

// capitalised leaves a name that is not UTF-8 as it is.
func capitalised(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	if first == utf8.RuneError {
		return name
	}
	return string(unicode.ToUpper(first)) + name[size:]
}

// notFinite spells a value as reports do.
func notFinite(value float64) string {
	switch {
	case math.IsInf(value, 1):
		return "Infinity"
	case math.IsInf(value, -1):
		return "-Infinity"
	}
	return "NaN"
}

// readable is the percentage from which decimals say nothing, and %.2f would write up to 309 digits.
const readable = 1e15

// percent is |value − reference| / |reference| in percent, computed on halves because the difference may overflow.
func percent(value, reference float64) string {
	p := math.Abs(value/2-reference/2) / math.Abs(reference) * 200
	if p < readable {
		return fmt.Sprintf("%.2f", p)
	}
	return fmt.Sprintf("%.3g", min(p, math.MaxFloat64))
}
