package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visutility/retune/internal/agent"
	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// turn is a trial in the hands of this agent.
type turn struct {
	pool      *pool
	output    bus.Output
	config    wire.Config
	partition int
	began     atomic.Uint64 // sequence of the input that started the study; 0: not seen yet

	once    sync.Once
	stopped chan struct{} // closed when the study does not want the trial any more
	reason  string        // why not; set before stopped is closed
}

// stop ends the turn. It may be called again, which does nothing.
func (t *turn) stop(reason string) {
	t.once.Do(func() {
		t.reason = reason
		close(t.stopped)
	})
}

// settleTime bounds what is sent for a turn after the agent was told to end.
const settleTime = 3 * time.Second

// run evaluates the trial. Its config is settled when the study knows the result or wants none, and goes to another
// agent when this one was told to end before.
func (t *turn) run(ctx context.Context, ackWait time.Duration) {
	defer t.keep(ackWait / 3)()
	v, over, err := t.examine(ctx)
	if errors.Is(err, errBehind) {
		t.handBack(behindTime)
		return
	}
	if err != nil {
		t.handBack(0)
		return
	}
	if over != "" {
		t.pool.log.Debug().Str("study", t.config.Study).Int("trial", *t.config.Trial).Str("because", over).Msg("trial not run")
		t.settle(ctx)
		return
	}
	t.evaluate(ctx, v)
}

func (t *turn) evaluate(ctx context.Context, v StudyView) {
	sending, cancel := lingering(ctx, settleTime)
	defer cancel()
	reports := newReporter(sending, t)
	metric, _ := v.objective()
	space, _ := v.Definition["space"].(map[string]any)
	t.pool.view.started(t.config)
	outcome := agent.Evaluation{
		Trial: agent.Trial{
			Model: t.pool.model, Study: t.config.Study, Number: *t.config.Trial, Attempt: t.config.Attempt,
			Config: t.config.Config, Parameters: slices.Sorted(maps.Keys(space)), Objective: metric,
		},
		Command: t.pool.command,
		Report:  reports.measured,
		Show:    func(line []byte, stderr bool) { t.pool.view.printed(t.config, line, stderr) },
	}.Run(t.stopped, ctx.Done())
	t.conclude(ctx, reports, evaluated{metric: metric, outcome: outcome})
}

// evaluated is how a turn ended, for the view.
type evaluated struct {
	state   string // complete, failed, stopped or interrupted
	metric  string
	reason  string // of a stop
	outcome agent.Outcome
}

// conclude tells the study of an outcome, unless the program was told to end: then there is none.
func (t *turn) conclude(ctx context.Context, reports *reporter, e evaluated) {
	switch {
	case e.outcome.Told && t.isStopped():
		reports.drop()
		t.settle(ctx)
		e.state, e.reason = "stopped", t.reason
	case e.outcome.Told:
		reports.drop()
		t.handBack(0)
		e.state = "interrupted"
	default:
		if err := reports.finish(e.outcome); err != nil {
			t.handBack(0)
			e.state = "interrupted"
			break
		}
		t.settle(ctx)
		e.judge()
	}
	t.pool.view.ended(t.config, e)
}

// judge names the state of a trial as the study will: what diverged has failed.
func (e *evaluated) judge() {
	if value := e.outcome.Metrics[e.metric]; e.outcome.Err == nil && (math.IsNaN(value) || math.IsInf(value, 0)) {
		e.outcome.Err = fmt.Errorf("%s is %g", e.metric, value)
	}
	e.state = "complete"
	if e.outcome.Err != nil {
		e.state = "failed"
	}
}

func (t *turn) isStopped() bool {
	select {
	case <-t.stopped:
		return true
	default:
		return false
	}
}

// settle takes the config away for good. If that fails it comes again, and is found to be over.
func (t *turn) settle(ctx context.Context) {
	ctx, cancel := lingering(ctx, settleTime)
	defer cancel()
	if err := t.output.Settle(ctx); err != nil {
		t.pool.log.Debug().Err(err).Msg("config not settled")
	}
}

