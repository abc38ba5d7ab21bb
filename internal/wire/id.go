package wire

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"time"
)

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford

var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// ID is a ULID (github.com/ulid/spec). It sorts by t, to the nanosecond, and by index within an input; the rest is a
// hash of what caused it instead of chance, so that an output emitted again bears the same id.
func ID(t time.Time, model string, sequence uint64, index int) string {
	digest := hash(model, sequence, binary.BigEndian.AppendUint64(nil, uint64(index)))
	nanos := uint64(t.Nanosecond() % int(time.Millisecond)) // fewer than 20 bits
	var rest [10]byte
	copy(rest[:], digest[:])
	binary.BigEndian.PutUint64(rest[:], nanos<<44|uint64(min(index, 255))<<36|binary.BigEndian.Uint64(digest[:])>>28)
	return timestamp(uint64(max(t.UnixMilli(), 0))) + crockford.EncodeToString(rest[:])
}

// timestamp writes the low 50 bits of ms, the two highest zero, as 10 characters.
func timestamp(ms uint64) string {
	var b [10]byte
	for i := range b {
		b[9-i] = alphabet[ms>>(5*i)&31]
	}
	return string(b[:])
}

// Seed derives the seed of a random choice from the input that caused it; different salts give independent seeds.
func Seed(model string, sequence uint64, salt string) uint64 {
	digest := hash(model, sequence, []byte(salt))
	return binary.BigEndian.Uint64(digest[:])
}

// hash keeps its parts apart: a model has no zero byte.
func hash(model string, sequence uint64, rest []byte) [sha256.Size]byte {
	b := append(append(make([]byte, 0, 160), model...), 0)
	b = binary.BigEndian.AppendUint64(b, sequence)
	return sha256.Sum256(append(b, rest...))
}
