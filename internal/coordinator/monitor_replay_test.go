package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// TestReplayTakesVersionsAsAWorker alternates between canaries, of which 16 are remembered.
func TestReplayTakesVersionsAsAWorker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		versions int
		told     bool
	}{{rememberedVersions, true}, {rememberedVersions + 1, false}} {
		m, err := observer.Parse([]any{map[string]any{"metric": "loss", "detector": "rolling_mean", "window": 2.0}})
		if err != nil {
			t.Fatal(err)
		}
		r, told := NewReplay(m), false
		show := func(version string, value float64) {
			report := &wire.Report{Version: version, Metrics: []wire.Metric{{Name: "loss", Value: value}}}
			_, told = r.Report(report, time.UnixMilli(1e12), nil)
		}
		for i := range c.versions {
			show(fmt.Sprint("v", i), 1)
		}
		show("v0", 1) // forgotten, when there were 17: a new baseline
		show("v0", 1)
		if r.Condition().Degraded {
			t.Fatal("degraded at once")
		}
		show("v1", 2) // likewise
		if told != c.told {
			t.Errorf("%d versions: told %t", c.versions, told)
		}
	}
}
