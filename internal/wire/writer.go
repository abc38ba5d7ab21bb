package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// canonical appends the document in its one canonical form: map keys sorted, every number and length in its shortest
// form, integers signed and floats with 64 bits. Unsigned formats are kept for what needs them, because a generic
// reader takes them for another type.
func canonical(dst, document []byte) ([]byte, error) {
	r := reader{b: document}
	return r.canonicalNext(dst, 0)
}

func (r *reader) canonical(dst []byte, t token, depth int) ([]byte, error) {
	if t.kind == mapKind {
		return r.canonicalMap(dst, t, depth)
	}
	n, err := t.children(depth)
	dst = appendToken(dst, t)
	for ; n > 0 && err == nil; n-- {
		dst, err = r.canonicalNext(dst, depth+1)
	}
	return dst, err
}

func (r *reader) canonicalMap(dst []byte, t token, depth int) ([]byte, error) {
	if _, err := t.children(depth); err != nil {
		return dst, err
	}
	dst = appendToken(dst, t)
	var few [16]pair
	pairs, start := few[:0], len(dst)
	for range t.i {
		p, err := pair{start: len(dst)}, error(nil)
		if dst, err = r.canonicalNext(dst, depth+1); err != nil {
			return dst, err
		}
		p.text, p.value = textStart(dst[p.start:])+p.start, len(dst)
		if dst, err = r.canonicalNext(dst, depth+1); err != nil {
			return dst, err
		}
		p.end = len(dst)
		pairs = append(pairs, p)
	}
	if !sortPairs(dst, pairs) {
		sorted := make([]byte, 0, len(dst)-start)
		for _, p := range pairs {
			sorted = append(sorted, dst[p.start:p.end]...)
		}
		copy(dst[start:], sorted)
	}
	return dst, nil
}

func (r *reader) canonicalNext(dst []byte, depth int) ([]byte, error) {
	t, err := r.next()
	if err != nil {
		return dst, err
	}
	return r.canonical(dst, t, depth)
}

// pair is where one key, the text within the key and the value stand in a buffer.
type pair struct{ start, text, value, end int }

// sortPairs sorts pairs by their keys in b, and tells whether they were sorted already. Equal keys keep their order.
func sortPairs(b []byte, pairs []pair) bool {
	order := func(p, q pair) int { return comparePairs(b, p, q) }
	if slices.IsSortedFunc(pairs, order) {
		return true
	}
	slices.SortStableFunc(pairs, order)
	return false
}

func comparePairs(b []byte, p, q pair) int {
	return bytes.Compare(b[p.text:p.value], b[q.text:q.value])
}

// textStart is where the text begins in a string key, so that keys sort as text; other keys sort whole.
func textStart(key []byte) int {
	switch {
	case key[0]&0xe0 == 0xa0:
		return 1
	case 0xd9 <= key[0] && key[0] <= 0xdb:
		return 1 + int(widths[key[0]-0xc0])
	}
	return 0
}

// appendToken writes t in its shortest form, of a list or map the head.
func appendToken(dst []byte, t token) []byte {
	switch t.kind {
	case boolKind:
		return append(dst, 0xc2|byte(t.i))
	case intKind:
		return appendInt(dst, t.i)
	case uintKind:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), uint64(t.i))
	case floatKind:
		return appendFloat(dst, t.float())
	case stringKind:
		if len(t.bytes) < 32 {
			return append(append(dst, 0xa0|byte(len(t.bytes))), t.bytes...)
		}
		return append(appendLength(dst, 0xd9, len(t.bytes)), t.bytes...)
	case binaryKind:
		return append(appendLength(dst, 0xc4, len(t.bytes)), t.bytes...)
	case listKind:
		return appendHead(dst, 0x90, 0xdc, int(t.i))
	case mapKind:
		return appendHead(dst, 0x80, 0xde, int(t.i))
	case extKind:
		return appendExt(dst, t)
	}
	return append(dst, 0xc0)
}

func appendInt(dst []byte, i int64) []byte {
	switch {
	case -32 <= i && i < 128:
		return append(dst, byte(i))
	case int64(int8(i)) == i:
		return append(dst, 0xd0, byte(i))
	case int64(int16(i)) == i:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(i))
	case int64(int32(i)) == i:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(i))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(i))
}

// appendFloat writes one form of NaN, whose bits differ between machines.
func appendFloat(dst []byte, f float64) []byte {
	if f != f {
		f = math.NaN()
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

// appendHead writes the head of a list or map, which has no form with one byte.
func appendHead(dst []byte, short, code byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, short|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code+1), uint32(n))
}

// appendLength writes a length after the code of the form for 1, 2 or 4 bytes, which are consecutive.
func appendLength(dst []byte, code byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, code, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code+2), uint32(n))
}

func appendExt(dst []byte, t token) []byte {
	switch n := len(t.bytes); n {
	case 1, 2, 4, 8, 16:
		dst = append(dst, 0xd4+byte(bits.TrailingZeros(uint(n))))
	default:
		dst = appendLength(dst, 0xc7, n)
	}
	return append(append(dst, byte(t.ext)), t.bytes...)
}
