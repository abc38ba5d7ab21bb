package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var fuzzSeeds = []string{
	`{"metrics":{"loss":0.5,"a":NaN,"b":"Infinity"},"config":{"lr":0.1,"n":3,"o":"x","p":true,"q":null}}`,
	`{"study":"s","trial":3,"attempt":1,"step":2,"state":"running","time":"2026-01-02T03:04:05Z"}`,
	`{"op":"start","study":{"name":"s","space":{"x":{"type":"float","low":-1e-3,"high":Infinity}}}}`,
	`{"op":"enqueue","name":"s","config":{"a\u00e9\ud83d\ude00":-12}}`,
	"\x82\xa4step\x01\xa6config\xdf\x00\x00\x00\x01\xa1a\xcc\xc8",
	"\x82\xa4step\x00\xa4time\xd6\xff\x00\x00\x00\x00",
	"[[[[", "{\"a\"", "\xdf\xff\xff\xff\xff", "",
}

// FuzzDecode feeds arbitrary bytes to all that reads input. Nothing may panic, and a JSON document and its msgpack
// must decode alike.
func FuzzDecode(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add([]byte(seed))
	}
	var d Decoder // reused, as in the worker
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Report
		err := d.DecodeReport(body, "", &r)
		if err == nil && r.State == Complete && len(r.Metrics) == 0 {
			t.Error("complete without metrics")
		}
		if err != nil && (len(err.Error()) > 800 || !utf8.ValidString(err.Error())) {
			t.Errorf("rubbish in an error: %q", err)
		}
		_, _ = DecodeCommand(body, "")
		if tree, err := DecodeTree(body, ""); err == nil {
			sameOnceMore(t, tree)
		}
		if document, err := appendJSON(nil, body); err == nil {
			sameReports(t, body, document)
		}
	})
}

// sameOnceMore stores a tree, reads it and stores it again.
func sameOnceMore(t *testing.T, tree any) {
	b, err := MarshalState(tree)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeTree(b, "application/msgpack")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := MarshalState(again); err != nil || string(c) != string(b) {
		t.Errorf("%x became %x (%v)", b, c, err)
	}
	if text, err := ToJSON(b); err != nil || !json.Valid(text) {
		t.Errorf("%x is printed as %s (%v)", b, text, err)
	}
}

func sameReports(t *testing.T, text, packed []byte) {
	fromText, errText := DecodeReport(text, "application/json")
	fromPacked, errPacked := DecodeReport(packed, "application/msgpack")
	if fmt.Sprint(errText) != fmt.Sprint(errPacked) {
		t.Errorf("%s: %v as JSON, %v as msgpack", text, errText, errPacked)
	}
	if errText == nil && fmt.Sprintf("%#v", fromText) != fmt.Sprintf("%#v", fromPacked) {
		t.Errorf("%s: %#v as JSON, %#v as msgpack", text, fromText, fromPacked)
	}
}

// FuzzJSON compares the scanner with encoding/json: it takes the same documents, and means the same by them.
func FuzzJSON(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tree, err := DecodeTree(body, "application/json")
		var want any
		if wantErr := json.Unmarshal(body, &want); wantErr != nil {
			return // encoding/json refuses NaN, Infinity and 1e999
		}
		if err != nil {
			if _, deep := want.(string); !deep && nesting(want) > maxDepth {
				return
			}
			t.Fatalf("%s: %v", body, err)
		}
		if got := floats(tree); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", body, got, want)
		}
	})
}

// floats turns integers into what encoding/json makes of them.
func floats(tree any) any {
	switch v := tree.(type) {
	case int64:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	}
	return tree
}

func nesting(tree any) int {
	deepest := -1
	switch v := tree.(type) {
	case []any:
		for _, e := range v {
			deepest = max(deepest, nesting(e))
		}
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, nesting(e))
		}
	default:
		return 0
	}
	return max(deepest, 0) + 1
}

func TestRefusesWhatJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "{", "[1 2]", "[1,]", "[,1]", `{"a":1,}`, `{"a"}`, `{a:1}`, "01", "+1", ".5", "1.", "1e", "--1",
		"-", "tru", "nan", "infinity", "- Infinity", `"\u12"`, `"\q"`, "\"\n\"", `"a`, `"\`, "1 2", "[1]]", "\x00", "1\x00", "NaNN"} {
		if tree, err := DecodeTree([]byte(text), "application/json"); err == nil {
			t.Errorf("%q accepted as %v", text, tree)
		}
	}
}

func configs() *rapid.Generator[map[string]any] {
	value := rapid.OneOf(rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny(), rapid.Bool().AsAny(),
		rapid.SampledFrom([]float64{math.MaxFloat64, -math.MaxFloat64, 0, 3}).AsAny())
	return rapid.MapOfN(rapid.String(), value, 0, 40)
}

func TestConfigsSurvive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := configs().Draw(t, "config")
		body, err := MarshalState(map[string]any{"step": 1, "config": want})
		if err != nil {
			t.Fatal(err)
		}
		r, err := DecodeReport(body, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.ConfigMap()
		if err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Fatalf("%#v (%v)", got, err)
		}
		stored, err := MarshalState(got)
		if err != nil || string(stored) != string(r.Config) {
			t.Fatalf("%x is not canonical: %x (%v)", r.Config, stored, err)
		}
	})
}

func TestMetricsSurviveInBothEncodings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOfN(rapid.String(), rapid.Float64(), 1, 40).Draw(t, "metrics")
		body, err := MarshalState(map[string]any{"metrics": want})
		if err != nil {
			t.Fatal(err)
		}
		text, err := ToJSON(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{body, text} {
			r, err := DecodeReport(b, "")
			if err != nil || len(r.Metrics) != len(want) {
				t.Fatalf("%d of %d metrics (%v)", len(r.Metrics), len(want), err)
			}
			for _, m := range r.Metrics {
				if m.Value != want[m.Name] {
					t.Fatalf("%q is %v, want %v", m.Name, m.Value, want[m.Name])
				}
			}
		}
	})
}
