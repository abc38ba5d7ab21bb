package coordinator

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nuid"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
)

// Worker serves its share of the partitions, which follows from who else lives.
type Worker struct {
	config    Config
	bus       *bus.Bus
	committer *bus.Committer
	metrics   *Metrics
	limits    *limits
	thinkers  *thinkers
	log       zerolog.Logger
	self      bus.Worker
	fatal     chan error

	mu      sync.Mutex
	joined  bool
	serving sync.WaitGroup
	ended   bool // nothing is started any more
	served  map[int]*tenancy
	warned  map[string]bool // workers of another config
}

// tenancy is a partition being served.
type tenancy struct {
	cancel  context.CancelFunc
	done    chan struct{}
	open    bool
	stalled atomic.Bool   // waits for room in the bucket
	applied atomic.Uint64 // the last input that is applied, its outputs committed
}

// Lanes is how many commits a worker may have in flight when so many live: the
// server allows 50 to all together, and those of dead workers count for 10 s.
func Lanes(workers int) int { return max(1, min(8, 40/max(1, workers))) }

// New makes a worker. It does nothing until Run.
func New(b *bus.Bus, config Config, metrics *Metrics, log zerolog.Logger) *Worker {
	host, _ := os.Hostname()
	return &Worker{
		config: config, bus: b, metrics: metrics, log: log,
		limits:   newLimits(b, &config),
		thinkers: newThinkers(),
		self:     bus.Worker{ID: nuid.Next(), Host: host, PID: os.Getpid(), Version: config.Version, ConfigHash: config.Hash, Started: time.Now().UTC()},
		fatal:    make(chan error, 1), served: map[int]*tenancy{}, warned: map[string]bool{},
	}
}

// Run serves until ctx ends, then finishes what is in flight, writes what is
// dirty and leaves, within 10 s. An error is one that only the operator can mend.
func (w *Worker) Run(ctx context.Context) error {
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	committer, err := w.bus.NewCommitter(background, Lanes(1), w.metrics.batch)
	if err != nil {
		return err
	}
	w.committer = committer
	w.metrics.partitions.Set(float64(w.bus.Settings().Partitions))
	go w.watchBucket(background)
	membership, leave := context.WithCancel(background)
	left := make(chan error, 1)
	go func() { left <- w.bus.Join(membership, w.announce, w.assign) }()
	select {
	case <-ctx.Done():
	case err = <-w.fatal:
	case err = <-left:
		leave()
		w.stopAll()
		return err
	}
	w.stopAll()
	defer w.thinkers.wait(2 * time.Second)
	leave()
	if gone := <-left; gone != nil {
		w.log.Warn().Err(gone).Msg("the others will notice after the lease only")
	}
	return err
}

func (w *Worker) announce() bus.Worker {
	self := w.self
	self.Lag = w.limits.lags()
	return self
}

// Ready tells whether the worker has joined and serves all that is its own.
func (w *Worker) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.bus.Connected() {
		return fmt.Errorf("not connected to NATS")
	}
	if !w.joined {
		return fmt.Errorf("has not joined the other workers yet")
	}
	for p, t := range w.served {
		if !t.open {
			return fmt.Errorf("partition %d is not open yet", p)
		}
		if t.stalled.Load() {
			return fmt.Errorf("partition %d is stalled: %w", p, bus.ErrFull)
		}
	}
	return nil
}

// Self is what the worker says of itself to others.
func (w *Worker) Self() bus.Worker { return w.self }

// Status is how the worker is right now.
func (w *Worker) Status() bus.Status {
	s := bus.Status{Worker: w.announce(), Total: w.bus.Settings().Partitions}
	w.mu.Lock()
	s.Wanted = len(w.served)
	w.mu.Unlock()
	_, s.Owned = w.metrics.shares.sum()
	for _, n := range s.Lag {
		s.Behind += n
	}
	if err := w.Ready(); err != nil {
		s.Reason = err.Error()
	}
	s.Ready = s.Reason == ""
	return s
}

// Applied tells whether each partition that this worker serves has applied its
// input `last[p]`.
func (w *Worker) Applied(last []uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.served) == 0 {
		return false
	}
	for p, t := range w.served {
		if t.applied.Load() < last[p] {
			return false
		}
	}
	return true
}

// assign starts and stops partitions as the list of workers demands.
func (w *Worker) assign(workers []bus.Worker) {
	ids := make([]string, len(workers))
	for i, other := range workers {
		ids[i] = other.ID
		w.compare(other)
	}
	mine := map[int]bool{}
	for p, owner := range bus.Owners(w.bus.Settings().Partitions, ids) {
		if owner == w.self.ID {
			mine[p] = true
		}
	}
	w.committer.SetLanes(Lanes(len(workers)))
	w.metrics.workers.Set(float64(len(workers)))
	w.metrics.wanted.Set(float64(len(mine)))
	w.limits.setOwned(len(mine))
	w.log.Info().Int("workers", len(workers)).Int("partitions", len(mine)).Msg("partitions shared out")
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.joined = true
	for p, t := range w.served {
		if !mine[p] {
			t.cancel()
			delete(w.served, p)
			go func() { <-t.done; w.release(p) }()
		}
	}
	for p := range mine {
		if w.served[p] == nil {
			w.start(p)
		}
	}
}

// release forgets figures of a partition unless it has come back meanwhile.
func (w *Worker) release(p int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.served[p] == nil {
		w.limits.drop(p)
		w.metrics.forget(labelOf(p))
	}
}

func (w *Worker) start(number int) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tenancy{cancel: cancel, done: make(chan struct{})}
	w.served[number] = t
	p := &partition{
		number: number, label: labelOf(number), config: &w.config, bus: w.bus, committer: w.committer, metrics: w.metrics,
		limits: w.limits, thinkers: w.thinkers, log: w.log.With().Int("partition", number).Logger(), stop: ctx,
		poison: map[uint64]error{}, unsearched: map[uint64]bool{}, barred: map[string]bool{}, oversized: map[string]error{}, frozen: map[string]bool{}, stallPause: time.Second,
		moveEvery: max(time.Second, min(w.bus.Settings().InputAge/10, time.Hour)),
		progress:  &t.applied, stalled: &t.stalled,
		opened: func() {
			w.mu.Lock()
			t.open = true
			w.mu.Unlock()
		},
	}
	w.serving.Go(func() {
		defer close(t.done)
		if err := p.run(); err != nil {
			select {
			case w.fatal <- err:
			default:
			}
		}
	})
}

// compare warns once of a worker that runs with another config.
func (w *Worker) compare(other bus.Worker) {
	if other.ConfigHash != w.self.ConfigHash && !w.warned[other.ID] {
		w.warned[other.ID] = true
		w.log.Warn().Str("worker", other.ID).Str("host", other.Host).Int("pid", other.PID).
			Msg("another worker runs with another config: models change their treatment as partitions move")
	}
}

// stopAll waits for all partitions, those under way to another worker too.
func (w *Worker) stopAll() {
	w.mu.Lock()
	for _, t := range w.served {
		t.cancel()
	}
	w.served, w.ended = map[int]*tenancy{}, true
	w.mu.Unlock()
	w.serving.Wait()
}

// watchBucket asks now and then how full the bucket is.
func (w *Worker) watchBucket(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if used, most, err := w.bus.BucketSize(ctx); err == nil {
			w.metrics.bucket.Set(float64(used))
			w.metrics.bucketMost.Set(float64(most))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
