package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeReportFields(t *testing.T) {
	t.Parallel()
	body := `{"metrics": {"loss": 0.5, "accuracy": 1, "loss": 0.25}, "config": {"lr": 0.1, "n": 3, "opt": "adam", "on": true},
		"study": "s-1", "trial": 0, "attempt": 2.0, "step": 7, "state": "failed", "error": "oom", "duration_ms": 1500,
		"time": "2026-01-02T03:04:05.5+02:00", "version": "v1", "run_id": "run", "unknown": [{"a": null}]}`
	r, err := DecodeReport([]byte(body), "application/json; charset=utf-8")
	if err != nil {
		t.Fatal(err)
	}
	config, err := r.ConfigMap()
	if err != nil {
		t.Fatal(err)
	}
	wantConfig := map[string]any{"lr": 0.1, "n": int64(3), "opt": "adam", "on": true}
	if !reflect.DeepEqual(config, wantConfig) {
		t.Errorf("config %v, want %v", config, wantConfig)
	}
	want := Report{Metrics: []Metric{{"loss", 0.25}, {"accuracy", 1}}, Config: r.Config, Study: "s-1", Attempt: 2, Step: 7,
		HasStep: true, State: Failed, Error: "oom", DurationMS: 1500, Version: "v1", RunID: "run",
		Time: time.Date(2026, 1, 2, 1, 4, 5, 5e8, time.UTC)}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
}

func TestDecodeReportDefaults(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Report{
		`{"metrics":{"a":1}}`:                           {State: Complete},
		`{"metrics":{"a":1},"step":0}`:                  {State: Running, HasStep: true},
		`{"metrics":{"a":1},"step":3,"state":null}`:     {State: Running, HasStep: true, Step: 3},
		`{"state":"running"}`:                           {State: Running},
		`{"state":"failed","metrics":null}`:             {State: Failed},
		`{"study":"s","trial":2,"step":1}`:              {State: Running, Study: "s", Trial: 2, Step: 1, HasStep: true},
		`{"state":"running","study":null,"trial":null}`: {State: Running},
	} {
		got, err := DecodeReport([]byte(body), "")
		got.Metrics = nil
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", body, got, err, want)
		}
	}
}

