package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

const (
	// ChunkSize is how many inputs are decoded at once.
	ChunkSize = 512
	// State that no output implies is written this long after it changed, later
	// while inputs wait, but before a successor would have too much to apply again.
	flushAfter  = time.Second
	flushLatest = 10 * time.Second
	flushInputs = 32_768
	tickEvery   = time.Second
	// pollEvery is how often the server is asked for the lag, which also finds a
	// message that was lost with none after it, and for the size of the bucket.
	pollEvery = 5 * time.Second
)

// partition serves one partition: one goroutine, at most one commit in flight, so
// that what it holds in memory is what the bucket holds plus what is dirty.
type partition struct {
	number    int
	label     string
	config    *Config
	bus       *bus.Bus
	committer *bus.Committer
	metrics   *Metrics
	limits    *limits
	thinkers  *thinkers
	log       zerolog.Logger
	stop      context.Context // ended when the partition is to be handed over
	opened    func()
	progress  *atomic.Uint64
	stalled   *atomic.Bool

	// What a tenure knows; dropped after any failure.
	fence    uint64
	offset   offsetRecord
	reader   *bus.Reader
	models   map[string]*model
	dirty    []dirtyModel // in order of the first input that is not written
	applied  bus.Place    // the last input that was handled
	fresh    int          // dirty models that are not known yet
	batch    batch
	due      map[string]time.Time // when time alone will change a model's study
	running  map[string]bool      // models with a running study
	tenure   context.Context      // ends with the tenure
	answers  chan answered
	thinking map[string]bool // models whose next question is being answered
	behind   bool            // inputs wait on the server
	changed  time.Time       // since when something is unwritten; zero: nothing is
	ticked   time.Time
	polled   time.Time
	moved    time.Time
	newest   bus.Place // the stream's end at that time
	traced   []traced  // inputs whose trace is sampled, not known to be committed

	// What outlives failures.
	poison     map[uint64]error // inputs that made apply panic
	unsearched map[uint64]bool  // reports whose retrain event can start no study
	barred     map[string]bool  // models whose next tick can start none
	oversized  map[string]error // models whose state does not fit a message
	frozen     map[string]bool  // models whose tick panicked
	decoder    wire.Decoder
	chunk      []decoded
	scratch    []observer.Metric
	stallPause time.Duration
	moveEvery  time.Duration
}

// dirtyModel is a model that changed after the place `before`.
type dirtyModel struct {
	model  *model
	since  uint64
	before bus.Place
}

func (d dirtyModel) pending() bool { return d.model.dirty && d.model.since == d.since }

// run serves the partition until stop ends. Failures lead to reading again from
// what is committed, after a pause; the error it returns is one that only the
// operator can mend.
func (p *partition) run() error {
	work, cancel := context.WithCancel(context.WithoutCancel(p.stop))
	defer cancel()
	defer context.AfterFunc(p.stop, func() { time.AfterFunc(handOver, cancel) })()
	for failures := 0; p.stop.Err() == nil; {
		start := time.Now()
		err := p.serve(work)
		switch {
		case p.stop.Err() != nil:
			return nil
		case errors.Is(err, bus.ErrAltered), errors.Is(err, bus.ErrInputs), errors.Is(err, errNewerSchema):
			return fmt.Errorf("partition %d: %w", p.number, err)
		case errors.Is(err, errUnfit):
			continue
		case errors.Is(err, bus.ErrConflict):
			p.metrics.conflicts.Inc()
			p.log.Info().Msg("another worker has this partition too: reading again")
		default:
			p.log.Warn().Err(err).Msg("reading again from what is committed")
		}
		if time.Since(start) > 10*time.Second {
			failures = 0
		}
		failures++
		pause := min(20*time.Millisecond<<min(failures, 7), 2*time.Second)
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-p.stop.Done():
		}
	}
	return nil
}

// handOver bounds what a partition does after it was told to stop.
const handOver = 6 * time.Second

