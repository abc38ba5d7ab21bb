package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

func TestEveryFigureIsMeasured(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	open := func(prefix string) (*bus.Bus, error) {
		set := bustest.Settings()
		set.Subjects = wire.Subjects{Prefix: prefix}
		return bus.Open(bus.Connection{Name: "bench", URL: srv.ClientURL()}, set, zerolog.Nop())
	}
	var out bytes.Buffer
	if err := Run(t.Context(), open, Options{Events: 2000, Rounds: 2, Pings: 5, JSON: true}, &out); err != nil {
		t.Fatal(err)
	}
	var results []Result
	if err := json.Unmarshal(out.Bytes(), &results); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	for _, want := range []string{"tuning events", "1,000 models", "100,000 models", "heap per", "p50", "p99"} {
		found := false
		for _, r := range results {
			found = found || strings.Contains(r.Name, want) && r.Worker > 0 && (r.Ratio > 0 || strings.HasPrefix(r.Name, "heap"))
		}
		if !found {
			t.Errorf("no figure of %s in %s", want, out.Bytes())
		}
	}
	_, js := bustest.Client(t, srv.ClientURL())
	for name := range js.StreamNames(t.Context()).Name() {
		t.Errorf("stream %s is left behind", name)
	}
}

func TestATableForPeople(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printBench(&out, []Result{{Name: "events", Unit: "1/s", Worker: 80, Floor: 100, Ratio: 0.8, What: "less"}, {Name: "heap", Unit: "bytes", Worker: 900}})
	for _, want := range []string{"events (1/s)", "0.80", "less", "heap (bytes)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