func TestDecodeReportErrors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for body, want := range map[string]string{
		`{"metrics":{"loss":"abc"}}`:                   `metrics.loss: "abc" is not a number: send a number, NaN or Infinity`,
		`{"metrics":{"loss":true}}`:                    `metrics.loss: true is not a number`,
		`{"metrics":{"loss":[1]}}`:                     `metrics.loss: a list is not a number`,
		`{"metrics":{"a\nb":{}}}`:                      `metrics.a\nb: a map is not a number`,
		`{"metrics":[1]}`:                              `metrics: a list is not a map`,
		`{}`:                                           `metrics: is missing or empty`,
		`{"metrics":{}}`:                               `metrics: is missing or empty`,
		`{"metrics":{"a":null}}`:                       `metrics: is missing or empty`,
		`{"state":"complete","step":1}`:                `metrics: is missing or empty`,
		`{"state":"done"}`:                             `state: "done" is not a state: send one of running, complete, failed`,
		`{"state":1}`:                                  `state: 1 is not a state`,
		`{"step":0,"trial":1}`:                         `study: is missing`,
		`{"step":0,"study":"s"}`:                       `trial: is missing`,
		`{"step":0,"study":"s t","trial":1}`:           `study: "s t" is not a name`,
		`{"step":0,"study":"","trial":1}`:              `study: is missing`,
		`{"step":0,"study":7,"trial":1}`:               `study: 7 is not a string`,
		`{"step":0,"study":"s","trial":-1}`:            `trial: -1 is too small: send 0 or more`,
		`{"step":0,"study":"s","trial":1.5}`:           `trial: 1.5 is not an integer`,
		`{"step":0,"study":"s","trial":"1"}`:           `trial: "1" is not an integer`,
		`{"step":0,"study":"s","trial":1e30}`:          `trial: 1e+30 is not an integer`,
		`{"step":0,"study":"s","trial":NaN}`:           `trial: NaN is not an integer`,
		`{"step":0,"attempt":0}`:                       `attempt: 0 is too small: send 1 or more`,
		`{"step":-1}`:                                  `step: -1 is too small`,
		`{"step":true}`:                                `step: true is not an integer`,
		`{"step":0,"duration_ms":0.5}`:                 `duration_ms: 0.5 is not an integer`,
		`{"step":0,"error":1}`:                         `error: 1 is not a string`,
		`{"step":0,"time":"yesterday"}`:                `time: "yesterday" is not a time: send RFC 3339`,
		`{"step":0,"time":1700000000}`:                 `time: 1700000000 is not a time`,
		`{"step":0,"time":"0000-01-01T00:00:00Z"}`:     `is not a time`,
		`{"step":0,"version":"` + long + `"}`:          `has 300 bytes: send at most 256`,
		`{"step":0,"run_id":"` + long + `"}`:           `run_id: "` + long[:80],
		`{"step":0,"config":{"a":{}}}`:                 `config.a: a map is not a hyper-parameter`,
		`{"step":0,"config":{"a":1,"lr":NaN}}`:         `config.lr: NaN is not a finite number: send one`,
		`{"step":0,"config":{"lr":-Infinity}}`:         `config.lr: -Inf is not a finite number`,
		`{"step":0,"config":{"lr":1e999}}`:             `config.lr: +Inf is not a finite number`,
		`{"step":0,"config":1}`:                        `config: 1 is not a map`,
		`{"step":0} x`:                                 `body: has "x" at byte 11, after the document`,
		`{"step":0`:                                    `body: ends too early, at byte 9`,
		`{"step" 0}`:                                   `body: has "0" at byte 8, after a key`,
		`{"step":0,}`:                                  `where a key should begin`,
		`{"step":01}`:                                  `between values`,
		`{"step":-}`:                                   `in a number`,
		`{"step":1.}`:                                  `in a number`,
		`{"step":1e+}`:                                 `in a number`,
		`{"a":"\x"}`:                                   `bad string`,
		`{"a":"`:                                       `ends within a string`,
		`{"a":nil}`:                                    `where a value should begin`,
		`{NaN:1}`:                                      `where a key should begin`,
		`{"state":"` + long + `"}`:                     `xx…" is not a state`,
		"{\"state\":\"a\\\"\xff\xffé\"}":               `state: "a\"��é" is not a state`,
		`{"metrics":{"a\"":"x"}}`:                      `metrics.a\": "x" is not a number`,
		`[1]`:                                          `body: begins with "[1]" and is neither a JSON object nor a msgpack map: send one of these`,
		"\n hello, world; that is all":                 `body: begins with "\n hello, world; that" and is neither`,
		``:                                             `body: ends too early`,
		`{"a":` + strings.Repeat("[", 70):              `nested deeper than 64`,
		`{"step":0,"metrics":` + entries(10_001) + `}`: `metrics: has 10001 entries: send at most 10000`,
		`{"step":0,"config":` + entries(1_001) + `}`:   `config: has 1001 entries: send at most 1000`,
	} {
		_, err := DecodeReport([]byte(body), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %s", body, err, want)
		}
		if _, ok := errors.AsType[*FieldError](err); !ok {
			t.Errorf("%.60s: %T is not a *FieldError", body, err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%.60s: error of %d bytes", body, len(err.Error()))
		}
	}
}