// serve is one tenure: from reading the offset to the first failure or the stop.
func (p *partition) serve(ctx context.Context) error {
	tenure, end := context.WithCancel(ctx)
	defer end()
	p.tenure, p.answers, p.thinking = tenure, make(chan answered, 16), map[string]bool{}
	if err := p.open(ctx); err != nil {
		return err
	}
	defer p.reader.Close()
	p.opened()
	p.metrics.stalled.WithLabelValues(p.label).Set(0)
	p.metrics.shares.set(p, p.share())
	defer p.metrics.shares.drop(p)
	timer := time.NewTicker(100 * time.Millisecond)
	defer timer.Stop()
	for {
		inputs, err := p.reader.Take(ChunkSize)
		if err != nil {
			return err
		}
		if len(inputs) > 0 {
			p.metrics.read.Add(float64(len(inputs)))
			if err := p.apply(ctx, inputs); err != nil {
				return err
			}
			p.progress.Store(p.applied.Sequence)
			p.behind = inputs[len(inputs)-1].Pending > 0
		}
		if err := p.housekeep(ctx, len(inputs) == 0 && !p.behind); err != nil {
			return err
		}
		if p.stop.Err() != nil {
			return p.flush(ctx)
		}
		if len(p.answers) > 0 {
			if err := p.answer(ctx, <-p.answers); err != nil {
				return err
			}
			continue
		}
		if len(inputs) > 0 {
			continue
		}
		select {
		case a := <-p.answers:
			if err := p.answer(ctx, a); err != nil {
				return err
			}
		case <-p.reader.Ready():
		case <-timer.C:
		case <-p.stop.Done():
		}
	}
}

// schedule notes whether the model has a running study and when time alone will
// change it next.
func (p *partition) schedule(m *model) {
	if m.study != nil {
		p.running[m.id] = true
	} else {
		delete(p.running, m.id)
	}
	if due := m.due(); !due.IsZero() && !p.frozen[m.id] {
		p.due[m.id] = due
	} else {
		delete(p.due, m.id)
	}
	p.think(m)
}

// housekeep does what is due beside inputs: ticks, writing what has changed, and
// asking the server how far behind the partition is.
func (p *partition) housekeep(ctx context.Context, idle bool) error {
	now := time.Now()
	if now.Sub(p.polled) >= pollEvery {
		p.polled = now
		if _, err := p.position(ctx); err != nil {
			return err
		}
	}
	if now.Sub(p.ticked) >= tickEvery {
		p.ticked = now
		if err := p.tick(ctx, idle); err != nil {
			return err
		}
	}
	if p.changed.IsZero() {
		return p.moveOn(ctx, now)
	}
	age := now.Sub(p.changed)
	if age >= flushAfter && idle || age >= flushLatest || len(p.offset.Dead) > deadSlots || len(p.dirty) > 0 && p.applied.Sequence-p.offset.Sequence >= flushInputs*uint64(p.bus.Settings().Partitions) {
		if err := p.flush(ctx); err != nil {
			return err
		}
		p.evict()
	}
	return nil
}

// moveOn takes the offset of a partition without inputs along with the stream now
// and then: or it would seem, once that place has expired, that inputs were lost.
// It goes to where the stream ended a while ago, for the reader's consumer may
// live on a replica that lags.
func (p *partition) moveOn(ctx context.Context, now time.Time) error {
	if now.Sub(p.moved) < p.moveEvery || p.fence == 0 {
		return nil
	}
	p.moved = now
	newest, err := p.bus.Newest(ctx)
	if err != nil {
		return err
	}
	before := p.newest
	p.newest = newest
	at, err := p.position(ctx)
	if err != nil || !at.CaughtUp || before.Sequence <= p.applied.Sequence || !before.Created.Equal(p.offset.Created) {
		return err
	}
	p.applied.Sequence, p.applied.Time = before.Sequence, before.Time
	return p.flush(ctx)
}

func (p *partition) position(ctx context.Context) (bus.Position, error) {
	at, err := p.reader.Position(ctx)
	if err == nil {
		p.metrics.lag.WithLabelValues(p.label).Set(float64(at.Lag))
		p.limits.setLag(p.number, at.Lag)
	}
	return at, err
}

