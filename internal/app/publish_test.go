package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/visutility/retune/internal/wire"
)

func TestPublishSendsValidLinesAndListsTheOthers(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	in := strings.Join([]string{
		`{"model_id":"a","metrics":{"loss":NaN},"extra":1}`,
		``,
		`{"model_id":"a","metrics":{"loss":}}`,
		`{"metrics":{"loss":1}}`,
		`{"model_id":"b.c","metrics":{"loss":1}}`,
		`{"model_id":"b","metrics":{"loss":"high"}}`,
		`{"model_id":7,"metrics":{"loss":1}}`,
		`[1]`,
		"  {\"model_id\":\"b\",\"metrics\":{\"loss\":2}}\r",
	}, "\n")
	var out, notes bytes.Buffer
	err := Publish(t.Context(), c.bus, PublishOptions{JSON: true}, strings.NewReader(in), &out, &notes)
	if err == nil || !strings.Contains(err.Error(), "6 lines rejected, 0 not acknowledged") {
		t.Errorf("error %v", err)
	}
	done := object[Published](t, &out)
	if done.Published != 2 || done.Rejected != 6 || done.Unacknowledged != 0 || done.PerSecond <= 0 {
		t.Errorf("%+v", done)
	}
	want := []string{"line 3: ", "line 4: model_id: is missing", `line 5: model_id: "b.c"`, `line 6: metrics.loss: "high"`, "line 7: model_id: 7", "line 8: "}
	got := strings.Split(strings.TrimSpace(notes.String()), "\n")
	for i := range want {
		if len(got) != len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("notes\n%s\nwanted %q", notes.String(), want)
		}
	}
	messages := c.inputs()
	if len(messages) != 2 || string(messages[0].Data) != `{"model_id":"a","metrics":{"loss":NaN},"extra":1}` || messages[0].Header.Get("Content-Type") != "application/json" {
		t.Errorf("stored %d, %v", len(messages), messages)
	}
	if !strings.HasSuffix(messages[1].Subject, ".b") {
		t.Errorf("subject %s", messages[1].Subject)
	}
}

