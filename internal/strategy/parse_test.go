package strategy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseSpaceErrors(t *testing.T) {
	t.Parallel()
	float := func(extra tree) tree { return with(tree{"type": "float", "low": 1, "high": 2}, extra) }
	ints := func(extra tree) tree { return with(tree{"type": "int", "low": 1, "high": 5}, extra) }
	many := tree{}
	for i := range 1001 {
		many[fmt.Sprint(i)] = ints(nil)
	}
	for _, c := range []struct {
		space tree
		want  string
	}{
		{nil, "space: has no parameter"},
		{many, "space: 1001 parameters are too many: give at most 1000"},
		{tree{"x": 3}, "space.x: 3 is not a map"},
		{tree{"": ints(nil)}, "space: a name is empty"},
		{tree{"x": tree{}}, "space.x.type: null is not a type: give float, int or categorical"},
		{tree{"x": tree{"type": "flaot"}}, `space.x.type: "flaot" is not a type`},
		{tree{"x": tree{"type": "values", "values": []any{1}}}, `space.x.type: "values" is not a type`},
		{tree{"x": float(tree{"choices": []any{1}})}, "space.x.choices: does not go with float"},
		{tree{"x": tree{"values": []any{1}, "low": 1}}, "space.x.low: does not go with values"},
		{tree{"lr": float(tree{"low": "abc"})}, `space.lr.low: "abc" is not a number: give the smallest value`},
		{tree{"x": float(tree{"low": nil})}, "space.x.low: is missing"},
		{tree{"x": float(tree{"high": nil})}, "space.x.high: is missing"},
		{tree{"x": float(tree{"high": math.NaN()})}, "space.x.high: NaN is not finite"},
		{tree{"x": float(tree{"high": math.Inf(1)})}, "space.x.high: +Inf is not finite"},
		{tree{"x": float(tree{"low": 3})}, "space.x.low: 3 is above high, 2"},
		{tree{"x": float(tree{"low": -1e308, "high": 1e308})}, "space.x.high: 1e+308 is too far from low"},
		{tree{"x": float(tree{"log": "yes"})}, `space.x.log: "yes" is not a bool`},
		{tree{"x": float(tree{"log": true, "low": 0})}, "space.x.low: 0 is not positive"},
		{tree{"x": float(tree{"log": true, "step": 0.1})}, "space.x.step: does not go with log"},
		{tree{"x": float(tree{"step": 0})}, "space.x.step: 0 is too small"},
		{tree{"x": float(tree{"step": -1})}, "space.x.step: -1 is too small"},
		{tree{"x": float(tree{"step": 1e-20})}, "space.x.step: 1e-20 is too small"},
		{tree{"x": ints(tree{"low": 1.5})}, "space.x.low: 1.5 is not an integer"},
		{tree{"x": ints(tree{"high": true})}, "space.x.high: true is not an integer"},
		{tree{"x": ints(tree{"high": 1e19})}, "space.x.high: 1e+19 is not an integer"},
		{tree{"x": ints(tree{"step": 0})}, "space.x.step: 0 is not positive"},
		{tree{"x": ints(tree{"step": 0.5})}, "space.x.step: 0.5 is not an integer"},
		{tree{"x": ints(tree{"low": 9})}, "space.x.low: 9 is above high, 5"},
		{tree{"x": ints(tree{"low": int64(math.MaxInt64), "high": int64(math.MaxInt64 - 1)})}, "space.x.low: 9223372036854775807 is above high"},
		{tree{"x": ints(tree{"log": true, "low": 0})}, "space.x.low: 0 is not positive"},
		{tree{"x": ints(tree{"log": true, "step": 1})}, "space.x.step: does not go with log"},
		{tree{"x": tree{"type": "categorical"}}, "space.x.choices: null is not a list"},
		{tree{"x": tree{"type": "categorical", "choices": []any{}}}, "space.x.choices: the list is empty"},
		{tree{"x": tree{"values": []any{1, "a", 1.0}}}, "space.x.values[2]: 1 is there twice"},
		{tree{"x": tree{"values": []any{1, []any{}}}}, "space.x.values[1]: a list cannot be a value"},
		{tree{"x": tree{"values": []any{nil}}}, "space.x.values[0]: null cannot be a value"},
		{tree{"x": tree{"values": []any{math.NaN()}}}, "space.x.values[0]: NaN cannot be a value"},
		{tree{"x": ints(tree{"when": 3})}, "space.x.when: 3 is not a map"},
		{tree{"x": ints(tree{"when": tree{"y": []any{1}}})}, "space.x.when.y: is not another parameter"},
		{tree{"x": ints(tree{"when": tree{"x": []any{1}}})}, "space.x.when.x: is not another parameter"},
		{tree{"x": ints(tree{"when": tree{"y": 1}}), "y": ints(nil)}, "space.x.when.y: 1 is not a list of values"},
		{tree{"x": ints(tree{"when": tree{"y": []any{}}}), "y": ints(nil)}, "space.x.when.y: a list is not a list of values"},
		{tree{"x": ints(tree{"when": tree{"y": []any{1, 6}}}), "y": ints(nil)}, "space.x.when.y: 6 is no value of y: give an integer from 1 to 5"},
		{tree{
			"a": ints(tree{"when": tree{"c": []any{1}}}), "b": ints(tree{"when": tree{"d": []any{1}}}),
			"c": ints(tree{"when": tree{"b": []any{1}}}), "d": ints(tree{"when": tree{"c": []any{1}}}),
		}, "space.c.when: c → b → d → c is a cycle"},
		{tree{strings.Repeat("ü", 80): 3}, "space." + strings.Repeat("ü", 40) + "…: 3 is not a map"},
	} {
		s, err := ParseSpace(c.space)
		if got := message(t, err); !strings.HasPrefix(got, c.want) || err == nil {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
		if s != nil {
			t.Errorf("%q: a space beside the error", c.want)
		}
	}
}

func with(base, extra tree) tree {
	for name, v := range extra {
		base[name] = v
	}
	return base
}

func TestParseSpaceTolerates(t *testing.T) {
	t.Parallel()
	s := mustParse(t, tree{
		"a": tree{"type": "int", "low": uint64(1), "high": 3.0, "step": nil, "when": nil, "comment": "unknown"},
		"b": tree{"type": "float", "low": float32(0.5), "high": int8(2), "step": uint16(1)},
		"c": tree{"values": []any{"1", 1, true}},
		"d": tree{"values": []any{1, 2}, "when": tree{"a": []any{3.0}, "c": []any{1.0}}},
	})
	if n, _ := s.Size(); n != 3*2*3+1*2*1 {
		t.Fatalf("Size = %d", n)
	}
}

func FuzzParseSpace(f *testing.F) {
	for _, seed := range []string{
		`{"lr": {"type": "float", "low": 1e-4, "high": 1, "log": true}}`,
		`{"x": {"type": "int", "low": -9223372036854775808, "high": 9223372036854775807, "step": 3}}`,
		`{"m": {"type": "categorical", "choices": ["a", "b", 1, true]}, "d": {"values": [1, 2.5], "when": {"m": ["a", 1.0]}}}`,
		`{"x": {"type": "float", "low": -1, "high": 1, "step": 0.1}, "y": {"type": "int", "low": 1, "high": 9, "log": true, "when": {"x": [0.3]}}}`,
		`{"a": {"values": [1], "when": {"b": [1]}}, "b": {"values": [1], "when": {"a": [1]}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		description, err := decode(document)
		if err != nil {
			return
		}
		s, err := ParseSpace(description)
		if err != nil {
			var field *FieldError
			if !errors.As(err, &field) {
				t.Fatalf("%#v is no *FieldError", err)
			}
			return
		}
		config := s.Sample(rand.New(rand.NewPCG(1, 2)))
		if err := s.Check(config); err != nil {
			t.Fatalf("Sample: %v", err)
		}
		n, finite := s.Size()
		for _, i := range []uint64{0, n / 2, n - 1} {
			if err := s.Check(s.At(i)); finite && i < n && err != nil {
				t.Fatalf("At(%d): %v", i, err)
			}
		}
	})
}

// decode reads whole numbers as int64, as the decoders in front of this package do.
func decode(document []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var description map[string]any
	err := decoder.Decode(&description)
	convert(description)
	return description, err
}

func convert(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for name, field := range x {
			x[name] = convert(field)
		}
	case []any:
		for i, element := range x {
			x[i] = convert(element)
		}
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	}
	return v
}
