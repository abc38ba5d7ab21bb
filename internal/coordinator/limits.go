package coordinator

import (
	"context"
	"fmt"
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

	reading sync.Mutex // held while the bucket is asked, so that nobody decides on what is not known yet
	counted time.Time  // when it answered last

	mu     sync.Mutex
	owned  int
	lag    map[int]uint64
	models map[int]int  // known ones by partition, of all workers
	served map[int]bool // partitions of this worker, which it counts itself
}

func newLimits(b *bus.Bus, config *Config) *limits {
	return &limits{
		bus: b, maxModels: config.MaxModels, maxCached: config.CachedModels,
		lag: map[int]uint64{}, models: map[int]int{}, served: map[int]bool{},
	}
}

// cached is how many models a partition may keep in memory.
func (l *limits) cached() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.maxCached / max(1, l.owned)
}

// admits tells whether a partition may learn of one more model, and if so counts it,
// until setModels says what became of it. It is an error if nobody knows.
func (l *limits) admits(ctx context.Context, partition int) (bool, error) {
	if err := l.count(ctx); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for _, n := range l.models {
		total += n
	}
	if total >= l.maxModels {
		return false, nil
	}
	l.models[partition]++
	return true, nil
}

// count learns, at most every second, what the partitions of other workers know.
func (l *limits) count(ctx context.Context) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	if time.Since(l.counted) <= time.Second {
		return nil
	}
	keys := make([]string, l.bus.Settings().Partitions)
	for p := range keys {
		keys[p] = wire.OffsetKey(p)
	}
	found, err := l.bus.ReadLatest(ctx, keys)
	if err != nil {
		return fmt.Errorf("models of all partitions: %w", err)
	}
	l.counted = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, key := range keys {
		var o offsetRecord
		if body := found[key].Value; !l.served[p] && body != nil && wire.UnmarshalState(body, &o) == nil {
			l.models[p] = o.Models
		}
	}
	return nil
}

// setModels says how many models a partition of this worker knows, those that are not
// written included.
func (l *limits) setModels(partition, n int) {
	l.mu.Lock()
	l.models[partition], l.served[partition] = n, true
	l.mu.Unlock()
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

// drop leaves the partition to another worker.
func (l *limits) drop(partition int) {
	l.mu.Lock()
	delete(l.lag, partition)
	delete(l.served, partition)
	l.mu.Unlock()
}

func (l *limits) lags() map[int]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.lag)
}
