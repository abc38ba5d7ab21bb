package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// ToJSON prints a msgpack document: numbers that are not finite as the strings "NaN", "Infinity" and "-Infinity",
// timestamps as RFC 3339, other binary values in base 64.
func ToJSON(document []byte) ([]byte, error) {
	r := reader{b: document}
	dst, err := r.json(make([]byte, 0, 2*len(document)), 0)
	if err == nil {
		err = r.end()
	}
	return dst, err
}

func (r *reader) json(dst []byte, depth int) ([]byte, error) {
	t, err := r.next()
	if err != nil {
		return dst, err
	}
	n, err := t.children(depth)
	if err != nil {
		return dst, err
	}
	switch t.kind {
	case listKind:
		return r.jsonList(dst, n, depth+1)
	case mapKind:
		return r.jsonObject(dst, int(t.i), depth+1)
	}
	return appendScalar(dst, t), nil
}

func (r *reader) jsonList(dst []byte, n, depth int) (_ []byte, err error) {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.json(dst, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (r *reader) jsonObject(dst []byte, n, depth int) ([]byte, error) {
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		key, err := r.next()
		if err == nil && key.kind != stringKind {
			err = r.skip(key, depth)
			key = token{kind: stringKind, bytes: []byte(key.show())}
		}
		if err != nil {
			return dst, err
		}
		dst = append(appendScalar(dst, key), ':')
		if dst, err = r.json(dst, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendScalar(dst []byte, t token) []byte {
	switch t.kind {
	case floatKind:
		return appendJSONFloat(dst, t.float())
	case stringKind:
		return appendJSONString(dst, t.bytes)
	case binaryKind, extKind:
		if at, ok := t.time(); ok {
			return at.AppendFormat(append(dst, '"'), time.RFC3339Nano+`"`)
		}
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), t.bytes), '"')
	}
	return append(dst, t.show()...) // null, booleans and integers
}

// appendJSONFloat marks a whole number as a float, so that a reader keeps its type.
func appendJSONFloat(dst []byte, f float64) []byte {
	switch {
	case f != f:
		return append(dst, `"NaN"`...)
	case f > math.MaxFloat64:
		return append(dst, `"Infinity"`...)
	case f < -math.MaxFloat64:
		return append(dst, `"-Infinity"`...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.AppendFloat(dst, f, 'f', 1, 64)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

// appendJSONString writes most strings as they are; json.Marshal would escape <, > and & too.
func appendJSONString(dst, s []byte) []byte {
	escape := func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == utf8.RuneError }
	if bytes.IndexFunc(s, escape) < 0 {
		return append(append(append(dst, '"'), s...), '"')
	}
	quoted, _ := json.Marshal(string(s)) // of a string it cannot fail
	return append(dst, quoted...)
}
