package coordinator

import (
	"context"
	"runtime"
	"sync"
	"time"
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

// wait gives those that think a while to end; they touch nothing but what they were
// given.
func (t *thinkers) wait(most time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.group.Wait()
	}()
	select {
	case <-done:
	case <-time.After(most):
	}
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
