package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/observer/sink"
)

// HookOptions say what to run for which retrain events.
type HookOptions struct {
	Name     string        // hooks of a name share the events; "": one that follows from the command and what it is run for
	Model    string        // "" or "*": of all models
	Triggers []string      // of HookTriggers; none: all
	Command  []string      // run once per event; an exit code other than 0 is a failure
	Parallel int           // runs at once, 1 to study.MaxParallelism
	Retries  int           // after a failure, 0 to 1000; then the event is given up
	Timeout  time.Duration // of a run; 0: none
	All      bool          // a new name begins with the events that are stored
	Out, Err io.Writer     // for what the programs print
	Log      zerolog.Logger

	backoff func(attempt int) time.Duration // default: that of sinks
}

// HookTriggers are what HookOptions.Triggers may have.
var HookTriggers = []string{"degraded", "improved", "stale"}

const maxHookRetries = 1000

// RunHook runs a command per retrain event until ctx ends, which is no error. The events that it has in hand then go
// to other hooks of the name.
func RunHook(ctx context.Context, b *bus.Bus, o HookOptions) error {
	if err := o.complete(); err != nil {
		return err
	}
	h := &hook{HookOptions: o, bus: b, slots: make(chan struct{}, o.Parallel), held: map[uint64]bool{}, waiting: map[string][]*hookTurn{}}
	return unlessDone(ctx, h.run(ctx))
}

// complete checks the options and fills in what is absent.
func (o *HookOptions) complete() error {
	o.Model = cmp.Or(o.Model, "*")
	if o.Model != "*" {
		if err := checkFlag("--model", o.Model); err != nil {
			return err
		}
	}
	for _, trigger := range o.Triggers {
		if !slices.Contains(HookTriggers, trigger) {
			return &Misuse{fmt.Errorf("--trigger: %q is unknown: %s", trigger, meant(trigger, HookTriggers))}
		}
	}
	o.Triggers = slices.Compact(slices.Sorted(slices.Values(o.Triggers)))
	if len(o.Triggers) == len(HookTriggers) {
		o.Triggers = nil
	}
	if err := cmp.Or(checkFlag("--name", o.Name), checkParallel(o.Parallel, 1), checkCommand(o.Command)); err != nil {
		return err
	}
	if err := within("--retries", o.Retries, 0, maxHookRetries); err != nil {
		return &Misuse{err}
	}
	if o.Timeout < 0 {
		return &Misuse{fmt.Errorf("--timeout: %s is negative: give one such as 2h, or 0 for none", o.Timeout)}
	}
	o.Name = cmp.Or(o.Name, o.derivedName())
	if o.backoff == nil {
		o.backoff = func(attempt int) time.Duration { return sink.Backoff(attempt, rand.Float64()) }
	}
	return nil
}

// derivedName differs between commands, as those of one name share the events and each would miss some.
func (o *HookOptions) derivedName() string {
	parts := slices.Concat([]string{o.Model}, o.Triggers, []string{""}, o.Command)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:4])
}

// hook runs a command per event, some at once, but one at a time and in order for each model.
type hook struct {
	HookOptions
	bus      *bus.Bus
	slots    chan struct{} // as many as may run at once
	working  sync.WaitGroup
	printing sync.Mutex // lines stay whole
	latest   time.Time  // after the newest event that was taken was stored

	mu      sync.Mutex
	held    map[uint64]bool        // sequences of the events in hand
	waiting map[string][]*hookTurn // events behind the one that is being dealt with, by model
}

// run returns why it ended, when the programs have.
func (h *hook) run(ctx context.Context) error {
	defer h.working.Wait()
	for first := true; ; first = false {
		queue, err := h.join(ctx, first)
		if err != nil {
			return err
		}
		err = h.share(ctx, queue)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		h.Log.Debug().Err(err).Msg("joining the hooks again")
		pause(ctx, rejoinPause)
	}
}

// join waits until the events are shared out. An error is that of ctx, or one that only the user can mend.
func (h *hook) join(ctx context.Context, first bool) (*bus.Queue, error) {
	wanted := bus.Hook{Name: h.Name, Model: h.Model, Triggers: strings.Join(h.Triggers, ","), Since: h.since(first)}
	for told := ""; ; pause(ctx, rejoinPause) {
		queue, fresh, err := h.bus.Hook(ctx, wanted)
		switch {
		case err == nil:
			if first {
				h.greet(fresh)
			}
			return queue, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, bus.ErrOtherHook):
			return nil, &Misuse{fmt.Errorf("--name: %q: %w: give another name, or remove the consumer %s", h.Name, err, bus.HookConsumer(h.Name))}
		case errors.Is(err, bus.ErrNoOutputs):
			wanted.Since = time.Unix(1, 0) // whatever there will be is new
			if err.Error() != told {
				h.Log.Info().Msg("waiting for the first worker")
			}
		case err.Error() != told:
			h.Log.Warn().Err(err).Msg("cannot join the hooks yet: trying again")
		}
		told = err.Error()
	}
}

