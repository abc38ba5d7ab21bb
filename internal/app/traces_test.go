package app

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	proto "go.opentelemetry.io/proto/otlp/trace/v1"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/visutility/retune/internal/bus/bustest"
)

// receiver is a collector that keeps the spans.
type receiver struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	spans    []*proto.Span
	services []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.take)
	r.server = httptest.NewServer(mux)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, q *http.Request) {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(q.Body)
	}
	all, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = protobuf.Unmarshal(all, &request)
	}
	if err != nil {
		r.t.Error(err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				r.services = append(r.services, a.Value.GetStringValue())
			}
		}
		for _, scope := range resource.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
}

// of are the spans of a trace, by name.
func (r *receiver) of(trace string) map[string]*proto.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]*proto.Span{}
	for _, s := range r.spans {
		if hex.EncodeToString(s.TraceId) == trace {
			if found[s.Name] != nil {
				r.t.Errorf("trace %s has two spans %s", trace, s.Name)
			}
			found[s.Name] = s
		}
	}
	return found
}

// Traces of reports; the last is not sampled.
const (
	firstTrace, secondTrace = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c"
	deadTrace, otherTrace   = "2cf7651916cd43dd8448eb211c80319c", "3df7651916cd43dd8448eb211c80319c"
	trainersSpan            = "b7ad6b7169203331"
)

func traced(model, body, trace, flags string) *nats.Msg {
	return &nats.Msg{Subject: "retune.metrics." + model, Data: []byte(body), Header: nats.Header{"traceparent": {"00-" + trace + "-" + trainersSpan + "-" + flags}}}
}

// TestTracesFromReportToOutput sends reports that lie before the worker starts, so that one commit has them all.
func TestTracesFromReportToOutput(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	o := testOptions(t)
	srv := bustest.Server(t)
	set := bustest.Settings()
	set.Lease = time.Duration(*o.Config.Lease)
	bustest.Open(t, srv.ClientURL(), set)
	nc, js := bustest.Client(t, srv.ClientURL())
	outputs, err := nc.SubscribeSync("retune.config.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*nats.Msg{
		traced("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`, firstTrace, "01"),
		traced("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`, secondTrace, "03"),
		traced("m", `rubbish`, deadTrace, "01"),
		traced("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`, otherTrace, "00"),
	} {
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	o.Config.OTLP.Endpoint, o.NATS.URL = r.server.URL, srv.ClientURL()
	_, stop := startWorker(t, o)
	parents := map[string]string{}
	for range 3 {
		m, err := outputs.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		p := strings.Split(m.Header.Get("traceparent"), "-")
		parents[p[1]] = p[2]
	}
	if err := stop(); err != nil { // sends what is left
		t.Fatal(err)
	}
	r.checkTrace(firstTrace, "config", parents[firstTrace])
	r.checkTrace(secondTrace, "config", parents[secondTrace])
	r.checkTrace(deadTrace, "dead", "")
	if spans := r.of(otherTrace); len(spans) > 0 || parents[otherTrace] == "" {
		t.Errorf("not sampled, but %v", spans)
	}
	commits := map[string]*proto.Span{firstTrace: r.of(firstTrace)["commit"], secondTrace: r.of(secondTrace)["commit"], deadTrace: r.of(deadTrace)["commit"]}
	for trace, c := range commits {
		var linked []string
		for _, l := range c.Links {
			other := hex.EncodeToString(l.TraceId)
			if commits[other] == nil || !slices.Equal(l.SpanId, commits[other].SpanId) {
				t.Errorf("the commit of %s is linked to %s/%x", trace, other, l.SpanId)
			}
			linked = append(linked, other)
		}
		if slices.Sort(linked); len(linked) != 2 || slices.Contains(linked, trace) {
			t.Errorf("the commit of %s is linked to %q", trace, linked)
		}
	}
	if status := r.of(deadTrace)["apply"].Status; status.GetCode() != proto.Status_STATUS_CODE_ERROR || status.GetMessage() == "" {
		t.Errorf("status of a dead letter: %v", status)
	}
	if slices.Index(r.services, "retune") < 0 {
		t.Errorf("services %q", r.services)
	}
}

// checkTrace checks who is below whom, and that the output has the span id that subscribers go on from.
func (r *receiver) checkTrace(trace, kind, output string) {
	r.t.Helper()
	s := r.of(trace)
	if len(s) != 4 || s["report"] == nil || s["apply"] == nil || s["commit"] == nil || s[kind] == nil {
		r.t.Fatalf("trace %s has %v", trace, s)
	}
	report := hex.EncodeToString(s["report"].SpanId)
	for name, parent := range map[string]string{
		"report": trainersSpan, "apply": report, "commit": report, kind: hex.EncodeToString(s["commit"].SpanId),
	} {
		if got := hex.EncodeToString(s[name].ParentSpanId); got != parent {
			r.t.Errorf("trace %s: %s is below %s, want %s", trace, name, got, parent)
		}
	}
	if got := hex.EncodeToString(s[kind].SpanId); output != "" && got != output {
		r.t.Errorf("trace %s: the output is span %s, its traceparent says %s", trace, got, output)
	}
	from, to := s["report"], s["commit"]
	if from.StartTimeUnixNano > s["apply"].StartTimeUnixNano || s["apply"].EndTimeUnixNano > to.StartTimeUnixNano ||
		from.EndTimeUnixNano != to.EndTimeUnixNano || to.StartTimeUnixNano >= to.EndTimeUnixNano {
		r.t.Errorf("trace %s: times %v", trace, s)
	}
}

func TestEndpointOfTraces(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"127.0.0.1:4318", "grpc://collector:4317", "http://"} {
		if err := (OTLP{Endpoint: wrong}).validate(); err == nil || !strings.HasPrefix(err.Error(), "otlp.endpoint: ") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// TestNoCollector: a collector that is away costs nothing but a line in the log.
func TestNoCollector(t *testing.T) {
	t.Parallel()
	log := &logLines{}
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	o := testOptions(t)
	o.Log, o.Config.OTLP.Endpoint = zerolog.New(log), away.URL
	at, stop := startWorker(t, o)
	_, js := bustest.Client(t, at.NATS)
	if _, err := js.PublishMsg(t.Context(), traced("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`, firstTrace, "01")); err != nil {
		t.Fatal(err)
	}
	answered(t, at.NATS, "m")
	start := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 6*time.Second {
		t.Errorf("the stop took %s", took)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if n := strings.Count(log.all.String(), "traces are not sent"); n != 1 {
		t.Errorf("%d lines say so", n)
	}
}
