package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus/bustest"
)

const scenarioConfig = `
encoding: json
partitions: 4
limits: {input_bytes: 64MiB, bucket_bytes: 64MiB, models: 5}
models:
  - match: silent
    monitor: {rules: [{metric: loss, detector: rolling_mean}], stale_after: 1s}
  - match: "*"
    tuner: {strategy: explore}
    monitor: [{metric: loss, detector: rolling_mean, window: 2, threshold: 0.05}]
sinks: [{type: log}, {type: webhook, name: broken, url: "http://127.0.0.1:1/"}]
`

// scenario is a worker with its log, and a client.
type scenario struct {
	t  *testing.T
	at Addresses
	js jetstream.JetStream
}

func (s scenario) publish(subject, body string) {
	s.t.Helper()
	if _, err := s.js.Publish(s.t.Context(), "retune."+subject, []byte(body)); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until the series have these values.
func (s scenario) await(series ...string) {
	s.t.Helper()
	var missing []string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		missing = nil
		_, text := get(s.t, s.at.HTTP+"/metrics")
		for _, want := range series {
			if !strings.Contains(text, "\n"+want+"\n") {
				missing = append(missing, want)
			}
		}
		if missing == nil {
			return
		}
	}
	_, text := get(s.t, s.at.HTTP+"/metrics")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "retune_") && !strings.Contains(line, "_bucket") {
			s.t.Log(strings.TrimSpace(line))
		}
	}
	s.t.Fatalf("never %q", missing)
}

// TestMetricsOfAScenario lets everything happen once and compares all counts.
func TestMetricsOfAScenario(t *testing.T) {
	t.Parallel()
	config, err := parseConfig([]byte(scenarioConfig), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	log := &logLines{}
	o := WorkerOptions{Globals: Globals{Log: zerolog.New(log), Version: "v1.2.3"}, Config: config, Data: t.TempDir(), HTTP: "127.0.0.1:0"}
	at, stop := startWorker(t, o)
	_, js := bustest.Client(t, at.NATS)
	s := scenario{t, at, js}
	s.happen()
	steady := []string{
		"retune_models 5", `retune_models_degraded{severity="warning"} 1`, `retune_models_degraded{severity="critical"} 1`,
		`retune_models_degraded{severity="untold"} 0`, "retune_models_stale 1", "retune_studies_running 0",
		"retune_partitions 4", "retune_partitions_owned 4", "retune_partitions_wanted 4", "retune_workers 1", "retune_nats_connected 1",
	}
	s.await(append(steady,
		"retune_inputs_read_total 18", "retune_inputs_applied_total 18", "retune_reports_late_total 1", "retune_inputs_expired_total 0",
		`retune_dead_letters_total{reason="malformed"} 1`, `retune_dead_letters_total{reason="invalid"} 1`,
		`retune_dead_letters_total{reason="unknown"} 1`, `retune_dead_letters_total{reason="command"} 1`,
		`retune_dead_letters_total{reason="limit"} 1`, `retune_dead_letters_total{reason="fault"} 0`,
		`retune_outputs_total{kind="dead"} 5`, `retune_outputs_total{kind="config"} 4`, `retune_outputs_total{kind="stop"} 1`,
		`retune_outputs_total{kind="summary"} 1`, `retune_outputs_total{kind="retrain"} 4`,
		`retune_retrain_events_total{severity="warning",trigger="degraded"} 1`, `retune_retrain_events_total{severity="critical",trigger="degraded"} 1`,
		`retune_retrain_events_total{severity="warning",trigger="stale"} 1`, `retune_retrain_events_total{severity="none",trigger="improved"} 1`,
		`retune_trials_ended_total{state="complete"} 1`, `retune_trials_ended_total{state="failed"} 1`, `retune_trials_ended_total{state="stopped"} 1`,
		`retune_sink_delivered_total{sink="log"} 4`, `retune_sink_delivered_total{sink="broken"} 0`, `retune_sink_dropped_total{sink="broken"} 0`,
		"retune_commit_conflicts_total 0", "retune_stalls_total 0", `retune_commits_total{outcome="conflict"} 0`,
	)...)
	s.amounts()
	log.leadTo(t)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.at, _ = startWorker(t, o) // what is told of models is stored
	s.await(steady...)
}

func (s scenario) happen() {
	for _, loss := range []string{"1", "1", "2"} {
		s.publish("metrics.warned", `{"metrics":{"loss":`+loss+`}}`)
	}
	s.publish("metrics.diverged", `{"metrics":{"loss":NaN},"config":{"lr":1}}`)
	s.publish("metrics.late", `{"metrics":{"loss":1},"time":"2020-01-01T12:00:00Z"}`)
	s.publish("metrics.late", `{"metrics":{"loss":1},"time":"2020-01-01T10:00:00Z"}`)
	s.publish("metrics.silent", `{"metrics":{"loss":1}}`)
	s.publish("metrics.late", `rubbish`)
	s.publish("metrics.late", `{"metrics":{"loss":"high"}}`)
	s.publish("metrics.late", `{"metrics":{"loss":1},"study":"none","trial":0}`)
	s.publish("study.late", `{"op":"stop","name":"none"}`)
	s.publish("study.studied", `{"op":"start","study":{"name":"s","objective":{"metric":"loss","goal":"minimize"},"space":{"x":{"type":"float","low":0,"high":1}},"strategy":"random","max_trials":3,"parallelism":3}}`)
	s.publish("metrics.studied", `{"study":"s","trial":0,"step":1,"metrics":{"loss":0.5}}`)
	s.publish("metrics.studied", `{"study":"s","trial":0,"metrics":{"loss":0.5}}`)
	s.publish("metrics.studied", `{"study":"s","trial":1,"state":"failed","error":"no memory"}`)
	s.publish("study.studied", `{"op":"stop","name":"s"}`)
	s.publish("metrics.studied", `{"study":"s","trial":2,"metrics":{"loss":0.1}}`)
	s.await("retune_models 5")
	s.publish("metrics.toomany", `{"metrics":{"loss":1}}`)
}

// amounts checks figures that are not the same each time.
func (s scenario) amounts() {
	s.t.Helper()
	var e exposed
	bustest.Eventually(s.t, 20*time.Second, "the size of the bucket", func() bool { // asked every 5 s
		e = scrape(s.t, s.at.HTTP)
		return e.value("retune_bucket_bytes") != "0"
	})
	for _, series := range []string{
		"retune_commit_bytes_total", "retune_commit_messages_total", `retune_commits_total{outcome="stored"}`, "retune_commit_duration_seconds_count",
		"retune_bucket_bytes", "retune_bucket_limit_bytes", "retune_embedded_store_bytes", `retune_sink_retried_total{sink="broken"}`,
	} {
		if v := e.value(series); v == "" || v == "0" {
			s.t.Errorf("%s %q", series, v)
		}
	}
	if got := e.value("retune_embedded_store_limit_bytes"); got != fmt.Sprintf("%v", float64(2*64<<20+systemBytes)) {
		s.t.Errorf("limit of the store: %s", got)
	}
	if !strings.Contains(e.text, `retune_build_info{goversion="go`) || !strings.Contains(e.text, `version="v1.2.3"} 1`) {
		s.t.Error("no build info")
	}
}

// logLines keeps what is logged.
type logLines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(line)
}

