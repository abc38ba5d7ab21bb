package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/visutility/retune/internal/agent"
	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// maxUnsent bounds the reports that wait while NATS is away; more intermediate ones are dropped.
const maxUnsent = 100_000

// reporter sends the reports of an attempt in order. The program never waits for it.
type reporter struct {
	turn   *turn
	trial  string // begins the ids of reports
	cancel context.CancelFunc
	wake   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	unsent  []unsentReport
	final   bool // nothing comes after what is unsent
	dropped int
	err     error // of the last report
}

type unsentReport struct {
	id   string // within the attempt
	body map[string]any
}

// newReporter begins with a sign of life, from which the study's trial_timeout runs. It sends until finish or drop,
// or ctx ends.
func newReporter(ctx context.Context, t *turn) *reporter {
	ctx, cancel := context.WithCancel(ctx)
	r := &reporter{turn: t, trial: trialID(t.output), cancel: cancel, wake: make(chan struct{}, 1), done: make(chan struct{})}
	r.add(fmt.Sprintf("start%d", t.output.Attempt), map[string]any{"state": "running"}, false)
	go r.run(ctx)
	return r
}

// trialID is the same for all agents who are given the attempt, so that its result is stored once, and not to be guessed
// by those who may not read its config: who reports under the id of a report to come has that taken for a repetition.
func trialID(config bus.Output) string {
	// The sequence tells the trials apart of studies of one name, before and after a forget.
	sum := sha256.Sum256(strconv.AppendUint(slices.Clip(config.Body), config.Sequence, 10))
	return hex.EncodeToString(sum[:16])
}

// measured sends an intermediate report.
func (r *reporter) measured(m agent.Measurement) {
	r.add(fmt.Sprint(*m.Step), map[string]any{"step": *m.Step, "metrics": m.Metrics}, false)
}

// finish sends the result and returns when the stream has stored it. An error is that of ctx.
func (r *reporter) finish(o agent.Outcome) error {
	body := map[string]any{"duration_ms": o.Duration.Milliseconds()}
	if o.Err != nil {
		body["state"], body["error"] = "failed", o.Err.Error()
	} else {
		body["state"], body["metrics"] = "complete", o.Metrics
	}
	r.add("end", body, true)
	<-r.done
	r.cancel()
	if r.dropped > 0 {
		r.turn.pool.log.Warn().Int("dropped", r.dropped).Int("trial", *r.turn.config.Trial).Msg("more steps than could be kept while NATS was away")
	}
	return r.err
}

// drop gives up what is unsent.
func (r *reporter) drop() {
	r.cancel()
	<-r.done
}

func (r *reporter) add(id string, body map[string]any, final bool) {
	r.mu.Lock()
	if len(r.unsent) < maxUnsent || final {
		r.unsent = append(r.unsent, unsentReport{id, body})
	} else {
		r.dropped++
	}
	r.final = final
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reporter) run(ctx context.Context) {
	defer close(r.done)
	for {
		r.mu.Lock()
		batch, final := r.unsent, r.final
		r.unsent = nil
		r.mu.Unlock()
		for _, report := range batch {
			r.err = r.send(ctx, report)
		}
		if final || ctx.Err() != nil {
			return
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			r.err = ctx.Err()
			return
		}
	}
}

// send repeats itself until the stream has the report; what can never be sent is left out. An error is that of ctx.
func (r *reporter) send(ctx context.Context, report unsentReport) error {
	c := r.turn.config
	report.body["study"], report.body["trial"], report.body["attempt"] = c.Study, *c.Trial, c.Attempt
	body, err := wire.Encode(report.body, wire.JSON)
	if err == nil {
		err = r.turn.pool.bus.PublishOnce(ctx, r.turn.pool.bus.Settings().Subjects.Metrics(r.turn.pool.model), wire.JSON.ContentType(), r.trial+"."+report.id, body)
	}
	if err != nil && ctx.Err() == nil {
		r.turn.pool.log.Error().Err(err).Int("trial", *c.Trial).Msg("report cannot be sent")
		return nil
	}
	return err
}
