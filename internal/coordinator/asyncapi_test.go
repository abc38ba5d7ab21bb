package coordinator

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats.go"
)

// TestAsyncAPIHeaders holds the headers of stored outputs against docs/asyncapi.yaml.
func TestAsyncAPIHeaders(t *testing.T) {
	t.Parallel()
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Required   []string                  `yaml:"required"`
				Properties map[string]map[string]any `yaml:"properties"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(must(os.ReadFile(filepath.Join("..", "..", "docs", "asyncapi.yaml"))), &document); err != nil {
		t.Fatal(err)
	}
	b := setup(t)
	configs, dead := b.subscribe("retune.config.>"), b.subscribe("retune.dead.>")
	b.worker()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	b.report("m", `rubbish`)
	for name, sub := range map[string]*nats.Subscription{"OutputHeaders": configs, "DeadHeaders": dead} {
		m, _ := b.next(sub)
		got := slices.DeleteFunc(slices.Sorted(maps.Keys(m.Header)), func(h string) bool { return strings.HasPrefix(h, "Nats-") })
		s := document.Components.Schemas[name]
		if want := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(got, want) {
			t.Errorf("%s: a message has %q, docs/asyncapi.yaml %q", name, got, want)
		}
		if want := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, want) {
			t.Errorf("%s: a message has %q, required are %q", name, got, want)
		}
		kind := s.Properties["ce-type"]["enum"].([]any)
		if !slices.Contains(kind, any(m.Header.Get("ce-type"))) {
			t.Errorf("%s: ce-type %s is not among %v", name, m.Header.Get("ce-type"), kind)
		}
	}
}
