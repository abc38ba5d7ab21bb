package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// maxDepth bounds the nesting of what is read: the readers are recursive.
const maxDepth = 64

type kind uint8

const (
	nilKind kind = iota
	boolKind
	intKind
	uintKind // above math.MaxInt64
	floatKind
	stringKind
	binaryKind
	listKind
	mapKind
	extKind
)

// token is one msgpack value, of a list or map only the head. It is small enough to be returned in registers.
type token struct {
	bytes []byte // of a string, binary or extension; a part of the input
	i     int64  // the integer, or the bits of the float; elements of a list, pairs of a map
	kind  kind
	ext   int8
}

func floatToken(f float64) token { return token{kind: floatKind, i: int64(math.Float64bits(f))} }

// float is the value of a floatKind.
func (t token) float() float64 { return math.Float64frombits(uint64(t.i)) }

// reader walks over one msgpack document (github.com/msgpack/msgpack/blob/master/spec.md). It allocates nothing, and
// refuses a length that the rest of the document cannot hold.
type reader struct {
	b  []byte
	at int
}

func (r *reader) next() (token, error) {
	if r.at >= len(r.b) {
		return token{}, r.truncated()
	}
	c := r.b[r.at]
	r.at++
	if c == 0xcb && r.at+8 <= len(r.b) { // first what most reports are made of
		r.at += 8
		return token{kind: floatKind, i: int64(binary.BigEndian.Uint64(r.b[r.at-8:]))}, nil
	}
	switch {
	case c < 0x80 || c >= 0xe0:
		return token{kind: intKind, i: int64(int8(c))}, nil
	case c < 0x90:
		return r.container(mapKind, uint64(c&0x0f))
	case c < 0xa0:
		return r.container(listKind, uint64(c&0x0f))
	case c < 0xc0:
		return r.text(stringKind, uint64(c&0x1f))
	}
	return r.coded(c)
}

// coded reads what follows the codes 0xc0 to 0xdf.
func (r *reader) coded(c byte) (token, error) {
	switch c {
	case 0xc0:
		return token{}, nil
	case 0xc2, 0xc3:
		return token{kind: boolKind, i: int64(c & 1)}, nil
	case 0xc1:
		return token{}, malformed("byte 0xc1 at %d is not msgpack", r.at-1)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return r.text(extKind, 1<<(c-0xd4))
	}
	u, err := r.unsigned(widths[c-0xc0])
	if err != nil {
		return token{}, err
	}
	switch c {
	case 0xca:
		return floatToken(float64(math.Float32frombits(uint32(u)))), nil
	case 0xcb:
		return token{kind: floatKind, i: int64(u)}, nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		return unsignedToken(u), nil
	case 0xd0, 0xd1, 0xd2, 0xd3:
		shift := 64 - 8*int(widths[c-0xc0])
		return token{kind: intKind, i: int64(u<<shift) >> shift}, nil
	case 0xc4, 0xc5, 0xc6:
		return r.text(binaryKind, u)
	case 0xc7, 0xc8, 0xc9:
		return r.text(extKind, u)
	case 0xd9, 0xda, 0xdb:
		return r.text(stringKind, u)
	case 0xdc, 0xdd:
		return r.container(listKind, u)
	}
	return r.container(mapKind, u)
}

// widths is the number of bytes of the number or length after the codes from 0xc0.
var widths = [32]uint8{
	0x04: 1, 2, 4, // binary
	0x07: 1, 2, 4, // extension
	0x0a: 4, 8, // float
	0x0c: 1, 2, 4, 8, // unsigned
	0x10: 1, 2, 4, 8, // signed
	0x19: 1, 2, 4, // string
	0x1c: 2, 4, // list
	0x1e: 2, 4, // map
}

func unsignedToken(u uint64) token {
	if u > math.MaxInt64 {
		return token{kind: uintKind, i: int64(u)}
	}
	return token{kind: intKind, i: int64(u)}
}

func (r *reader) unsigned(width uint8) (uint64, error) {
	if int(width) > len(r.b)-r.at {
		return 0, r.truncated()
	}
	b := r.b[r.at:]
	r.at += int(width)
	switch width {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	}
	return binary.BigEndian.Uint64(b), nil
}

func (r *reader) container(k kind, n uint64) (token, error) {
	least := n
	if k == mapKind {
		least = 2 * n
	}
	if least > uint64(len(r.b)-r.at) {
		return token{}, r.truncated()
	}
	return token{kind: k, i: int64(n)}, nil
}

func (r *reader) text(k kind, n uint64) (token, error) {
	t := token{kind: k}
	if k == extKind {
		code, err := r.unsigned(1)
		if err != nil {
			return token{}, err
		}
		t.ext = int8(code)
	}
	if n > uint64(len(r.b)-r.at) {
		return token{}, r.truncated()
	}
	t.bytes = r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return t, nil
}

// skip passes over what the list or map t holds, depth levels below the root.
func (r *reader) skip(t token, depth int) error {
	n, err := t.children(depth)
	for ; n > 0 && err == nil; n-- {
		var child token
		if child, err = r.next(); err == nil {
			err = r.skip(child, depth+1)
		}
	}
	return err
}

// end refuses bytes after the document.
func (r *reader) end() error {
	if r.at < len(r.b) {
		return malformed("%d bytes follow the document, which ends at byte %d", len(r.b)-r.at, r.at)
	}
	return nil
}

func (r *reader) truncated() error {
	return malformed("ends too early, at byte %d", len(r.b))
}

// children is the number of values that a list or map holds, keys counted.
func (t token) children(depth int) (int, error) {
	switch {
	case t.kind != listKind && t.kind != mapKind:
		return 0, nil
	case depth >= maxDepth:
		return 0, malformed("is nested deeper than %d levels", maxDepth)
	case t.kind == mapKind:
		return 2 * int(t.i), nil
	}
	return int(t.i), nil
}

// time reads a timestamp extension, or a string of RFC 3339, between the years 1 and 9999, which RFC 3339 can write.
func (t token) time() (at time.Time, ok bool) {
	if t.kind == stringKind {
		parsed, err := time.Parse(time.RFC3339Nano, string(t.bytes))
		at, ok = parsed.UTC(), err == nil
	} else if seconds, nanoseconds, is := t.timestamp(); is {
		at = time.Unix(seconds, nanoseconds).UTC()
		ok = nanoseconds < 1e9 && -1<<40 < seconds && seconds < 1<<40 // beyond, Year overflows
	}
	return at, ok && at.Year() >= 1 && at.Year() <= 9999
}

func (t token) timestamp() (seconds, nanoseconds int64, ok bool) {
	if t.kind != extKind || t.ext != -1 {
		return 0, 0, false
	}
	switch len(t.bytes) {
	case 4:
		return int64(binary.BigEndian.Uint32(t.bytes)), 0, true
	case 8:
		u := binary.BigEndian.Uint64(t.bytes)
		return int64(u & (1<<34 - 1)), int64(u >> 34), true
	case 12:
		return int64(binary.BigEndian.Uint64(t.bytes[4:])), int64(binary.BigEndian.Uint32(t.bytes)), true
	}
	return 0, 0, false
}

func malformed(problem string, values ...any) error {
	return &FieldError{"body", "", fmt.Sprintf(problem, values...), "send one whole msgpack map or JSON object"}
}
