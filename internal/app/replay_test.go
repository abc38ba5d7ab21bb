package app

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// replayed runs the command on a text that is standard input.
func replayed(t *testing.T, o ReplayOptions, in string) (out, notes string, err error) {
	t.Helper()
	var printed, listed bytes.Buffer
	if o.File == "" {
		o.File = "-"
	}
	err = Replay(t.Context(), Globals{}, o, strings.NewReader(in), &printed, &listed)
	return printed.String(), listed.String(), err
}

// jsonLinesOf are what was printed, by kind.
func jsonLinesOf(t *testing.T, printed string) map[string][]map[string]any {
	t.Helper()
	lines := map[string][]map[string]any{}
	for line := range strings.Lines(printed) {
		var tree map[string]any
		if err := json.Unmarshal([]byte(line), &tree); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		kind := tree["kind"].(string)
		lines[kind] = append(lines[kind], tree)
	}
	return lines
}

const limitOne = `{metric: loss, detector: threshold, limit: 1}`

const someReports = `{"model_id":"a","metrics":{"loss":0.5},"time":"2026-01-01T00:00:00Z"}
{"model_id":"b","metrics":{"loss":0.5}}
{"model_id":"a","metrics":{"loss":1.5},"time":"2026-01-01T01:00:00Z"}
{"model_id":"a","study":"s","trial":1,"metrics":{"loss":9}}
{"model_id":"a","state":"failed","time":"2026-01-01T02:00:00Z"}
{"model_id":"a","metrics":{"loss":0.5},"time":"2026-01-01T03:00:00Z"}
{"model_id":"a","metrics":{"loss":"x"}}
{"model_id":"b","metrics":{"loss":NaN}}
{"model_id":"a","metrics":{"loss":2.5},"time":"2026-01-01T04:00:00Z"}
`

func TestReplayPrintsATable(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]ReplayOptions{
		"one":    {Monitor: limitOne},
		"two":    {Monitor: limitOne, Against: `{metric: loss, detector: threshold, limit: 2}`, Model: "a"},
		"labels": {Monitor: limitOne, Labels: "b 2, a 5, a 9"},
	} {
		out, notes, err := replayed(t, o, someReports)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "replay_"+name+".txt", out+"\n"+notes)
	}
}

// golden compares with a file, which RETUNE_GOLDEN=1 writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("RETUNE_GOLDEN") == "1" {
		if err := errors.Join(os.MkdirAll("testdata", 0o750), os.WriteFile(file, []byte(got), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwanted\n%s", name, got, want)
	}
}

func TestReplayOfATableWithLabels(t *testing.T) {
	t.Parallel()
	csv := "loss,drift,version\n0.5,,\n2,false,\n0.5,0,\n0.5,1,\n2,True,\n2,0,\n"
	out, _, err := replayed(t, ReplayOptions{Monitor: limitOne, JSON: true, Model: "m"}, csv)
	if err != nil {
		t.Fatal(err)
	}
	lines := jsonLinesOf(t, out)
	if len(lines["event"]) != 2 || lines["event"][0]["false_alarm"] != true || lines["event"][1]["false_alarm"] != nil || lines["event"][0]["time"] != nil {
		t.Errorf("%v", lines["event"])
	}
	labels := lines["summary"][0]["labels"].(map[string]any)
	if labels["found"] != 1.0 || labels["delay_reports"] != 1.0 || labels["healthy_reports"] != 4.0 || labels["false_alarms_per_1000"] != 250.0 {
		t.Errorf("%v", labels)
	}
	if lines["summary"][0]["model_id"] != "m" || lines["summary"][0]["untimed"] != 6.0 {
		t.Errorf("%v", lines["summary"][0])
	}
	if _, notes, err := replayed(t, ReplayOptions{Monitor: limitOne}, "loss,label\n1,maybe\n1,0\n"); err != nil || !strings.Contains(notes, `line 2: label: "maybe" is not a label: give 0 or false`) {
		t.Errorf("%v %s", err, notes)
	}
}

func TestReplayNamesModelsAfterFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my file.2026.csv")
	if err := os.WriteFile(file, []byte("loss\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := replayed(t, ReplayOptions{File: file, Monitor: limitOne, JSON: true}, "")
	if err != nil || jsonLinesOf(t, out)["summary"][0]["model_id"] != "my-file" {
		t.Errorf("%v %s", err, out)
	}
}

func TestReplayOfATimeOnly(t *testing.T) {
	t.Parallel()
	o := ReplayOptions{Monitor: "{rules: [" + limitOne + "], stale_after: 1h}", JSON: true, Model: "a"}
	for _, c := range []struct {
		since, until  string
		reports, fine int
		stale         int
	}{
		{"", "", 5, 2, 0},
		{"2026-01-01T01:00:00Z", "2026-01-01T03:00:00Z", 3, 1, 0},
		{"2026-01-01", "2026-01-01T02:30:00Z", 3, 1, 0},
		{"", "2026-02-01", 5, 2, 0},
		{"36500d", "", 5, 2, 0},
	} {
		o.Since, o.Until = c.since, c.until
		out, _, err := replayed(t, o, someReports)
		if err != nil {
			t.Fatal(err)
		}
		s := jsonLinesOf(t, out)["summary"][0]
		if s["reports"] != float64(c.reports) || s["events"] != float64(c.fine) || s["stale"] != float64(c.stale) {
			t.Errorf("since %q until %q: %v", c.since, c.until, s)
		}
	}
	// The others went on while a was silent.
	out, _, err := replayed(t, ReplayOptions{Monitor: o.Monitor, JSON: true}, someReports+`{"model_id":"c","metrics":{"loss":1},"time":"2026-01-02T00:00:00Z"}`)
	if s := jsonLinesOf(t, out)["summary"]; err != nil || s[0]["stale"] != 1.0 || s[1]["stale"] != 0.0 || s[2]["stale"] != 0.0 {
		t.Errorf("%v %v", err, s)
	}
}

func TestReplayRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	policy := filepath.Join(folder, "m.yaml")
	if err := os.WriteFile(policy, []byte("- {metric: loss, detector: cusum}\n- {metric: f1, detector: cusum, h: -1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		o    ReplayOptions
	}{
		{`--monitor: monitor[0].window: 1 is not an integer from 2 to 10000`, ReplayOptions{Monitor: `{metric: loss, detector: rolling_mean, window: 1}`}},
		{`--against: monitor[0].detector: "magic" is not a known detector: give one of `, ReplayOptions{Monitor: limitOne, Against: "magic"}},
		{`--monitor: monitor.rule: is not a field of a monitor`, ReplayOptions{Monitor: `{rule: [], stale_after: 1h}`}},
		{`--monitor: is empty: give a rule`, ReplayOptions{Monitor: " "}},
		{`--monitor: monitor: 5 is not a list of rules or a mapping`, ReplayOptions{Monitor: "5"}},
		{`--monitor: ` + policy + `:2: monitor[1].h: -1`, ReplayOptions{Monitor: "@" + policy}},
		{`--monitor: open `, ReplayOptions{Monitor: "@" + filepath.Join(folder, "none")}},
		{`--monitor: `, ReplayOptions{Monitor: "{"}},
		{`--model: "[" is not a pattern`, ReplayOptions{Monitor: limitOne, Model: "["}},
		{`--since: "yesterday" is not a time: give a duration back`, ReplayOptions{Monitor: limitOne, Since: "yesterday"}},
		{`--until: 2026-01-01 is not after --since`, ReplayOptions{Monitor: limitOne, Since: "2026-01-02", Until: "2026-01-01"}},
		{`--labels: line 1: "x" is not a label: `, ReplayOptions{Monitor: limitOne, Labels: "x"}},
		{`; there is no file of that name either`, ReplayOptions{Monitor: limitOne, Labels: "x"}},
		{`--labels: open `, ReplayOptions{Monitor: limitOne, Labels: "@" + filepath.Join(folder, "none")}},
		{`--plot: "x.png" is neither SVG nor HTML`, ReplayOptions{Monitor: limitOne, Plot: "x.png"}},
		{`--plot: there is no folder `, ReplayOptions{Monitor: limitOne, Plot: filepath.Join(folder, "none", "x.svg")}},
		{`open `, ReplayOptions{Monitor: limitOne, File: filepath.Join(folder, "none.csv")}},
	} {
		_, _, err := replayed(t, c.o, someReports)
		var misuse *Misuse
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, wanted %s", c.o, err, c.want)
		}
	}
	if _, _, err := replayed(t, ReplayOptions{Monitor: limitOne, Model: "z*"}, someReports); err == nil || !strings.Contains(err.Error(), "no live report to replay: 1 that a worker could not use, 8 of other models") {
		t.Errorf("%v", err)
	}
}

func TestReplayTakesMonitorsFromFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := map[string]string{
		"worker.yaml": "models:\n  - {match: a, monitor: [" + limitOne + "]}\n",
		"policy.yaml": "stale_after: 30m\nrules:\n  - " + limitOne + "\n",
		"labels.txt":  "# since the release\na 2\n",
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	o := ReplayOptions{File: "-", Against: "@" + filepath.Join(folder, "policy.yaml"), Labels: filepath.Join(folder, "labels.txt"), JSON: true}
	err := Replay(t.Context(), Globals{ConfigFile: filepath.Join(folder, "worker.yaml")}, o, strings.NewReader(someReports), &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	for _, s := range jsonLinesOf(t, out.String())["summary"] {
		events[fmt.Sprint(s["model_id"], " ", s["monitor"])] = int(s["events"].(float64))
	}
	if want := map[string]int{"a config": 2, "a against": 6, "b config": 0, "b against": 1}; !maps.Equal(events, want) {
		t.Errorf("%v, wanted %v", events, want)
	}
}

// TestReplayOfTheStreamChangesNothing compares what the streams and their consumers are before and after.
func TestReplayOfTheStreamChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	for i := range 60 {
		c.report("a", `{"metrics":{"loss":%g},"config":{"lr":0.1}}`, 1+float64(i/40))
		c.report("b-1", `{"metrics":{"loss":1},"label":%t}`, i > 40)
	}
	c.report("a", `{"metrics":{}}`)
	c.report("a", `{"study":"none","trial":1,"metrics":{"loss":1}}`)
	if err := Watch(t.Context(), c.bus, WatchOptions{Kind: "dead", Since: time.Unix(1, 0), Count: 2}, io.Discard); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // state that no output depends on is stored within a second
	before := stored(t, c.js)
	g := Globals{}
	g.NATS.URL = c.url
	rolling := `{metric: loss, detector: rolling_mean}`
	for _, o := range []ReplayOptions{
		{Monitor: rolling, JSON: true},
		{Monitor: rolling, JSON: true, Model: "a", Since: "1h"},
		{Monitor: rolling, Against: limitOne, JSON: true, Plot: filepath.Join(t.TempDir(), "x.html")},
	} {
		var out, notes bytes.Buffer
		if err := Replay(t.Context(), g, o, nil, &out, &notes); err != nil {
			t.Fatal(err)
		}
		lines := jsonLinesOf(t, out.String())
		first := lines["event"][0]
		if s := lines["summary"][0]; s["reports"] != 60.0 || s["model_id"] != "a" || first["report"] != 41.0 || first["reason"] != "Loss degraded 100.00% vs. rolling mean" {
			t.Errorf("%+v: %v, %v", o, first, s)
		}
		if !strings.Contains(notes.String(), "left out: 1 that a worker could not use, 1 of trials") {
			t.Errorf("notes %s", &notes)
		}
		if o.Model == "" {
			labels := lines["summary"][len(lines["summary"])-1]["labels"].(map[string]any)
			if labels["missed"] != 1.0 || labels["healthy_reports"] != 41.0 {
				t.Errorf("%v", labels)
			}
		}
	}
	if after := stored(t, c.js); before != after {
		t.Errorf("before %s\nafter %s", before, after)
	}
}

// stored is all that streams say of themselves, but consumers that a worker or a test reads with.
func stored(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	var said []string
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		if strings.HasSuffix(info.Config.Name, "_workers") {
			continue
		}
		stream, err := js.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		var durable []string
		consumers := stream.ListConsumers(t.Context())
		for c := range consumers.Info() {
			if c.Config.Durable != "" || c.Config.FilterSubject == "retune.*.*.a" || c.Config.FilterSubject == "retune.*.*.*" {
				durable = append(durable, c.Name)
			}
		}
		if consumers.Err() != nil {
			t.Fatal(consumers.Err())
		}
		slices.Sort(durable)
		said = append(said, fmt.Sprintf("%s: %d messages of %d bytes, %d to %d, %d deleted, durable %q", info.Config.Name, info.State.Msgs, info.State.Bytes, info.State.FirstSeq, info.State.LastSeq, info.State.NumDeleted, durable))
	}
	if list.Err() != nil {
		t.Fatal(list.Err())
	}
	slices.Sort(said)
	return strings.Join(said, "\n")
}

