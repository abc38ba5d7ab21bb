package coordinator

import (
	"fmt"
	"strings"
	"testing"
)

// TestModelsThatComeTogether: the limit holds for new models that reach all partitions
// of a worker at once, and after a restart.
func TestModelsThatComeTogether(t *testing.T) {
	t.Parallel()
	const limit, partitions = 10, 8
	b := setup(t, func(b *testBundle) { b.config.MaxModels, b.set.Partitions = limit, partitions })
	dead := b.subscribe("retune.dead.>")
	for round, models := range []int{100, 50} {
		for i := range models {
			b.report(fmt.Sprintf("m%d-%d", round, i), `{"metrics":{"loss":1}}`)
		}
		w := b.worker()
		for range models - limit*(1-round) {
			b.next(dead)
		}
		w.stop()
		known := 0
		for p := range partitions {
			known += b.offsetOf(p).Models
		}
		if known != limit {
			t.Errorf("round %d: %d models are known, the limit is %d", round, known, limit)
		}
		b.none(dead)
	}
}

// TestARefusedInputTakesNoRoom: a model that is only named by inputs of no use does not
// count towards the limit.
func TestARefusedInputTakesNoRoom(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.MaxModels = 2 })
	dead, configs := b.subscribe("retune.dead.>"), b.subscribe("retune.config.>")
	for i := range 5 {
		b.command(fmt.Sprintf("none%d", i), `{"op":"stop","name":"s"}`)
	}
	for i := range 3 {
		b.report(fmt.Sprintf("m%d", i), `{"metrics":{"loss":1},"config":{"lr":1}}`)
	}
	b.worker()
	for range 5 {
		if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), "is not known") {
			t.Errorf("%v", m.Header)
		}
	}
	if m, _ := b.next(dead); m.Header.Get("Retune-Model") != "m2" || !strings.Contains(m.Header.Get("Retune-Error"), "limits.models") {
		t.Errorf("%v", m.Header)
	}
	b.next(configs)
	b.next(configs)
}
