//go:build unix

package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus/bustest"
)

const withWebhooks = `
encoding: json
partitions: 4
limits: {input_bytes: 64MiB, bucket_bytes: 64MiB}
models:
  - match: "*"
    monitor:
      - {metric: loss, detector: rolling_mean}
sinks:
  - {type: webhook, url: "${FIRST}/path-secret"}
  - {type: webhook, name: second, url: "${SECOND}", secret: "${SECRET}", headers: {Authorization: "Bearer ${TOKEN}"}}
`

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"FIRST": "http://127.0.0.1:1", "SECOND": "http://127.0.0.1:2", "SECRET": "the-secret", "TOKEN": "the-token"}
	config, err := parseConfig([]byte(withWebhooks), func(name string) (string, bool) { v, ok := variables[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	second := config.Sinks[1]
	if second.URL != "http://127.0.0.1:2" || *second.Secret != "the-secret" || second.Headers["Authorization"] != "Bearer the-token" {
		t.Error("the sink is not as the file has it")
	}
	encoded, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(config), fmt.Sprintf("%+v", config), fmt.Sprintf("%#v %v %+v", second, *second.Secret, second.Headers), string(encoded)} {
		if strings.Contains(printed, "secret\"") || strings.Contains(printed, "the-secret") || strings.Contains(printed, "the-token") || strings.Contains(printed, "path-secret") {
			t.Error(printed)
		}
	}
	with, err := config.hash()
	if err != nil {
		t.Fatal(err)
	}
	config.Sinks = nil
	if without, err := config.hash(); err != nil || with != without {
		t.Errorf("the sinks are in the hash that is shown: %s %s %v", with, without, err)
	}
}

// TestEachWebhookHasItsEvents has a worker serve two of them, of which the first refuses.
func TestEachWebhookHasItsEvents(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 8)
	second := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Header.Get("Authorization") + r.Header.Get("webhook-signature")[:3] + string(body)
	}))
	t.Cleanup(second.Close)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	t.Cleanup(first.Close)
	variables := map[string]string{"FIRST": first.URL, "SECOND": second.URL, "SECRET": "the-secret", "TOKEN": "the-token"}
	config, err := parseConfig([]byte(withWebhooks), func(name string) (string, bool) { v, ok := variables[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	log := newListener()
	o := testOptions(t)
	o.Config, o.Log = config, zerolog.New(log).Level(zerolog.DebugLevel)
	at, stop := startWorker(t, o)
	_, js := bustest.Client(t, at.NATS)
	if _, err := js.Publish(t.Context(), "retune.metrics.m", []byte(`{"metrics":{"loss":NaN}}`)); err != nil {
		t.Fatal(err)
	}
	select {
	case body := <-bodies:
		if !strings.HasPrefix(body, `Bearer the-tokenv1,{"data":{`) || !strings.Contains(body, `"subject":"m"`) || !strings.Contains(body, `"type":"retune.retrain.v1"`) {
			t.Error(body)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	if line := log.await(t, "event not delivered"); !strings.Contains(line, `"sink":"webhook"`) || !strings.Contains(line, "500 Internal Server Error") {
		t.Error(line)
	}
	names := []string{}
	stream, err := js.Stream(t.Context(), "KV_retune")
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if strings.HasPrefix(name, "retune-sink-") {
			names = append(names, name)
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{"retune-sink-second", "retune-sink-webhook"}) {
		t.Error(names)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"the-secret", "the-token", "path-secret"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s is logged:\n%s", secret, log)
		}
	}
}