func entries(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestDecodeReportNotFinite(t *testing.T) {
	t.Parallel()
	body := `{"metrics":{"a":NaN,"b":"NaN","c":Infinity,"d":-Infinity,"e":"-Infinity","f":1e999},"config":{"y":"NaN"}}`
	r, err := DecodeReport([]byte(body), "")
	if err != nil {
		t.Fatal(err)
	}
	inf := math.Inf(1)
	want := []float64{math.NaN(), math.NaN(), inf, -inf, -inf, inf}
	for i, m := range r.Metrics {
		if math.Float64bits(m.Value) != math.Float64bits(want[i]) {
			t.Errorf("%s is %v, want %v", m.Name, m.Value, want[i])
		}
	}
	config, _ := r.ConfigMap()
	if config["y"] != "NaN" {
		t.Errorf("config %v", config)
	}
}

func TestDecodeReportTimestamps(t *testing.T) {
	t.Parallel()
	want := time.Unix(1_700_000_000, 123)
	short := binary.BigEndian.AppendUint32([]byte{0xd6, 0xff}, 1_700_000_000)
	middle := binary.BigEndian.AppendUint64([]byte{0xd7, 0xff}, 123<<34|1_700_000_000)
	long := binary.BigEndian.AppendUint64([]byte{0xc7, 12, 0xff, 0, 0, 0, 123}, 1_700_000_000)
	text := append([]byte{0xd9, 30}, "2023-11-14T22:13:20.000000123Z"...)
	for _, value := range [][]byte{short, middle, long, text} {
		body := append([]byte("\x82\xa4step\x00\xa4time"), value...)
		r, err := DecodeReport(body, "")
		if err != nil || !r.Time.Equal(want) && len(value) != len(short) || r.Time.Unix() != want.Unix() {
			t.Errorf("%x: %v, %v", value, r.Time, err)
		}
		if r.Time.Location() != time.UTC {
			t.Errorf("%x: not in UTC", value)
		}
	}
	for _, value := range []string{
		"\xd6\x01\x00\x00\x00\x00",                                     // not a timestamp
		"\xc7\x0c\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", // too many nanoseconds
		"\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", // too far away
	} {
		if r, err := DecodeReport([]byte("\x82\xa4step\x00\xa4time"+value), ""); err == nil {
			t.Errorf("%x: accepted as %v", value, r.Time)
		}
	}
}

func TestDecodeReportBadMsgpack(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"\x81\xa4step\x00\x00":                "1 bytes follow the document",
		"\x81\xa4ste":                         "ends too early",
		"\x81\x01\x02":                        "has the key 1",
		"\xdf\xff\xff\xff\xff":                "ends too early",
		"\x81\xa1a\xdd\xff\xff\xff\xff":       "ends too early",
		"\x81\xa1a\xc6\xff\xff\xff\xff":       "ends too early",
		"\x81\xa5state\xa2\xff\xff":           `state: "�" is not a state`,
		"\x81\xa7metrics\xdf\x00\x00\xff\xff": "ends too early",
		"\x81\xa1a\xc1":                       "byte 0xc1 at 3 is not msgpack",
		"\x81\xa5state\xc4\x01x":              "a binary value is not a state",
		"\x81\xa6config\x81\xa1x\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00": "config.x: +Inf is not a finite number",
		"\xc0": "begins with the byte 0xc0 and is neither a JSON object nor a msgpack map",
		"\x81\xa4step\xcf\xff\xff\xff\xff\xff\xff\xff\xff": "18446744073709551615 is not an integer",
		"\x81\xa1a" + strings.Repeat("\x91", 70) + "\xc0":  "nested deeper than 64",
	} {
		_, err := DecodeReport([]byte(body), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%x: error %v, want %s", body, err, want)
		}
	}
}

