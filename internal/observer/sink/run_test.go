package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queue is a Source as JetStream is one: what is given back comes again after its delay, with the next attempt.
type queue struct {
	ready chan Event
	fails error // returned by Next once closed

	mu      sync.Mutex
	settled []string        // "ack 1", "retry 1", "drop 1" in order
	delays  []time.Duration // of retries
	deny    error           // returned by Ack, Retry and Drop
}

func newQueue(events ...Event) *queue {
	q := &queue{ready: make(chan Event, 1000)}
	for _, e := range events {
		q.ready <- e
	}
	return q
}

func (q *queue) Next(ctx context.Context) (Delivery, error) {
	select {
	case e, open := <-q.ready:
		if !open {
			return nil, q.fails
		}
		return flight{q, e}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (q *queue) note(what string, e Event) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled = append(q.settled, what+" "+e.ID)
	return q.deny
}

func (q *queue) log() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.settled)
}

type flight struct {
	queue *queue
	event Event
}

func (f flight) Event() Event { return f.event }
func (f flight) Ack() error   { return f.queue.note("ack", f.event) }
func (f flight) Drop() error  { return f.queue.note("drop", f.event) }

func (f flight) Retry(after time.Duration) error {
	f.queue.mu.Lock()
	f.queue.delays = append(f.queue.delays, after)
	f.queue.mu.Unlock()
	again := f.event
	again.Attempt++
	time.AfterFunc(after, func() { f.queue.ready <- again })
	return f.queue.note("retry", f.event)
}

// called is a Sink made of a function.
type called func(ctx context.Context, e Event) error

func (called) Name() string                                 { return "test" }
func (f called) Deliver(ctx context.Context, e Event) error { return f(ctx, e) }

type testBundle struct {
	queue *queue
	logs  *strings.Builder // read it after stop
	stop  func() error     // ends the loop and returns what Run returned
}

// setup runs the loop within a synctest bubble over events 0 … n-1, stored now.
func setup(t *testing.T, n int, deliver called) *testBundle {
	t.Helper()
	b := &testBundle{queue: newQueue(), logs: new(strings.Builder)}
	for i := range n {
		b.queue.ready <- Event{ID: fmt.Sprint(i), Model: "m", Stored: time.Now(), Attempt: 1}
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	logger := zerolog.New(zerolog.SyncWriter(b.logs))
	go func() { result <- Run(ctx, logger, deliver, b.queue) }()
	b.stop = func() error { cancel(); return <-result }
	return b
}

// elapse moves the clock of the synctest bubble; it takes no time.
func elapse(d time.Duration) { <-time.After(d) }

func (b *testBundle) want(t *testing.T, want ...string) {
	t.Helper()
	if got := b.queue.log(); !slices.Equal(got, want) {
		t.Errorf("settled %v, want %v", got, want)
	}
}

func TestRunAcknowledgesWhatIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 1, func(context.Context, Event) error { return nil })
		synctest.Wait()
		b.want(t, "ack 0")
		if err := b.stop(); err != nil {
			t.Errorf("a stopped loop returned %v", err)
		}
	})
}

func TestRunRetriesFailuresAndPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts []int
		b := setup(t, 1, func(_ context.Context, e Event) error {
			attempts = append(attempts, e.Attempt)
			switch e.Attempt {
			case 1:
				return errors.New("connection refused")
			case 2:
				panic("sink bug")
			}
			return nil
		})
		elapse(10 * time.Second)
		b.want(t, "retry 0", "retry 0", "ack 0")
		if !slices.Equal(attempts, []int{1, 2, 3}) {
			t.Errorf("attempts %v", attempts)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		for _, part := range []string{"connection refused", "panic: sink bug", `"attempt":2`, `"sink":"test"`, `"model":"m"`, "run_test.go"} {
			if !strings.Contains(b.logs.String(), part) {
				t.Errorf("the log lacks %s:\n%s", part, b.logs)
			}
		}
	})
}

func TestRunBoundsAnAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var took time.Duration
		b := setup(t, 1, func(ctx context.Context, e Event) error {
			if e.Attempt > 1 {
				return nil
			}
			<-ctx.Done()
			took = time.Since(start)
			return ctx.Err()
		})
		elapse(time.Minute)
		b.want(t, "retry 0", "ack 0")
		if took != 30*time.Second {
			t.Errorf("the attempt was cut after %v", took)
		}
		_ = b.stop()
	})
}

func TestRunGivesUpAfterADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 1, func(context.Context, Event) error { return errors.New("gone") })
		elapse(24*time.Hour - time.Second)
		if got := b.queue.log(); slices.Contains(got, "drop 0") || len(got) < 24*60/10 {
			t.Errorf("within a day: %d attempts, %v", len(got), got)
		}
		elapse(10*time.Minute + time.Second)
		if got := b.queue.log(); got[len(got)-1] != "drop 0" || slices.Index(got, "drop 0") != len(got)-1 {
			t.Errorf("after a day it ends with %v", got[len(got)-1])
		}
		_ = b.stop()
		if !strings.Contains(b.logs.String(), `"level":"error","sink":"test","id":"0"`) {
			t.Error("the loss is not logged as an error")
		}
		for i, d := range b.queue.delays {
			if d < time.Second || d > 10*time.Minute {
				t.Errorf("delay %d is %v", i, d)
			}
		}
	})
}

