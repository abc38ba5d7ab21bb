package coordinator

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// limits are what the partitions of a worker share.
type limits struct {
	bus       *bus.Bus
	maxModels int
	maxCached int

	mu      sync.Mutex
	owned   int
	lag     map[int]uint64
	known   map[int]int // models by partition, of all workers
	counted time.Time
}

// cached is how many models a partition may keep in memory.
func (l *limits) cached() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.maxCached / max(1, l.owned)
}

// admits tells whether a partition that knows `own` models may learn of one more.
// What the others know is asked at most every second.
func (l *limits) admits(ctx context.Context, own, partition int) bool {
	if l.due() {
		l.count(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	total := own
	for p, n := range l.known {
		if p != partition {
			total += n
		}
	}
	return total < l.maxModels
}

// due tells one of those who ask that it is time to count again.
func (l *limits) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.counted) <= time.Second {
		return false
	}
	l.counted = time.Now()
	return true
}

func (l *limits) count(ctx context.Context) {
	keys := make([]string, l.bus.Settings().Partitions)
	for p := range keys {
		keys[p] = wire.OffsetKey(p)
	}
	found, err := l.bus.ReadLatest(ctx, keys)
	if err != nil {
		return // as last time
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, key := range keys {
		var o offsetRecord
		if body := found[key].Value; body != nil && wire.UnmarshalState(body, &o) == nil {
			l.known[p] = o.Models
		}
	}
}

func (l *limits) setOwned(n int) {
	l.mu.Lock()
	l.owned = n
	l.mu.Unlock()
}

func (l *limits) setLag(partition int, n uint64) {
	l.mu.Lock()
	l.lag[partition] = n
	l.mu.Unlock()
}

func (l *limits) dropLag(partition int) {
	l.mu.Lock()
	delete(l.lag, partition)
	l.mu.Unlock()
}

func (l *limits) lags() map[int]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.lag)
}
