package wire

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestDecodeCommand(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Command{
		`{"op":"start","study":{"max_trials":3,"space":{"x":{"low":0.5}}}}`: {Op: "start",
			Study: map[string]any{"max_trials": int64(3), "space": map[string]any{"x": map[string]any{"low": 0.5}}}},
		`{"op":"stop","name":"s-1","other":[]}`: {Op: "stop", Name: "s-1"},
		`{"op":"enqueue","name":"s","config":{"a":1,"b":null,"c":"x"}}`: {Op: "enqueue", Name: "s",
			Config: map[string]any{"a": int64(1), "c": "x"}},
		`{"op":"forget"}`:   {Op: "forget"},
		`{"op":"baseline"}`: {Op: "baseline"},
	} {
		text, err := DecodeCommand([]byte(body), "")
		if err != nil || !reflect.DeepEqual(text, want) {
			t.Errorf("%s: %+v, %v", body, text, err)
		}
		document, _ := appendJSON(nil, []byte(body))
		packed, err := DecodeCommand(document, "application/msgpack")
		if err != nil || !reflect.DeepEqual(packed, want) {
			t.Errorf("msgpack of %s: %+v, %v", body, packed, err)
		}
	}
}

func TestDecodeCommandErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                           `op: null is not an operation: send start, stop, enqueue, baseline or forget`,
		`{"op":"go"}`:                  `op: "go" is not an operation`,
		`[`:                            `body: begins with "[" and is neither a JSON object`,
		`{"op":"start"}`:               `study: null is not a study`,
		`{"op":"start","study":[1]}`:   `study: a list is not a study`,
		`{"op":"stop"}`:                `name: null is not a name`,
		`{"op":"stop","name":"a.b"}`:   `name: "a.b" is not a name`,
		`{"op":"enqueue","config":{}}`: `name: null is not a name`,
		`{"op":"enqueue","name":"s"}`:  `config: null is not a config`,
		`{"op":"enqueue","name":"s","config":{"b":{},"a":[]}}`:                   `config.a: a list is not a hyper-parameter`,
		`{"op":"enqueue","name":"s","config":` + entries(1001) + `}`:             `config: has 1001 entries`,
		`{"op":"start","study":{"name":"` + strings.Repeat("x", 512<<10) + `"}}`: `bytes: send at most 524288`,
		`{"op":"stop"`: `ends too early`,
	} {
		_, err := DecodeCommand([]byte(body), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %s", body, err, want)
		}
	}
}

func TestDecodeTree(t *testing.T) {
	t.Parallel()
	got, err := DecodeTree([]byte(`{"a":[1,-2.5,1e2,"x",true,null,9223372036854775808],"b":{}}`), "")
	want := map[string]any{"a": []any{int64(1), -2.5, 100.0, "x", true, nil, 9223372036854775808.0}, "b": map[string]any{}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v (%v)", got, err)
	}
	got, err = DecodeTree([]byte("\x94\xd6\xff\x00\x00\x00\x00\xd4\x01\x00\xc4\x01b\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "")
	want2 := []any{"1970-01-01T00:00:00Z", nil, "b", uint64(1<<64 - 1)}
	if err != nil || !reflect.DeepEqual(got, want2) {
		t.Errorf("%v (%v)", got, err)
	}
}

// Not parallel: it measures what the process allocates.
func TestLengthsAreNotBelieved(t *testing.T) {
	nested := strings.Repeat("\xdd\x00\x00\xff\xff", 60) + strings.Repeat("\x00", 1<<16)
	for _, body := range []string{"\xdf\xff\xff\xff\xff", "\xdd\x7f\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\x81\xa1a\xdf\x10\x00\x00\x00", nested} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := DecodeTree([]byte(body), "application/msgpack"); err == nil {
			t.Errorf("%.20x accepted", body)
		}
		_, _ = DecodeReport([]byte(body), "application/msgpack")
		_, _ = ToJSON([]byte(body))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
			t.Errorf("%.20x: %d bytes allocated", body, n)
		}
	}
}