func TestDecodeReportContentTypes(t *testing.T) {
	t.Parallel()
	packed, text := []byte("\x81\xa4step\x00"), []byte("\n {\"step\":0}")
	for contentType, bodies := range map[string][][]byte{
		"":                              {packed, text},
		"text/plain":                    {packed, text},
		"application/msgpack":           {packed},
		"application/x-msgpack":         {packed},
		"Application/VND.msgpack; a=b":  {packed},
		"application/json":              {text},
		"application/json;charset=utf8": {text},
	} {
		for _, body := range bodies {
			if _, err := DecodeReport(body, contentType); err != nil {
				t.Errorf("%q: %v", contentType, err)
			}
		}
		if len(bodies) == 1 {
			other := packed
			if &bodies[0][0] == &packed[0] {
				other = text
			}
			if _, err := DecodeReport(other, contentType); err == nil {
				t.Errorf("%q: the other encoding accepted", contentType)
			}
		}
	}
}

func TestDecodeReportCutsError(t *testing.T) {
	t.Parallel()
	body := `{"state":"failed","error":"x` + strings.Repeat("é", 4000) + `"}`
	r, err := DecodeReport([]byte(body), "")
	if err != nil || len(r.Error) != 4095 || !strings.HasSuffix(r.Error, "é") {
		t.Errorf("%d bytes, %v", len(r.Error), err)
	}
}

func TestDecodeReportManyMetrics(t *testing.T) {
	t.Parallel()
	var d Decoder
	var r Report
	for range 2 { // the index of the first report must not reach the second
		twice := strings.TrimSuffix(entries(5_000), "}") + "," + entries(4_999)[1:]
		if err := d.DecodeReport([]byte(`{"metrics":`+twice+`}`), "", &r); err != nil {
			t.Fatal(err)
		}
		for i, m := range r.Metrics {
			if m != (Metric{fmt.Sprintf("k%d", i), float64(i)}) {
				t.Fatalf("metric %d is %v", i, m)
			}
		}
		if len(r.Metrics) != 5_000 || len(d.names) > maxInterned {
			t.Errorf("%d metrics, %d names kept", len(r.Metrics), len(d.names))
		}
	}
}

func TestDecoderKeepsNothingOfTheBody(t *testing.T) {
	t.Parallel()
	packed, _ := MarshalState(map[string]any{"metrics": map[string]any{"loss": 1}, "config": map[string]any{"opt": "adam"},
		"run_id": "r", "version": "v", "error": "e"})
	text, _ := ToJSON(packed)
	for _, body := range [][]byte{packed, text} {
		var d Decoder
		var r, next Report
		if err := d.DecodeReport(body, "", &r); err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprint(r)
		if err := d.DecodeReport([]byte(`{"metrics":{"abcd":2},"config":{"xyz":"uvwx"}}`), "", &next); err != nil {
			t.Fatal(err)
		}
		clear(body)
		if fmt.Sprint(r) != before {
			t.Errorf("%v became %v", before, r)
		}
	}
}

func TestConfigIsCanonical(t *testing.T) {
	t.Parallel()
	a, errA := DecodeReport([]byte(`{"step":1,"config":{"b":1,"a":200,"c":null,"b":2}}`), "")
	b, errB := DecodeReport([]byte("\x82\xa4step\x01\xa6config\xdf\x00\x00\x00\x02\xa1a\xcc\xc8\xd9\x01b\xd3\x00\x00\x00\x00\x00\x00\x00\x02"), "")
	want, _ := MarshalState(map[string]any{"a": 200, "b": 2})
	if errA != nil || errB != nil || string(a.Config) != string(want) || string(b.Config) != string(want) {
		t.Errorf("%x and %x, want %x (%v, %v)", a.Config, b.Config, want, errA, errB)
	}
}

// Not parallel: AllocsPerRun counts for the whole process.
func TestAllocations(t *testing.T) {
	body, _ := MarshalState(benchDocument)
	var d Decoder
	var r Report
	n := testing.AllocsPerRun(100, func() {
		if err := d.DecodeReport(body, "application/msgpack", &r); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 { // the config
		t.Errorf("%v allocations per report", n)
	}
	s := Subjects{"retune"}
	if n := testing.AllocsPerRun(100, func() { s.ParseInput("retune.metrics.17.m") }); n > 0 {
		t.Errorf("%v allocations per subject", n)
	}
}