func TestReplayOfRealDriftIsDrawn(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("RETUNE_DATA")
	if dir == "" {
		_, here, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(here), "..", "..", "..", "shared", "data")
	}
	file := filepath.Join(dir, "elec2_logreg_daily.jsonl")
	if _, err := os.Stat(file); err != nil {
		t.Skip("no data set elec2_logreg_daily.jsonl: set RETUNE_DATA to its folder")
	}
	for _, name := range []string{"x.svg", "x.html"} {
		plot := filepath.Join(t.TempDir(), name)
		out, notes, err := replayed(t, ReplayOptions{File: file, Monitor: `{metric: loss, detector: cusum, h: 8}`, Against: "rolling_mean", Labels: "1997-06-30..1998-06-15", Plot: plot, JSON: true}, "")
		if err != nil || notes != "" {
			t.Fatal(err, notes)
		}
		lines := jsonLinesOf(t, out)
		cusum, rolling := lines["summary"][0], lines["summary"][1]
		if cusum["reports"] != 824.0 || cusum["events"].(float64) < 2 || cusum["events"].(float64) >= rolling["events"].(float64) {
			t.Errorf("%v\n%v", cusum, rolling)
		}
		if labels := cusum["labels"].(map[string]any); labels["found"] != 1.0 || labels["healthy_reports"] != 824.0-351 {
			t.Errorf("%v", labels)
		}
		body, err := os.ReadFile(plot)
		if err != nil {
			t.Fatal(err)
		}
		_, drawing, found := bytes.Cut(body, []byte("<svg"))
		drawing, _, ended := bytes.Cut(drawing, []byte("</svg>"))
		if err := readXML(append(append([]byte("<svg"), drawing...), "</svg>"...)); err != nil || !found || !ended {
			t.Errorf("%s: %v", name, err)
		}
		if text := string(body); strings.Contains(text, "<script") || strings.Contains(text, "href") || len(body) > 500_000 {
			t.Errorf("%s: %d bytes", name, len(body))
		}
	}
}

func readXML(document []byte) error {
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestReplaySaysWhatTheWorkerSaid compares with the retrain events of a worker that saw the same.
func TestReplaySaysWhatTheWorkerSaid(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	start := time.Now().Add(-24 * time.Hour)
	at := func(i int) string { return start.Add(time.Duration(i) * time.Minute).Format(time.RFC3339) }
	for i := range 240 {
		level := 1 + float64(i/60%2) + 0.01*float64(i*i%7)
		switch {
		case i == 70:
			c.report("a", `{"metrics":{"loss":NaN},"time":%q}`, at(i))
		case i == 80:
			c.report("a", `{"metrics":{"loss":0},"time":%q}`, at(2))
		case i%50 == 0:
			c.report("a", `{"state":"failed","time":%q}`, at(i))
		case i > 130 && i < 200:
			c.report("a", `{"metrics":{"loss":%g},"time":%q,"version":"v%d"}`, level, at(i), 2+i%2)
		default:
			c.report("a", `{"metrics":{"loss":%g},"time":%q,"version":"v1"}`, level, at(i))
		}
	}
	c.report("a", `{"metrics":{}}`)
	if err := Watch(t.Context(), c.bus, WatchOptions{Kind: "dead", Since: time.Unix(1, 0), Count: 1}, io.Discard); err != nil {
		t.Fatal(err)
	}
	g := Globals{}
	g.NATS.URL = c.url
	var out, said bytes.Buffer
	if err := Replay(t.Context(), g, ReplayOptions{JSON: true}, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	replayed := jsonLinesOf(t, out.String())
	if err := Watch(t.Context(), c.bus, WatchOptions{Kind: "retrains", Since: time.Unix(1, 0), Count: len(replayed["event"]), JSON: true}, &said); err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(said.String()))
	if len(lines) < 3 || replayed["summary"][0]["late"] != 1.0 || replayed["summary"][0]["reports"] != 240.0 {
		t.Fatalf("%d events, %v", len(lines), replayed["summary"])
	}
	for i, line := range lines {
		var event struct{ Body map[string]any }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"model_id", "trigger", "severity", "reason", "metric", "detector", "value", "reference", "deviations", "reports", "since", "time"} {
			if got, want := replayed["event"][i][field], event.Body[field]; got != want {
				t.Errorf("event %d: %s is %v, of the worker %v", i, field, got, want)
			}
		}
	}
	info, err := c.js.Stream(t.Context(), "KV_retune")
	if err != nil {
		t.Fatal(err)
	}
	state, err := info.Info(t.Context(), jetstream.WithSubjectFilter("retune.retrain.>"))
	if err != nil || len(state.State.Subjects) != len(lines) {
		t.Errorf("%d events of the worker, %d replayed: %v", len(state.State.Subjects), len(lines), err)
	}
}
