package app

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/duration"
	"github.com/visutility/retune/internal/wire"
)

// Size is a number of bytes.
type Size int64

var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// ParseSize reads a size as worker.yaml has it, such as 10GiB.
func ParseSize(s string) (Size, error) {
	for _, unit := range units {
		number, ok := strings.CutSuffix(s, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if bytes := n * unit.bytes; err == nil && bytes >= 0 && bytes < math.MaxInt64 {
			return Size(bytes), nil
		}
		break
	}
	return 0, fmt.Errorf("%q is not a size: give one such as 512MiB or 10GiB", s)
}

// UnmarshalYAML reads a size and says where it is wrong.
func (s *Size) UnmarshalYAML(n ast.Node) error { return unmarshalScalar(n, s, ParseSize) }

// Duration is a time.Duration that worker.yaml may give in days.
type Duration time.Duration

// ParseDuration reads a duration as worker.yaml has it, such as 90s, 36h or 7d12h.
func ParseDuration(s string) (Duration, error) {
	d, err := duration.Parse(s)
	return Duration(d), err
}

// UnmarshalYAML reads a duration and says where it is wrong.
func (d *Duration) UnmarshalYAML(n ast.Node) error { return unmarshalScalar(n, d, ParseDuration) }

// String is the duration as people write it.
func (d Duration) String() string { return duration.String(time.Duration(d)) }

func unmarshalScalar[T any](n ast.Node, to *T, parse func(string) (T, error)) error {
	text, ok := scalar(n)
	if !ok {
		text = n.String()
	}
	value, err := parse(text)
	if err != nil {
		return mistakeAt(n, "%w", err)
	}
	*to = value
	return nil
}

// UnmarshalYAML reads an encoding for all kinds, or a mapping by kind.
func (e *Encodings) UnmarshalYAML(n ast.Node) error {
	*e = Encodings{}
	entries, ok := n.(ast.MapNode)
	if !ok {
		for _, kind := range encodedKinds {
			if err := e.set(n, kind); err != nil {
				return err
			}
		}
		return nil
	}
	for each := entries.MapRange(); each.Next(); {
		kind := each.Key().String()
		if !slices.Contains(encodedKinds, kind) {
			return mistakeAt(each.Key(), "unknown kind of output: %s", meant(kind, encodedKinds))
		}
		if err := e.set(each.Value(), kind); err != nil {
			return err
		}
	}
	return nil
}

// encodedKinds are the kinds of outputs that are encoded; dead letters carry what
// came in.
var encodedKinds = []string{coordinator.KindConfig, coordinator.KindRetrain, coordinator.KindStop, coordinator.KindSummary}

func (e Encodings) set(n ast.Node, kind string) error {
	switch text, _ := scalar(n); text {
	case "msgpack": // said by absence
	case "json":
		e[kind] = wire.JSON
	default:
		return mistakeAt(n, "%s is not an encoding: give msgpack or json", shown(n))
	}
	return nil
}

// String is the size as people write it.
func (s Size) String() string {
	for _, unit := range slices.Backward(units[:4]) {
		if n := int64(unit.bytes); int64(s) >= n && int64(s)%n == 0 {
			return fmt.Sprintf("%d%s", int64(s)/n, unit.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Secret is a string that may hold a credential: it is neither printed nor encoded.
type Secret string

const concealed = "***"

// UnmarshalYAML reads a string, and does not repeat what is none.
func (s *Secret) UnmarshalYAML(n ast.Node) error {
	text, ok := scalar(n)
	if !ok {
		return mistakeAt(n, "is not a string: give one")
	}
	*s = Secret(text)
	return nil
}

// String hides it from whatever prints it.
func (Secret) String() string { return concealed }

// GoString hides it from %#v.
func (Secret) GoString() string { return concealed }

// MarshalText hides it from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(concealed), nil }
