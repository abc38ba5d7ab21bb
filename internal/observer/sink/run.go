package sink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// Timeout bounds one attempt. A source must not redeliver sooner.
	Timeout = 30 * time.Second
	// InFlight is how many events a sink works on at once, so that a slow one does not hold up the others.
	InFlight = 16

	patience = 24 * time.Hour // since an event was stored; then a failure is final
	shortest = time.Second    // delays between attempts
	longest  = 10 * time.Minute
)

// Run feeds sink from source until ctx ends, which is no error, or the source fails, and then waits for the events in
// flight. When ctx ends their attempts are cut short and given back for whoever runs the sink next.
// A sink that fails or panics costs its own events time, and nobody else anything.
func Run(ctx context.Context, logger zerolog.Logger, sink Sink, source Source) error {
	logger = logger.With().Str("sink", sink.Name()).Logger()
	var flights sync.WaitGroup
	defer flights.Wait()
	places := make(chan struct{}, InFlight)
	for {
		// A place first: an event fetched and left waiting would come again elsewhere.
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		delivery, err := source.Next(ctx)
		if ctx.Err() != nil && err != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("sink %s: next event: %w", sink.Name(), err)
		}
		flights.Go(func() {
			defer func() { <-places }()
			settle(ctx, logger, sink, delivery)
		})
	}
}

// settle makes one attempt and tells the source how it went.
func settle(ctx context.Context, logger zerolog.Logger, sink Sink, delivery Delivery) {
	event := delivery.Event()
	logger = logger.With().Str("id", event.ID).Str("model", event.Model).Int("attempt", event.Attempt).Logger()
	failure := attempt(ctx, sink, event)
	var err error
	switch {
	case failure == nil:
		err = delivery.Ack()
	case ctx.Err() != nil:
		// Stopped, which is not the sink's fault: the next one may try at once.
		err = delivery.Retry(0)
	case time.Since(event.Stored) >= patience:
		logger.Error().Err(failure).Time("stored", event.Stored).Msg("event dropped: the sink has failed on it for a day")
		err = delivery.Drop()
	default:
		after := Backoff(event.Attempt, rand.Float64())
		logger.Warn().Err(failure).Dur("retry_in", after).Msg("event not delivered")
		err = delivery.Retry(after)
	}
	if err != nil {
		logger.Warn().Err(err).Msg("event not settled: it will be delivered again")
	}
}

func attempt(ctx context.Context, sink Sink, event Event) (err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return sink.Deliver(ctx, event)
}

// Backoff is the delay after the n-th attempt: it doubles from 1 … 2 s to 5 … 10 min. jitter in [0, 1) places it within
// the range, so that events that failed together don't come back together ("equal jitter": Brooker, Exponential
// Backoff And Jitter, AWS Architecture Blog, 2015).
func Backoff(n int, jitter float64) time.Duration {
	ceiling := 2 * shortest
	for ; n > 1 && ceiling < longest; n-- {
		ceiling *= 2
	}
	ceiling = min(ceiling, longest)
	return ceiling/2 + time.Duration(jitter*float64(ceiling/2))
}