// since is where to begin if the consumer is not there: again when somebody removed it meanwhile.
func (h *hook) since(first bool) time.Time {
	switch {
	case !first:
	case h.All:
		h.latest = time.Unix(1, 0)
	default:
		h.latest = h.bus.Now()
		return time.Time{} // the server's word on what is new
	}
	return h.latest
}

func (h *hook) greet(fresh bool) {
	line := h.Log.Info().Str("name", h.Name).Str("consumer", bus.HookConsumer(h.Name))
	switch {
	case !fresh && h.All:
		line.Msg("going on where hooks of this name left off, in spite of --all: give another --name to begin anew")
	case !fresh:
		line.Msg("going on where hooks of this name left off; those that run share the events")
	default:
		line.Msg("waiting for retrain events")
	}
}

// share asks for one event at a time, and only while a slot is free, so that none waits here while another hook is
// free.
func (h *hook) share(ctx context.Context, queue *bus.Queue) error {
	for {
		if !h.enter(ctx) {
			return ctx.Err()
		}
		h.leave() // a run that is to be repeated does not wait for an event to come
		output, err := queue.Take(ctx)
		if err != nil {
			return err
		}
		if output.Time.After(h.latest) { // not of one that comes again
			h.latest = output.Time.Add(1)
		}
		h.begin(ctx, output, queue.AckWait())
	}
}

// enter waits for a slot.
func (h *hook) enter(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case h.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (h *hook) leave() { <-h.slots }

// begin takes an event in hand, if there is a slot for it or if it belongs behind one of its model.
func (h *hook) begin(ctx context.Context, output bus.Output, ackWait time.Duration) {
	t, err := newHookTurn(output)
	if err != nil {
		h.Log.Error().Err(err).Str("subject", output.Subject).Msg("not a retrain event: it is left out")
		_ = output.Drop()
		return
	}
	if len(h.Triggers) > 0 && !slices.Contains(h.Triggers, t.event.Trigger) {
		_ = output.Ack()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[output.Sequence] {
		return // it came again after an outage: its first turn settles it
	}
	behind, busy := h.waiting[t.model]
	if !busy {
		select {
		case h.slots <- struct{}{}:
		default: // a run that is repeated was faster
			_ = output.Retry(0)
			return
		}
	}
	h.held[output.Sequence] = true
	t.keep(ackWait / 3)
	if busy {
		h.waiting[t.model] = append(behind, t)
		return
	}
	h.waiting[t.model] = nil
	h.working.Go(func() { h.serve(ctx, t) })
}

// serve deals with an event, which has a slot, and those of its model behind it.
func (h *hook) serve(ctx context.Context, t *hookTurn) {
	for entered := true; t != nil; entered = false {
		h.deal(ctx, t, entered)
		t = h.next(t)
	}
}

// next ends a turn and returns the next one of the model, if there is one.
func (h *hook) next(t *hookTurn) *hookTurn {
	t.release()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, t.output.Sequence)
	behind := h.waiting[t.model]
	if len(behind) == 0 {
		delete(h.waiting, t.model)
		return nil
	}
	h.waiting[t.model] = behind[1:]
	return behind[0]
}

// deal runs the command until it succeeds or has failed too often. Between runs others have the slot.
func (h *hook) deal(ctx context.Context, t *hookTurn, entered bool) {
	for attempt := 1; ; attempt++ {
		if !entered && !h.enter(ctx) {
			h.handBack(t)
			return
		}
		result := h.execute(ctx, t, attempt)
		h.leave()
		entered = false
		log := h.Log.With().Str("id", t.event.ID).Str("model", t.model).Int("attempt", attempt).Str("took", shortDuration(result.Duration)).Logger()
		switch {
		case result.Interrupted:
			log.Info().Msg("run interrupted: the event is handed back")
			h.handBack(t)
			return
		case result.Err == nil:
			log.Info().Msg("run done")
			h.settle(ctx, t)
			return
		case attempt > h.Retries:
			log.Error().Str("error", printable(result.Err.Error())).Msg("run failed: the event is given up")
			_ = t.output.Drop()
			return
		}
		after := h.backoff(attempt)
		log.Warn().Str("error", printable(result.Err.Error())).Str("retry_in", shortDuration(after)).Msg("run failed")
		pause(ctx, after)
	}
}

// settle takes the event away for good. If that fails it comes again.
func (h *hook) settle(ctx context.Context, t *hookTurn) {
	ctx, cancel := lingering(ctx, settleTime)
	defer cancel()
	if err := t.output.Settle(ctx); err != nil {
		h.Log.Warn().Err(err).Str("id", t.event.ID).Str("model", t.model).Msg("event not acknowledged: it will come again")
	}
}

// handBackTime is longer than a request for events outlives its caller: the server would answer it with what is handed
// back, and as nobody takes that put it behind later events of the model.
const handBackTime = 200 * time.Millisecond

// handBack gives the event to another hook, or if that fails after the ack wait.
func (h *hook) handBack(t *hookTurn) {
	if err := t.output.Retry(handBackTime); err != nil {
		h.Log.Debug().Err(err).Str("id", t.event.ID).Msg("event not handed back")
	}
}
