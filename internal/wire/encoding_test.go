package wire

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEncodeJSON(t *testing.T) {
	t.Parallel()
	config, err := MarshalState(map[string]any{"lr": 0.1, "b": "<x>", "a": int64(300)})
	if err != nil {
		t.Fatal(err)
	}
	best := &BestTrial{Trial: 2, Config: map[string]any{"z": 1.0, "y": true}, Value: 0.5, DurationMS: 70_000}
	for want, message := range map[string]any{
		`{"model_id":"m","study":"s","trial":0,"attempt":1,"strategy":"grid","config":{"a":1,"b":2.0},"issued_at":"T","sequence":9}`: Config{
			ModelID: "m", Study: "s", Trial: new(0), Attempt: 1, Strategy: "grid", Config: map[string]any{"b": 2.0, "a": 1},
			IssuedAt: "T", Sequence: 9},
		`{"model_id":"m","number":0,"strategy":"explore","config":{"a":"é\n"},"issued_at":"T","run_id":"r"}`: Config{
			ModelID: "m", Number: new(uint64(0)), Strategy: "explore", Config: map[string]any{"a": "é\n"}, IssuedAt: "T", RunID: "r"},
		`{"model_id":"m","study":"s","trial":0,"attempt":1,"reason":"pruned","time":"T"}`: Stop{"m", "s", 0, 1, "pruned", "T"},
		`{"id":"I","model_id":"m","trigger":"degraded","reason":"R","severity":"critical","metric":"loss","detector":"d",` +
			`"value":"NaN","reference":"-Infinity","config":{"a":300,"b":"<x>","lr":0.1},"version":"v","time":"T","sequence":1}`: &Retrain{
			ID: "I", ModelID: "m", Trigger: "degraded", Reason: "R", Severity: "critical", Metric: "loss", Detector: "d",
			Value: new(math.NaN()), Reference: new(math.Inf(-1)), Config: config, Version: "v", Time: "T", Sequence: 1},
		`{"model_id":"m","study":"s","strategy":"grid","reason":"exhausted","best_trial":{"trial":2,"config":{"y":true,"z":1.0},` +
			`"value":0.5,"duration_ms":70000},"counts":{"complete":2,"failed":1},"trials":[{"trial":0,"config":{},"state":"failed",` +
			`"duration_ms":0,"attempts":1}],"started_at":"A","finished_at":"B"}`: Summary{
			ModelID: "m", Study: "s", Strategy: "grid", Reason: "exhausted", BestTrial: best,
			Counts: Counts{"failed": 1, "complete": 2}, StartedAt: "A", FinishedAt: "B",
			Trials: []TrialResult{{Config: map[string]any{}, State: "failed", Attempts: 1}}},
	} {
		got, err := Encode(message, JSON)
		if err != nil || string(got) != strings.ReplaceAll(want, "\n", `\n`) {
			t.Errorf("got  %s (%v)\nwant %s", got, err, want)
		}
		if !json.Valid(got) {
			t.Errorf("%s is not JSON", got)
		}
	}
}

func TestDecodeInvertsEncode(t *testing.T) {
	t.Parallel()
	want := Config{ModelID: "m", Study: "s", Trial: new(0), Attempt: 1, Strategy: "grid", IssuedAt: "T", Sequence: 1 << 40,
		Config: map[string]any{"a": int64(200), "b": -2.0, "c": "x", "d": false, "e": int64(-70_000), "f": 1e300}}
	for _, encoding := range []Encoding{Msgpack, JSON} {
		body, err := Encode(want, encoding)
		if err != nil {
			t.Fatal(err)
		}
		var got Config
		if err := Decode(body, encoding.ContentType(), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (%v)", encoding.ContentType(), got, err)
		}
	}
	var c Config
	if err := Decode([]byte("{"), "", &c); err == nil {
		t.Error("half an object accepted")
	}
}