func TestPublishACompressedTableOfTrials(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	file := filepath.Join(t.TempDir(), "trials.csv.gz")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprintf(z, "\xef\xbb\xbftrial,loss,config.lr\n")
	for i := range 50 {
		fmt.Fprintf(z, "%d,%d,0.5\n", i, i*i)
	}
	if err := errors.Join(z.Close(), os.WriteFile(file, packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	var out, notes bytes.Buffer
	if err := Publish(t.Context(), c.bus, PublishOptions{File: file, Model: "m", Study: "s"}, nil, &out, &notes); err != nil {
		t.Fatalf("%v\n%s", err, &notes)
	}
	if !strings.HasPrefix(out.String(), "published 50 reports in ") || notes.Len() > 0 {
		t.Errorf("printed %q and %q", out.String(), notes.String())
	}
	messages := c.inputs()
	r, err := wire.DecodeReport(messages[49].Data, "")
	if err != nil || r.Study != "s" || r.Trial != 49 || r.Metrics[0] != (wire.Metric{Name: "loss", Value: 49 * 49}) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPublishSaysWhatTheStreamRefused(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	stream, err := c.js.Stream(t.Context(), "RETUNE_METRICS")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Discard, config.MaxMsgs = jetstream.DiscardNew, 2
	if _, err := c.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	var out, notes bytes.Buffer
	err = Publish(t.Context(), c.bus, PublishOptions{Model: "m", JSON: true}, strings.NewReader(strings.Repeat(`{"metrics":{"loss":1}}`+"\n", 30)), &out, &notes)
	if done := object[Published](t, &out); err == nil || done.Published != 2 || done.Unacknowledged != 28 {
		t.Errorf("%+v %v", done, err)
	}
	if lines := strings.Split(strings.TrimSpace(notes.String()), "\n"); len(lines) != maxListed+1 || !strings.HasPrefix(lines[0], "line 3: not acknowledged: ") || lines[maxListed] != "… and 8 more lines" {
		t.Errorf("notes\n%s", &notes)
	}
}

func TestPublishEndsWhileStandardInputWaits(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	in, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var out, notes bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- Publish(ctx, c.bus, PublishOptions{Model: "m"}, in, &out, &notes) }()
	for range 3 {
		fmt.Fprintln(feed, `{"metrics":{"loss":1}}`)
	}
	sub, err := c.js.OrderedConsumer(t.Context(), "RETUNE_METRICS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := sub.Next(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil || !strings.HasPrefix(out.String(), "published 3 reports") || !strings.HasSuffix(out.String(), "then interrupted\n") {
		t.Errorf("%v %q", err, out.String())
	}
}

func TestPublishWithoutAWorkersStream(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	if err := c.js.DeleteStream(t.Context(), "RETUNE_METRICS"); err != nil {
		t.Fatal(err)
	}
	err := Publish(t.Context(), c.bus, PublishOptions{}, strings.NewReader(""), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "start a worker first") {
		t.Error(err)
	}
	var misuse *Misuse
	if err := Publish(t.Context(), c.bus, PublishOptions{Model: "a b"}, nil, io.Discard, io.Discard); !errors.As(err, &misuse) {
		t.Error(err)
	}
}

// readSource reads all of a source.
func readSource(t *testing.T, name, text string) (all []line) {
	t.Helper()
	s, err := newSource(strings.NewReader(text), name, 64)
	if err != nil {
		t.Fatal(err)
	}
	for {
		l, err := s.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
}

func TestRowsOfATable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, row, want string }{
		{"loss,acc", "1,0.5", `{"metrics":{"acc":0.5,"loss":1.0}}`},
		{"loss,acc", " 1e-3 ,", `{"metrics":{"loss":0.001}}`},
		{"loss,acc", "NaN,-inf", `{"metrics":{"acc":"-Infinity","loss":"NaN"}}`},
		{"loss,metrics.loss_2,metrics.time", "1,2,3", `{"metrics":{"loss":1.0,"loss_2":2.0,"time":3.0}}`},
		{"value,last_step,last_value", "1,2,3", `{"metrics":{"last_step":2.0,"last_value":3.0,"value":1.0}}`},
		{"loss", "1,2", "wrong number of fields"},
		{"loss", `"1`, "extraneous or missing"},
		{"loss,config.lr,config.name,config.deep,config.n", "1,0.5,adam,True,3", `{"config":{"deep":true,"lr":0.5,"n":3,"name":"adam"},"metrics":{"loss":1.0}}`},
		{",loss,model_id", "7,1,m", `{"metrics":{"loss":1.0},"model_id":"m"}`},
		{"study,trial,attempt,step,state,duration_ms,loss", "s,3,1,2,running,9,1", `{"attempt":1,"duration_ms":9,"metrics":{"loss":1.0},"state":"running","step":2,"study":"s","trial":3}`},
		{"trial,step", "3.0,", `{"trial":3.0}`},
		{"trial", "three", `{"trial":"three"}`},
		{"time,version,run_id,error", "2026-01-31T12:00:00Z,1,2,e", `{"error":"e","run_id":"2","time":"2026-01-31T12:00:00Z","version":"1"}`},
	} {
		l := readSource(t, "f.csv", c.header+"\n"+c.row+"\n")
		if len(l) != 1 || l[0].number != 2 {
			t.Fatalf("%s: %+v", c.row, l)
		}
		if got := string(l[0].body); l[0].err != nil && !strings.Contains(l[0].err.Error(), c.want) || l[0].err == nil && got != c.want {
			t.Errorf("%s of %s: %s %v, wanted %s", c.row, c.header, got, l[0].err, c.want)
		}
	}
}

// TestColumnsOfText: the first cell of a column decides whether it is a metric; in one
// that is, text is a mistake.
func TestColumnsOfText(t *testing.T) {
	t.Parallel()
	rows := readSource(t, "f.csv", "host,loss,note,acc\na,1,N/A,0.5\nb,2,late,x\nc,y,7,0.25\nd,3,8,NA\n")
	for i, want := range []struct{ body, err, note string }{
		{`{"metrics":{"acc":0.5,"loss":1.0}}`, "", `column host is left out: its first value, "a", is not a number`},
		{"", `acc: "x" is not a number`, `column note is left out: its first value, "late", is not a number`},
		{"", `loss: "y" is not a number: give a number, NaN or inf`, ""},
		{`{"metrics":{"loss":3.0}}`, "", ""},
	} {
		l, note := rows[i], strings.Join(rows[i].notes, "\n")
		if string(l.body) != want.body || (l.err == nil) != (want.err == "") || l.err != nil && !strings.Contains(l.err.Error(), want.err) || !strings.HasPrefix(note, want.note) || (note == "") != (want.note == "") {
			t.Errorf("row %d: %s, %v, %q, wanted %v", i, l.body, l.err, note, want)
		}
	}
	var out, notes bytes.Buffer
	c := newCommandBundle(t)
	pruned := strings.NewReader(`{"metrics":{"loss":1},"state":"pruned"}`)
	if err := Publish(t.Context(), c.bus, PublishOptions{Model: "m"}, pruned, io.Discard, &notes); err == nil || !strings.Contains(notes.String(), `"pruned" is not a state`) {
		t.Errorf("a report in the state of a trial: %v\n%s", err, &notes)
	}
	notes.Reset()
	if err := Publish(t.Context(), c.bus, PublishOptions{Model: "m"}, strings.NewReader("host,loss\na,1\nb,2\n"), &out, &notes); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(out.String(), "published 2 reports") || strings.Count(notes.String(), "column host is left out") != 1 || strings.Count(notes.String(), "\n") != 1 {
		t.Errorf("%s\n%s", &out, &notes)
	}
}

func TestTablesThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "is empty", "a,b,a\n1,2,3": `"a" comes twice`, "\"a\n": "header"} {
		if _, err := newSource(strings.NewReader(text), "f.csv", 64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, wanted %s", text, err, want)
		}
	}
}

