package strategy

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// FieldError says which field of a space, of options or of a config is wrong, why, and what to give instead.
type FieldError struct {
	Field   string // path, such as space.lr.low, options.rate or config.lr
	Problem string // with the value, such as "abc" is not a number
	Remedy  string
}

func (e *FieldError) Error() string {
	return e.Field + ": " + e.Problem + ": " + e.Remedy
}

const shownBytes = 80

// show prints a value for an error: strings quoted and cut, lists and maps by their kind only.
func show(v any) string {
	known, ok := scalar(v)
	if !ok {
		return showKind(v)
	}
	switch x := known.(type) {
	case string:
		return strconv.Quote(cut(x))
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	default:
		return fmt.Sprint(x)
	}
}

func showKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	default:
		return fmt.Sprintf("a %T", v)
	}
}

func cut(s string) string {
	if len(s) <= shownBytes {
		return s
	}
	end := shownBytes
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
