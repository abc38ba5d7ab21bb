package coordinator

import (
	"context"
	"runtime"
	"sync"
)

// thinkers bounds the goroutines that compute for slow strategies.
type thinkers struct {
	places chan struct{}
	group  sync.WaitGroup
}

// newThinkers leaves one processor to those that wait for inputs, if there is more
// than one.
func newThinkers() *thinkers {
	return &thinkers{places: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))}
}

// Go runs f once there is a place, unless ctx ends before.
func (t *thinkers) Go(ctx context.Context, f func()) {
	t.group.Go(func() {
		select {
		case t.places <- struct{}{}:
			defer func() { <-t.places }()
			if ctx.Err() == nil {
				f()
			}
		case <-ctx.Done():
		}
	})
}
