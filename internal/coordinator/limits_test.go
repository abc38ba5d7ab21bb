package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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

// TestModelsOfOthers: what is stored of the partitions of other workers counts, of a
// worker's own what it knows itself; and nothing is decided while that is unknown.
func TestModelsOfOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, func(b *testBundle) { b.config.MaxModels, b.set.Partitions = 5, 4 })
	dead := b.subscribe("retune.dead.>")
	for i := range 6 {
		b.report(fmt.Sprintf("m%d", i), `{"metrics":{"loss":1}}`)
	}
	w := b.worker()
	b.next(dead)
	w.stop()
	busy := slices.IndexFunc([]int{0, 1, 2, 3}, func(p int) bool { return b.offsetOf(p).Models > 0 })
	other := (busy + 1) % 4
	l := newLimits(b.open(), &b.config)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if room, err := l.admits(gone, other); err == nil {
		t.Errorf("decided %v without an answer", room)
	}
	if room, err := l.admits(t.Context(), other); room || err != nil {
		t.Errorf("five models are stored, and a sixth is let in: %v", err)
	}
	l.setModels(busy, 0) // it has forgotten them, which is not written yet
	l.counted = time.Time{}
	if room, err := l.admits(t.Context(), other); !room || err != nil {
		t.Errorf("what is stored of an own partition goes before what it knows: %v", err)
	}
}
