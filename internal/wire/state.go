package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// The library hands out times in the zone of the machine.
func init() {
	msgpack.RegisterExtDecoder(-1, time.Time{}, func(d *msgpack.Decoder, v reflect.Value, n int) error {
		b := make([]byte, n)
		if err := d.ReadFull(b); err != nil {
			return err
		}
		at, ok := token{kind: extKind, ext: -1, bytes: b}.time()
		if !ok {
			return fmt.Errorf("timestamp %x is out of range", b)
		}
		v.Set(reflect.ValueOf(at))
		return nil
	})
}

// MarshalState writes v, a struct with msgpack tags or a map, as canonical msgpack: equal values give equal bytes.
// Times keep their nanoseconds and come back in UTC. A config becomes a Raw in this way.
func MarshalState(v any) ([]byte, error) {
	b, err := encode(v)
	if err != nil {
		return nil, err
	}
	return canonical(make([]byte, 0, len(b)), b)
}

// UnmarshalState reads into v, a pointer, what MarshalState wrote; fields that v does not have are ignored. In values
// of type any, integers come back as int64, or uint64 above its range.
func UnmarshalState(b []byte, v any) error {
	d := msgpack.GetDecoder()
	defer msgpack.PutDecoder(d)
	d.Reset(bytes.NewReader(b))
	d.UseLooseInterfaceDecoding(true)
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// encode writes the fields of structs in the order of their declaration.
func encode(v any) ([]byte, error) {
	e := msgpack.GetEncoder()
	defer msgpack.PutEncoder(e)
	var b bytes.Buffer
	b.Grow(512) // most messages
	e.Reset(&b)
	e.SetSortMapKeys(true)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b.Bytes(), nil
}