// handBack gives the trial to another agent after a while, or if that fails after the ack wait.
func (t *turn) handBack(after time.Duration) {
	if err := t.output.Retry(after); err != nil {
		t.pool.log.Debug().Err(err).Msg("config not handed back")
	}
}

// keep tells the server that the trial is in good hands, and looks whether it is wanted still, until release is
// called.
func (t *turn) keep(every time.Duration) (release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			pause(ctx, every)
			if ctx.Err() != nil {
				return
			}
			_ = t.output.Working() // without a connection there is nothing to be done
			if _, over, err := t.standing(ctx); err == nil && over != "" {
				t.stop(over)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// errBehind: what was read is older than the config.
var errBehind = errors.New("what could be read of the study is older than the trial")

// behindTime is how long an agent waits for a replica that lags, and then leaves the trial before it comes again,
// perhaps to an agent that is served by another replica.
const behindTime = 5 * time.Second

// examine looks whether the trial is to be evaluated, and waits while that cannot be told. An error is that of ctx,
// or errBehind.
func (t *turn) examine(ctx context.Context) (v StudyView, over string, err error) {
	for start := time.Now(); ; pause(ctx, 200*time.Millisecond) {
		v, over, err = t.standing(ctx)
		switch {
		case ctx.Err() != nil:
			return v, "", ctx.Err()
		case err == nil:
			return v, over, nil
		case errors.Is(err, errBehind) && time.Since(start) > behindTime:
			t.pool.log.Warn().Str("study", t.config.Study).Int("trial", *t.config.Trial).Err(err).Msg("trial handed back")
			return v, "", err
		case !errors.Is(err, errBehind):
			t.pool.log.Debug().Err(err).Msg("cannot read the study")
			start = time.Now()
		}
	}
}

// standing is the running study, or why the attempt is over. A commit stores a config, and after it its trial, study
// and model, which are read as of one moment: a model older than the config shows that the reading is, and else what
// is not there is gone.
func (t *turn) standing(ctx context.Context) (v StudyView, over string, err error) {
	c := t.config
	modelKey := wire.ModelKey(t.partition, t.pool.model)
	studyKey := wire.StudyKey(t.partition, t.pool.model)
	trialKey := wire.TrialKey(t.partition, t.pool.model, c.Study, *c.Trial)
	found, err := t.pool.bus.ReadLatest(ctx, []string{modelKey, studyKey, trialKey})
	if err != nil {
		return v, "", err
	}
	if found[modelKey].Revision < t.output.Sequence {
		return v, "", errBehind
	}
	if over, err := t.trialOver(found[trialKey]); over != "" || err != nil {
		return v, over, err
	}
	return t.studyOver(found[studyKey])
}

// trialOver is why the attempt is over by the record of its trial.
func (t *turn) trialOver(e bus.Entry) (string, error) {
	if e.Value == nil {
		return "it is forgotten", nil
	}
	var r trialRecord
	if err := wire.UnmarshalState(e.Value, &r); err != nil {
		return "", fmt.Errorf("%s: %w", e.Key, err)
	}
	switch {
	case r.Trial.Attempt < t.config.Attempt:
		return "it is forgotten", nil // and this is a trial of a later study of the name
	case r.Trial.Attempt > t.config.Attempt:
		return "it has a newer attempt", nil
	case !r.Trial.Open():
		return string(r.Trial.State), nil
	}
	return "", nil
}

// studyOver is the running study, or why that of the trial is over: after a forget another may bear its name.
func (t *turn) studyOver(e bus.Entry) (v StudyView, over string, err error) {
	if e.Value == nil {
		return v, "study_ended", nil
	}
	var r runningRecord
	if err := wire.UnmarshalState(e.Value, &r); err != nil {
		return v, "", fmt.Errorf("%s: %w", e.Key, err)
	}
	t.began.CompareAndSwap(0, r.State.Sequence)
	if r.State.Name != t.config.Study || r.State.Sequence != t.began.Load() {
		return v, "study_ended", nil
	}
	v, err = viewStudy(e)
	return v, "", err
}

// lingering ends some time after ctx.
func lingering(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		pause(longer, d)
		cancel()
	})
	return longer, func() { stop(); cancel() }
}