type storedState struct {
	Config map[string]any   `msgpack:"config"`
	Nested map[string][]any `msgpack:"nested"`
	Counts map[string]int   `msgpack:"counts"`
	At     time.Time        `msgpack:"at"`
	Zero   time.Time        `msgpack:"zero,omitempty"`
	Never  time.Time        `msgpack:"never"`
	Raw    Raw              `msgpack:"raw,omitempty"`
	None   Raw              `msgpack:"none"`
	Big    uint64           `msgpack:"big"`
	Value  *float64         `msgpack:"value"`
	Window []float64        `msgpack:"window"`
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	raw, err := MarshalState(map[string]any{"x": 1})
	if err != nil {
		t.Fatal(err)
	}
	want := storedState{
		Config: map[string]any{"a": int64(128), "b": int64(70_000), "c": int64(1 << 40), "d": int64(-200), "e": 3.0, "f": nil,
			"g": []any{int64(255), map[string]any{"h": int64(32768)}}, "i": uint64(math.MaxUint64)},
		Nested: map[string][]any{"x": {int64(200), "s"}},
		Counts: map[string]int{"a": 1, "b": 65536},
		At:     time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC),
		Raw:    raw, Big: math.MaxUint64, Value: new(math.Inf(1)), Window: []float64{1, 0.1},
	}
	stored := want
	stored.At = want.At.In(time.FixedZone("", 3600))
	b, err := MarshalState(stored)
	if err != nil {
		t.Fatal(err)
	}
	var got storedState
	if err := UnmarshalState(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	var part struct {
		Big uint64 `msgpack:"big"`
	}
	if err := UnmarshalState(b, &part); err != nil || part.Big != want.Big {
		t.Errorf("unknown fields: %v", err)
	}
	text, err := ToJSON(b)
	if err != nil || !strings.Contains(string(text), `"at":"2026-01-02T03:04:05.678901234Z"`) {
		t.Errorf("%s (%v)", text, err)
	}
}

func TestMarshalStateIsDeterministic(t *testing.T) {
	t.Parallel()
	type state string
	v := map[string]any{"counts": map[state]int{}, "any": map[string]any{}}
	for _, k := range strings.Split("qwertyuiopasdfghjklzxcvbnm", "") {
		v["counts"].(map[state]int)[state(k)] = 1
		v["any"].(map[string]any)[k+strings.Repeat("x", 40)] = 2
	}
	first, err := MarshalState(v)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := MarshalState(v); string(again) != string(first) {
			t.Fatal("equal values, different bytes")
		}
	}
}

func TestUnmarshalStateErrors(t *testing.T) {
	t.Parallel()
	var s storedState
	for _, b := range []string{"", "\x81", "\xa1x", "\x81\xa2at\xc7\x0c\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if err := UnmarshalState([]byte(b), &s); err == nil {
			t.Errorf("%x accepted", b)
		}
	}
	if _, err := MarshalState(map[string]any{"f": func() {}}); err == nil {
		t.Error("a function cannot be stored")
	}
}

func TestRawAsJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"Config":{"a":1,"b":2.5}}`, `{"Config":null}`} {
		var v struct{ Config Raw }
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(v); err != nil || string(got) != text {
			t.Errorf("%s became %s (%v)", text, got, err)
		}
	}
	if m, err := Raw(nil).Map(); m != nil || err != nil {
		t.Errorf("no config is %v, %v", m, err)
	}
	if _, err := (Raw{0x01}).Map(); err == nil {
		t.Error("a number is no config")
	}
}

func TestToJSON(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		"\x83\x01\xc0\xa1a\xc4\x02\x01\x02\xa1b\xc7\x01\x05\x07":       `{"1":null,"a":"AQI=","b":"Bw=="}`,
		"\x92\xca\x3f\x00\x00\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff": `[0.5,18446744073709551615]`,
		"\xa2\"\\":                             `"\"\\"`,
		"\xa1\xff":                             `"\ufffd"`,
		"\xcb\x44\xb5\x2d\x02\xc7\xe1\x4a\xf6": `1e+23`,
	} {
		if got, err := ToJSON([]byte(document)); err != nil || string(got) != want {
			t.Errorf("%x: %s (%v), want %s", document, got, err, want)
		}
	}
	for _, document := range []string{"", "\x81\x01", "\x00\x00", strings.Repeat("\x91", 100)} {
		if got, err := ToJSON([]byte(document)); err == nil {
			t.Errorf("%x: %s", document, got)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 7200))
	if got := Time(at); got != "2026-01-02T01:04:05.006Z" {
		t.Error(got)
	}
}
