package wire

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// FieldError says which field of a message is wrong, how, and what to send instead.
type FieldError struct {
	Field   string // path, such as metrics.loss
	Value   string // as the sender would recognise it, shortened; empty where there is none
	Problem string
	Remedy  string
}

func (e *FieldError) Error() string {
	s := e.Field + ": "
	if e.Value != "" {
		s += e.Value + " "
	}
	return s + e.Problem + ": " + e.Remedy
}

const maxShown = 80

// quote shows s in printable characters and at most some 80 of them.
func quote(s string) string { return strconv.Quote(strings.ToValidUTF8(shorten(s), "\uFFFD")) }

// path shows a key that the sender chose as a part of a field's path.
func path(field string, key []byte) string {
	shown := quote(string(key[:min(len(key), maxShown+utf8.UTFMax)]))
	return field + "." + shown[1:len(shown)-1]
}

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return truncate(s, maxShown) + "…"
}

// truncate cuts s to at most n bytes, never within a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// show renders a value for an error.
func (t token) show() string {
	switch t.kind {
	case nilKind:
		return "null"
	case boolKind:
		return strconv.FormatBool(t.i != 0)
	case intKind:
		return strconv.FormatInt(t.i, 10)
	case uintKind:
		return strconv.FormatUint(uint64(t.i), 10)
	case floatKind:
		return strconv.FormatFloat(t.float(), 'g', -1, 64)
	case stringKind:
		return quote(string(t.bytes[:min(len(t.bytes), maxShown+utf8.UTFMax)]))
	case binaryKind:
		return "a binary value"
	case listKind:
		return "a list"
	case mapKind:
		return "a map"
	}
	return "an extension value"
}