// leadTo checks that lines of dead letters and retrain events name the model, the message and the input.
func (l *logLines) leadTo(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]int{}
	for line := range strings.Lines(l.all.String()) {
		var fields struct {
			Message, Model, ID, Reason, Trigger string
			Sequence                            uint64
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		switch fields.Message {
		case "dead letter":
			if fields.Model == "" || len(fields.ID) != 26 || fields.Sequence == 0 || fields.Reason == "" {
				t.Errorf("%s", line)
			}
		case "retrain event":
			if fields.Model == "" || len(fields.ID) != 26 || fields.Sequence == 0 && fields.Trigger != "stale" {
				t.Errorf("%s", line)
			}
		}
		found[fields.Message]++
	}
	if found["dead letter"] != 5 || found["retrain event"] != 4 {
		t.Errorf("%v", found)
	}
}

func TestProfilesAreForThisMachine(t *testing.T) {
	t.Parallel()
	a, err := startAdmin("127.0.0.1:0", newRegistry("test"), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	for path, want := range map[string]string{"": "heap", "goroutine?debug=1": "goroutine profile", "symbol": "num_symbols"} {
		if status, body := get(t, a.url()+"/debug/pprof/"+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.100s", path, status, body)
		}
	}
	for address, want := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "10.1.2.3:1": 403, "[2001:db8::1]:1": 403, "": 403} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/debug/pprof/", nil)
		r.RemoteAddr = address
		w := httptest.NewRecorder()
		if a.server.Handler.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d", address, w.Code)
		}
	}
}