// flush writes all that is dirty, oldest first, and the offset.
func (p *partition) flush(ctx context.Context) error {
	for {
		for _, d := range p.dirty {
			if p.batch.size()+d.model.writes() > bus.MaxWrites {
				break
			}
			if d.pending() && !d.model.touched {
				p.batch.touch(d.model, 0)
			}
		}
		if p.batch.empty() && p.applied.Sequence == p.offset.Sequence {
			break
		}
		if err := p.commit(ctx); err != nil {
			return err
		}
	}
	p.dirty, p.changed = nil, time.Time{}
	return nil
}

// evict keeps the cache within its bound. What is dirty stays.
func (p *partition) evict() {
	most := p.limits.cached()
	for id, m := range p.models {
		if len(p.models) <= most {
			return
		}
		if !m.dirty && !m.touched {
			delete(p.models, id)
		}
	}
}

// tick lets time pass for the models that wait for it, so that reports that wait
// are not overtaken: up to the server's time of a moment at which nothing was left
// to read, or, in a partition that never gets that far, up to its last input.
func (p *partition) tick(ctx context.Context, idle bool) error {
	now := p.applied.Time
	if idle && p.anyDue(p.bus.Now()) {
		at, err := p.position(ctx)
		if err != nil {
			return err
		}
		if at.CaughtUp {
			now = at.Time
		}
	}
	ids := p.dueBy(now)
	ids = ids[:min(len(ids), ticksAtOnce)]
	if err := p.load(ctx, p.unknown(ids), nil); err != nil {
		return err
	}
	for _, id := range ids {
		if err := p.tickModel(ctx, id, now); err != nil {
			return err
		}
	}
	if p.batch.empty() {
		return nil
	}
	if err := p.commit(ctx); err != nil {
		return err
	}
	p.evict()
	return nil
}

// ticksAtOnce bounds for how many models time passes before inputs have their turn.
const ticksAtOnce = 500

// unknown are the models that have to be read.
func (p *partition) unknown(ids []string) (missing []string) {
	for _, id := range ids {
		if p.models[id] == nil {
			missing = append(missing, id)
		}
	}
	return missing
}

func (p *partition) tickModel(ctx context.Context, id string, now time.Time) error {
	return p.outside(ctx, id, now, func(s *step, m *model) { s.tick(m) })
}

// outside changes a model by something that is no input.
func (p *partition) outside(ctx context.Context, id string, now time.Time, change func(*step, *model)) error {
	if p.models[id] == nil {
		if err := p.load(ctx, []string{id}, nil); err != nil {
			return err
		}
	}
	m := p.models[id]
	if m.broken != nil {
		delete(p.due, id)
		return nil
	}
	if err := p.makeRoom(ctx, true); err != nil {
		return err
	}
	s := p.step(id, 0, now, "")
	s.unsearched = p.barred[id]
	delete(p.barred, id)
	before := m.writes()
	refused := guard(func() error { change(s, m); return nil })
	if unfit := cmp.Or(s.err, panicked(refused)); unfit != nil {
		p.frozen[id] = true
		p.log.Error().Err(unfit).Str("model", id).Msg("the study of a model cannot go on by itself: its deadlines and suggestions are off until the next start")
		return errUnfit
	}
	if s.changed {
		// What was read before was decided without this tick, what it was ignored or
		// refused for included: a replay must not decide it again after the tick.
		m.sequence, m.forgotten = max(m.sequence, p.applied.Sequence), false
	}
	p.accept(m, s, before)
	return nil
}

func (p *partition) step(id string, sequence uint64, now time.Time, trace string) *step {
	return &step{
		cause:  cause{model: id, sequence: sequence, now: now, trace: trace},
		config: p.config, names: p.bus.Settings().Subjects, room: p.room(), metrics: p.scratch,
	}
}

// room is how large the body of a message may be: the server's limit less headers.
func (p *partition) room() int { return int(p.bus.MaxPayload()) - 4096 }

var (
	errPanicked = errors.New("internal fault, please report it")
	// errUnfit: an input or tick was half applied; the partition is read again and
	// leaves it out.
	errUnfit = errors.New("cannot be applied")
)

// guard turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: panic: %v", errPanicked, r)
		}
	}()
	return f()
}

// panicked is the error if it comes from a panic.
func panicked(err error) error {
	if errors.Is(err, errPanicked) {
		return err
	}
	return nil
}

func labelOf(partition int) string { return strconv.Itoa(partition) }
