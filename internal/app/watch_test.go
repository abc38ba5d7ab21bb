package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

func TestWatchPrintsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	c.report("a", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	c.report("a", `{"metrics":{}}`)
	if err := Watch(t.Context(), c.bus, WatchOptions{Kind: "dead", Since: time.Unix(1, 0), Count: 1}, new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	c.report("b", `{"metrics":{"loss":"high\u001b[2J"}}`)
	c.report("b", `{"metrics":{"loss":NaN}}`)

	watch := func(o WatchOptions) string {
		var out bytes.Buffer
		if o.Since.IsZero() {
			o.Since = time.Unix(1, 0)
		}
		if err := Watch(t.Context(), c.bus, o, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := watch(WatchOptions{Kind: "all", Count: 4}); strings.Count(got, "\n") != 4 || strings.ContainsRune(got, '\x1b') {
		t.Errorf("%q", got)
	}
	if got := watch(WatchOptions{Kind: "configs", Count: 1}); !strings.Contains(got, " config  a live #0 lr=") || !strings.HasSuffix(got, "(local)\n") {
		t.Errorf("%q", got)
	}
	if got := watch(WatchOptions{Kind: "dead", Model: "b", Count: 1}); !strings.Contains(got, `metrics.loss: "high\x1b[2J" is not a number`) {
		t.Errorf("%q", got)
	}
	got := watch(WatchOptions{Kind: "retrains", Model: "b", Count: 1, JSON: true})
	var line struct {
		Subject string
		Time    time.Time
		Headers map[string]string
		Body    wire.Retrain
	}
	if err := json.Unmarshal([]byte(strings.Replace(got, `"value":"NaN"`, `"value":null`, 1)), &line); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if !strings.HasPrefix(line.Subject, "retune.retrain.b.") || line.Time.IsZero() || line.Headers["ce-type"] != "retune.retrain.v1" || line.Body.Reason != "Loss is not finite (NaN)" {
		t.Errorf("%+v", line)
	}
}

func TestWatchFollowsUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Watch(ctx, c.bus, WatchOptions{Kind: "all"}, new(bytes.Buffer)); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWatchFilters(t *testing.T) {
	t.Parallel()
	s := wire.Subjects{Prefix: "a.b"}
	for _, c := range []struct {
		kind, model string
		want        []string
	}{
		{"configs", "", []string{"a.b.config.*.>"}},
		{"summaries", "m", []string{"a.b.summary.m.>"}},
		{"dead", "m", []string{"a.b.dead.>"}},
		{"all", "m", []string{"a.b.config.m.>", "a.b.dead.>", "a.b.retrain.m.>", "a.b.stop.m.>", "a.b.summary.m.>"}},
	} {
		if got := (WatchOptions{Kind: c.kind, Model: c.model}).filters(s); !slices.Equal(got, c.want) {
			t.Errorf("%s of %q: %v, wanted %v", c.kind, c.model, got, c.want)
		}
	}
}

func TestOutputsAreSentences(t *testing.T) {
	t.Parallel()
	one, value, reference := 1, 0.25, 0.5
	for _, c := range []struct {
		kind    string
		message any
		want    string
	}{
		{"config", wire.Config{Study: "s", Trial: &one, Attempt: 2, Strategy: "grid", Config: map[string]any{"lr": 0.1, "b": int64(2), "c": "\x1b[2J"}}, "s/1 attempt 2 b=2 c=·[2J lr=0.1 (grid)"},
		{"stop", wire.Stop{Study: "s", Trial: 1, Attempt: 2, Reason: "timed_out"}, "s/1 attempt 2: timed_out"},
		{"retrain", wire.Retrain{Trigger: "degraded", Severity: "warning", Reason: "Loss degraded", Value: &value, Reference: &reference}, "degraded (warning): Loss degraded"},
		{"retrain", wire.Retrain{Trigger: "improved", Reason: "Study s found"}, "improved: Study s found"},
		{"summary", wire.Summary{Study: "s", Reason: "max_trials", Counts: wire.Counts{"complete": 2, "failed": 1}, BestTrial: &wire.BestTrial{Trial: 1, Value: 0.25, Config: map[string]any{"lr": 0.1}}}, "s ended (max_trials), complete 2 failed 1, best 0.25 in trial 1 with lr=0.1"},
	} {
		for _, encoding := range []wire.Encoding{wire.JSON, wire.Msgpack} {
			body, err := wire.Encode(c.message, encoding)
			if err != nil {
				t.Fatal(err)
			}
			o := bus.Output{Body: body, Header: map[string]string{"ce-type": "retune." + c.kind + ".v1", "ce-subject": "m", "Content-Type": encoding.ContentType()}}
			if got := describe(o, false); !strings.HasSuffix(got, " m "+c.want) {
				t.Errorf("%q, wanted %q", got, c.want)
			}
			if got := describe(o, true); !strings.Contains(got, "\x1b[") {
				t.Errorf("%q has no colour", got)
			}
		}
	}
}

func TestBodiesThatAreNoDocuments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body, want string
		base       bool
	}{{"hello", "hello", false}, {"", "", false}, {"\xff\xfe", "//4=", true}, {"5", "5", false}} {
		body, base := readableBody(bus.Output{Body: []byte(c.body)})
		if body != c.want || base != c.base {
			t.Errorf("%q: %v %v", c.body, body, base)
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{"": {}, "10m": now.Add(-10 * time.Minute), "7d": now.AddDate(0, 0, -7), "2026-01-30": now.Add(-36 * time.Hour), "all": time.Unix(1, 0), "2026-01-30T12:00:00+01:00": now.Add(-25 * time.Hour)} {
		if got, err := ParseSince(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"yesterday", "-5m", "10"} {
		var misuse *Misuse
		if _, err := ParseSince(s, now); !errors.As(err, &misuse) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
