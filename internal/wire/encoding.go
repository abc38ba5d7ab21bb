package wire

import (
	"fmt"
	"maps"
	"mime"
	"slices"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// Encoding is how a message is written.
type Encoding int8

// The encodings; the default is Msgpack.
const (
	Msgpack Encoding = iota
	JSON
)

// ContentType is the encoding's media type.
func (e Encoding) ContentType() string {
	if e == JSON {
		return "application/json"
	}
	return "application/msgpack"
}

// Encode writes one of the out messages. In JSON, fields stand in the order of their declaration, other keys sorted,
// and numbers that are not finite are the strings "NaN", "Infinity" and "-Infinity".
func Encode(v any, e Encoding) ([]byte, error) {
	if e == Msgpack {
		return encode(v)
	}
	b, err := encode(v)
	if err != nil {
		return nil, err
	}
	return ToJSON(b)
}

// Decode reads one of the out messages, in the encoding that its content type names, into the struct that v points to.
// A number that is not finite, which JSON has as a string, does not fit a field of type float64.
func Decode(body []byte, contentType string, v any) error {
	b, err := toMsgpack(nil, body, contentType)
	if err != nil {
		return err
	}
	return UnmarshalState(b, v)
}

// EncodeMsgpack writes the states sorted.
func (c Counts) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeMapLen(len(c)); err != nil {
		return err
	}
	for _, state := range slices.Sorted(maps.Keys(c)) {
		if err := e.EncodeMulti(state, c[state]); err != nil {
			return err
		}
	}
	return nil
}

// toMsgpack returns the body itself if it is msgpack, otherwise its transcription, appended to buffer.
func toMsgpack(buffer, body []byte, contentType string) ([]byte, error) {
	if encodingOf(body, contentType) == Msgpack {
		return body, nil
	}
	return appendJSON(buffer, body)
}

func encodingOf(body []byte, contentType string) Encoding {
	switch contentType { // without parameters, which cost an allocation
	case "application/msgpack":
		return Msgpack
	case "application/json":
		return JSON
	case "":
		return guess(body)
	}
	mediaType, _, _ := mime.ParseMediaType(contentType)
	switch mediaType {
	case "application/msgpack", "application/x-msgpack", "application/vnd.msgpack":
		return Msgpack
	case "application/json":
		return JSON
	}
	return guess(body)
}

// guess goes by the first byte: no document in msgpack that is a map begins like JSON.
func guess(body []byte) Encoding {
	for _, c := range body {
		if !isSpace(c) {
			if c == '{' {
				return JSON
			}
			break
		}
	}
	return Msgpack
}

// checkMap refuses what is to be read as msgpack and is no map, as text does that is no
// JSON object: read on, its first byte would pass for a number.
func checkMap(body []byte, contentType string) error {
	if len(body) == 0 || encodingOf(body, contentType) == JSON {
		return nil
	}
	first := body[0]
	if first&0xf0 == 0x80 || first == 0xde || first == 0xdf {
		return nil
	}
	begin := fmt.Sprintf("the byte 0x%02x", first)
	if first < utf8.RuneSelf {
		begin = quote(truncate(string(body[:min(len(body), 24)]), 20))
	}
	return &FieldError{"body", "", "begins with " + begin + " and is neither a JSON object nor a msgpack map", "send one of these"}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