func TestLinesOfJSON(t *testing.T) {
	t.Parallel()
	for length := 65_500; length < 65_600; length += 10 { // around the size of the buffer
		got := readSource(t, "standard input", "{}\n"+strings.Repeat("x", length)+"\n{}")
		if len(got) != 3 || !errors.Is(got[1].err, errLong) || got[2].number != 3 {
			t.Errorf("%d bytes: %+v", length, got)
		}
	}
	got := readSource(t, "standard input", "\n{\"a\":1}\r\n"+strings.Repeat("x", 65)+"\n{}")
	if len(got) != 3 || got[0].number != 2 || string(got[0].body) != `{"a":1}` || !errors.Is(got[1].err, errLong) || got[2].number != 4 || string(got[2].body) != "{}" {
		t.Errorf("%+v", got)
	}
	if got := readSource(t, "f.jsonl", "loss\n1"); len(got) != 2 || string(got[0].body) != "loss" {
		t.Errorf("a name should count for more than the content: %+v", got)
	}
	if got := readSource(t, "standard input", "loss\n1"); len(got) != 1 || string(got[0].body) != `{"metrics":{"loss":1.0}}` {
		t.Errorf("a table was not recognised: %+v", got)
	}
}

func TestStudyIsAddedAndTheRestStays(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{`{}`: `{"study":"s"}`, `{ }`: `{"study":"s"}`, `{ "a":1}`: `{"study":"s","a":1}`, ` {"study":null,"trial":0}`: `{"study":"s","study":null,"trial":0}`} {
		if got := string(withStudy([]byte(in), "s")); got != want {
			t.Errorf("%s became %s, wanted %s", in, got, want)
		}
	}
	body := withStudy([]byte(`{"study":null,"trial":0,"metrics":{"x":1}}`), "s")
	if r, err := wire.DecodeReport(body, ""); err != nil || r.Study != "s" {
		t.Errorf("%+v %v", r, err)
	}
}

// TestTablesKeepTheirNumbers: what is written to a cell is what a worker reads.
func TestTablesKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		loss, lr, trial := rapid.Float64().Draw(r, "loss"), rapid.Float64().Draw(r, "lr"), rapid.IntRange(0, 1<<30).Draw(r, "trial")
		text := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
		s, err := newSource(strings.NewReader(fmt.Sprintf("study,trial,loss,config.lr\ns,%d,%s,%s\n", trial, text(loss), text(lr))), "f.csv", 64)
		if err != nil {
			r.Fatal(err)
		}
		l, err := s.next()
		if err != nil {
			r.Fatal(err)
		}
		report, err := wire.DecodeReport(l.body, wire.JSON.ContentType())
		if err != nil || report.Trial != trial || report.Metrics[0].Value != loss {
			r.Fatalf("%s: %+v %v", l.body, report, err)
		}
		config, err := report.ConfigMap()
		if whole, ok := config["lr"].(int64); ok {
			config["lr"] = float64(whole)
		}
		if err != nil || config["lr"] != lr {
			r.Fatalf("%s: %v %v", l.body, config, err)
		}
	})
}

func FuzzSource(f *testing.F) {
	f.Add("a,b\n1,2\n", "x.csv")
	f.Add("{\"a\":1}\n\n[", "-")
	f.Add("\x1f\x8b", "-")
	f.Add("\xef\xbb\xbf\"a\nb\",c\n1,\"", "-")
	f.Fuzz(func(t *testing.T, text, name string) {
		s, err := newSource(strings.NewReader(text), name, 64)
		if err != nil {
			return
		}
		for last := 0; ; {
			l, err := s.next()
			if err != nil {
				return
			}
			if l.number < last || l.err == nil && len(l.body) == 0 {
				t.Fatalf("line %+v after %d", l, last)
			}
			last = l.number
		}
	})
}
