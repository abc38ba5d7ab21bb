package wire

import (
	"bytes"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// Raw is a config as canonical msgpack, which is smaller than a map; nil is none. MarshalState of a map makes one.
type Raw []byte

// Map decodes the config; of none it is nil.
func (r Raw) Map() (map[string]any, error) {
	if len(r) == 0 {
		return nil, nil
	}
	in := reader{b: r}
	t, err := in.root("a config")
	if err != nil {
		return nil, err
	}
	return in.treeMap(int(t.i), 1)
}

// EncodeMsgpack writes the config as a map, or nil.
func (r Raw) EncodeMsgpack(e *msgpack.Encoder) error {
	if len(r) == 0 {
		return e.EncodeNil()
	}
	return e.Encode(msgpack.RawMessage(r))
}

// DecodeMsgpack keeps a copy of the bytes of a map.
func (r *Raw) DecodeMsgpack(d *msgpack.Decoder) error {
	b, err := d.DecodeRaw()
	if err == nil && !bytes.Equal(b, []byte{0xc0}) {
		*r = Raw(slices.Clone(b))
	}
	return err
}

// MarshalJSON writes the config as an object, or null.
func (r Raw) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return ToJSON(r)
}

// UnmarshalJSON reads an object.
func (r *Raw) UnmarshalJSON(b []byte) error {
	document, err := appendJSON(nil, b)
	if err == nil && document[0] != 0xc0 {
		*r, err = canonical(nil, document)
	}
	return err
}
