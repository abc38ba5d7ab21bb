package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strconv"
)

// appendJSON transcribes a JSON document to msgpack, appended to dst. Beyond RFC 8259 it takes the bare NaN, Infinity
// and -Infinity that Python writes. A number without fraction and exponent that fits is an int64, another a float64.
func appendJSON(dst, document []byte) ([]byte, error) {
	s := scanner{b: document, dst: dst}
	if err := s.value(0); err != nil {
		return nil, err
	}
	if s.peek(); s.at < len(s.b) {
		return nil, s.unexpected("after the document")
	}
	return s.dst, nil
}

// scanner reads JSON and writes msgpack.
type scanner struct {
	b   []byte
	at  int
	dst []byte
}

// peek passes over space and is the next byte, at the end 0.
func (s *scanner) peek() byte {
	for s.at < len(s.b) && isSpace(s.b[s.at]) {
		s.at++
	}
	if s.at == len(s.b) {
		return 0
	}
	return s.b[s.at]
}

func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case (c == '{' || c == '[') && depth >= maxDepth:
		return malformed("is nested deeper than %d levels", maxDepth)
	case c == '{':
		return s.object(depth + 1)
	case c == '[':
		return s.list(depth + 1)
	case c == '"':
		return s.string()
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	}
	return s.word()
}

func (s *scanner) object(depth int) error {
	return s.elements('}', 0xdf, func() error {
		if s.peek() != '"' {
			return s.unexpected("where a key should begin")
		}
		if err := s.string(); err != nil {
			return err
		}
		if s.peek() != ':' {
			return s.unexpected("after a key")
		}
		s.at++
		return s.value(depth)
	})
}

func (s *scanner) list(depth int) error {
	return s.elements(']', 0xdd, func() error { return s.value(depth) })
}

// elements reads what stands between brackets. The length comes before them in msgpack and is filled in at last, so
// it takes the long form.
func (s *scanner) elements(end, code byte, element func() error) error {
	s.at++
	head := len(s.dst)
	s.dst = append(s.dst, code, 0, 0, 0, 0)
	for n := uint32(1); s.peek() != end; n++ {
		if n > 1 {
			if s.peek() != ',' {
				return s.unexpected("between values")
			}
			s.at++
		}
		if err := element(); err != nil {
			return err
		}
		binary.BigEndian.PutUint32(s.dst[head+1:], n)
	}
	s.at++
	return nil
}

func (s *scanner) string() error {
	start := s.at
	plain := true
	for s.at++; s.at < len(s.b) && s.b[s.at] != '"'; s.at++ {
		c := s.b[s.at]
		plain = plain && c >= ' ' && c != '\\' && c < 0x80
		if c == '\\' {
			s.at++
		}
	}
	if s.at >= len(s.b) {
		return malformed("ends within a string")
	}
	s.at++
	text := s.b[start+1 : s.at-1]
	if !plain {
		var unquoted string
		if err := json.Unmarshal(s.b[start:s.at], &unquoted); err != nil {
			return malformed("has a bad string at byte %d (%v)", start, err)
		}
		text = []byte(unquoted)
	}
	s.dst = appendToken(s.dst, token{kind: stringKind, bytes: text})
	return nil
}

func (s *scanner) number() error {
	start := s.at
	if s.b[s.at] == '-' {
		s.at++
		if s.take("Infinity") {
			s.dst = appendFloat(s.dst, math.Inf(-1))
			return nil
		}
	}
	if !s.take("0") && s.digits() == 0 {
		return s.unexpected("in a number")
	}
	whole := true
	if s.take(".") {
		whole = false
		if s.digits() == 0 {
			return s.unexpected("in a number")
		}
	}
	if s.take("e") || s.take("E") {
		whole = false
		if !s.take("+") {
			s.take("-")
		}
		if s.digits() == 0 {
			return s.unexpected("in a number")
		}
	}
	return s.appendNumber(string(s.b[start:s.at]), whole)
}

// appendNumber takes a number too large for a float64 as infinite, as Python does.
func (s *scanner) appendNumber(text string, whole bool) error {
	if whole {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			s.dst = appendInt(s.dst, i)
			return nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return malformed("has a bad number (%v)", err)
	}
	s.dst = appendFloat(s.dst, f)
	return nil
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

func (s *scanner) word() error {
	switch {
	case s.take("null"):
		s.dst = append(s.dst, 0xc0)
	case s.take("false"):
		s.dst = append(s.dst, 0xc2)
	case s.take("true"):
		s.dst = append(s.dst, 0xc3)
	case s.take("NaN"):
		s.dst = appendFloat(s.dst, math.NaN())
	case s.take("Infinity"):
		s.dst = appendFloat(s.dst, math.Inf(1))
	default:
		return s.unexpected("where a value should begin")
	}
	return nil
}

func (s *scanner) take(word string) bool {
	if len(s.b)-s.at < len(word) || string(s.b[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

func (s *scanner) unexpected(where string) error {
	if s.at >= len(s.b) {
		return malformed("ends too early, at byte %d", len(s.b))
	}
	return malformed("has %s at byte %d, %s", strconv.QuoteToASCII(string(s.b[s.at:s.at+1])), s.at, where)
}
