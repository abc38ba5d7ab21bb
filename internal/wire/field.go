package wire

import (
	"fmt"
	"math"
	"time"
)

// root reads the head of the map that every message is; what names the message.
func (r *reader) root(what string) (token, error) {
	t, err := r.next()
	if err == nil && t.kind != mapKind {
		err = &FieldError{"body", t.show(), "is not " + what, "send a msgpack map or a JSON object"}
	}
	return t, err
}

// entry reads the next key of a map and the value after it, of a list or map the head.
func (r *reader) entry() (key []byte, value token, err error) {
	if key, err = r.key(); err == nil {
		value, err = r.next()
	}
	return key, value, err
}

func (r *reader) key() ([]byte, error) {
	if r.at < len(r.b) && r.b[r.at]&0xe0 == 0xa0 { // a short string, as nearly all are
		start := r.at + 1
		if end := start + int(r.b[r.at]&0x1f); end <= len(r.b) {
			r.at = end
			return r.b[start:end], nil
		}
	}
	k, err := r.next()
	if err == nil && k.kind != stringKind {
		err = malformed("has the key %s, which is not a string", k.show())
	}
	return k.bytes, err
}

func (t token) isMap(field, of string, limit int) error {
	if t.kind != mapKind {
		return &FieldError{field, t.show(), "is not a map", "send a map of " + of}
	}
	if int(t.i) > limit {
		return &FieldError{field, "", fmt.Sprintf("has %d entries", int(t.i)), fmt.Sprintf("send at most %d", limit)}
	}
	return nil
}

// number is the value of a number, or of the words that stand for one in strict JSON.
func (t token) number() (float64, bool) {
	switch t.kind {
	case floatKind:
		return t.float(), true
	case intKind:
		return float64(t.i), true
	case uintKind:
		return float64(uint64(t.i)), true
	case stringKind:
		return notFinite(t.bytes)
	}
	return 0, false
}

func notFinite(word []byte) (float64, bool) {
	switch string(word) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

// integer takes a float without a fraction too: Python has 3.0 where 3 is meant.
func (t token) integer(field string, least int) (int, error) {
	i, ok := t.i, t.kind == intKind
	if t.kind == floatKind && t.float() == math.Trunc(t.float()) && math.Abs(t.float()) < 1<<63 {
		i, ok = int64(t.float()), true
	}
	if !ok {
		return 0, &FieldError{field, t.show(), "is not an integer", "send a whole number of 64 bits"}
	}
	if i < int64(least) {
		return 0, &FieldError{field, t.show(), "is too small", fmt.Sprintf("send %d or more", least)}
	}
	return int(i), nil
}

// text reads a string and cuts it to limit bytes.
func (t token) text(field string, limit int) (string, error) {
	if t.kind != stringKind {
		return "", t.notText(field)
	}
	return truncate(string(t.bytes[:min(len(t.bytes), limit+1)]), limit), nil
}

func (t token) notText(field string) error {
	return &FieldError{field, t.show(), "is not a string", "send a string"}
}

func (t token) instant(field string) (time.Time, error) {
	at, ok := t.time()
	if !ok {
		return at, &FieldError{field, t.show(), "is not a time",
			"send RFC 3339, such as 2006-01-02T15:04:05Z, or a msgpack timestamp"}
	}
	return at, nil
}