// TestRunTriesAnOldEventOnce covers a worker that comes back after days.
func TestRunTriesAnOldEventOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 0, func(_ context.Context, e Event) error {
			if e.ID == "good" {
				return nil
			}
			return errors.New("gone")
		})
		old := time.Now().Add(-48 * time.Hour)
		b.queue.ready <- Event{ID: "good", Stored: old, Attempt: 1}
		synctest.Wait()
		b.queue.ready <- Event{ID: "bad", Stored: old, Attempt: 1}
		synctest.Wait()
		b.want(t, "ack good", "drop bad")
		_ = b.stop()
	})
}

func TestRunIsNotHeldUpBySlowEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, InFlight+5, func(ctx context.Context, e Event) error {
			if len(e.ID) == 1 && e.Attempt == 1 { // ten of them
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		synctest.Wait()
		if got := len(b.queue.log()); got != InFlight+5-10 {
			t.Errorf("%d events done beside ten slow ones, want %d", got, InFlight+5-10)
		}
		_ = b.stop()
	})
}

func TestRunBoundsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		flying, most := 0, 0
		b := setup(t, 3*InFlight, func(ctx context.Context, e Event) error {
			mu.Lock()
			flying++
			most = max(most, flying)
			mu.Unlock()
			elapse(time.Second)
			mu.Lock()
			flying--
			mu.Unlock()
			return nil
		})
		synctest.Wait()
		if left := len(b.queue.ready); left != 2*InFlight {
			t.Errorf("%d events left in the source, want %d: none is fetched before its turn", left, 2*InFlight)
		}
		elapse(4 * time.Second)
		if got := len(b.queue.log()); got != 3*InFlight || most != InFlight {
			t.Errorf("%d done, at most %d in flight, want %d and %d", got, most, 3*InFlight, InFlight)
		}
		_ = b.stop()
	})
}

func TestRunStopsPromptlyAndGivesBack(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"waiting for events": 1, "waiting for a place": InFlight + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, n, func(ctx context.Context, e Event) error {
					<-ctx.Done()
					return ctx.Err()
				})
				synctest.Wait()
				start := time.Now()
				if err := b.stop(); err != nil || time.Since(start) != 0 {
					t.Errorf("stopped with %v after %v", err, time.Since(start))
				}
				if got := b.queue.log(); len(got) != min(n, InFlight) || !strings.HasPrefix(got[0], "retry") || slices.Max(b.queue.delays) != 0 {
					t.Errorf("settled %v after %v", got, b.queue.delays)
				}
				if b.logs.Len() > 0 {
					t.Errorf("a stop is logged as trouble: %s", b.logs)
				}
			})
		})
	}
}

func TestRunAcknowledgesWhatIsTakenWhileStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 1, func(ctx context.Context, e Event) error { <-ctx.Done(); return nil })
		synctest.Wait()
		_ = b.stop()
		b.want(t, "ack 0")
	})
}

// TestRunReturnsTheSourcesError also sees that the events in flight are waited for.
func TestRunReturnsTheSourcesError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("consumer deleted")
		q := newQueue(Event{ID: "0", Attempt: 1})
		q.fails = broken
		close(q.ready)
		slow := called(func(context.Context, Event) error { elapse(5 * time.Second); return nil })
		err := Run(t.Context(), zerolog.Nop(), slow, q)
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "sink test: ") {
			t.Errorf("returned %v", err)
		}
		if got := q.log(); !slices.Equal(got, []string{"ack 0"}) {
			t.Errorf("settled %v before it returned", got)
		}
	})
}

func TestRunSurvivesAFailedAcknowledgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 0, func(context.Context, Event) error { return nil })
		b.queue.deny = errors.New("no responders")
		b.queue.ready <- Event{ID: "0", Attempt: 1}
		b.queue.ready <- Event{ID: "1", Attempt: 1}
		synctest.Wait()
		if got := len(b.queue.log()); got != 2 {
			t.Errorf("%d events settled", got)
		}
		_ = b.stop()
		if !strings.Contains(b.logs.String(), "no responders") {
			t.Errorf("log: %s", b.logs)
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-1, 1<<40).Draw(t, "attempt")
		jitter := rapid.Float64Range(0, 0.999).Draw(t, "jitter")
		d := Backoff(n, jitter)
		if d < time.Second || d > 10*time.Minute || Backoff(n+1, jitter) < d {
			t.Fatalf("after attempt %d: %v, then %v", n, d, Backoff(n+1, jitter))
		}
	})
	for n, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 9: 256, 10: 300, 1000: 300} {
		if got := Backoff(n, 0); got != want*time.Second {
			t.Errorf("after attempt %d at least %v, want %d s", n, got, want)
		}
	}
}
