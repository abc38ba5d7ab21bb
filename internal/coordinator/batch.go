package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// largestStep bounds the messages that one input or tick can lead to: 256 trials
// stopped with their records, or 128 timed out and replaced (256 outputs) with the
// records of those new and of all 256 that were open, and some keys.
const largestStep = 700

// batch is what is decided and not yet committed. An output implies the state it
// came with: all that changed of its model goes into the same commit.
type batch struct {
	outputs []output
	touched []*model
	keys    int // writes that the touched models take
	agents  []startedBy
	notes   []note
	dead    []uint64 // inputs of the dead letters among the outputs
}

// startedBy is a model whose trials are about to be shared out, and the input that
// says so.
type startedBy struct {
	model    string
	sequence uint64
	retrain  bool // a live report, whose retrain event started the study
}

func (b *batch) empty() bool { return len(b.outputs) == 0 && len(b.touched) == 0 }

func (b *batch) size() int { return len(b.outputs) + b.keys }

// touch makes the model part of the batch; before is what it took until now.
func (b *batch) touch(m *model, before int) {
	if !m.touched {
		m.touched = true
		b.touched = append(b.touched, m)
		before = 0
	}
	b.keys += m.writes() - before
}

// commit stores the batch with the state of its models and the offset, all or
// nothing. After an error the partition has to be read again.
func (p *partition) commit(ctx context.Context) error {
	for _, a := range p.batch.agents {
		err := p.bus.EnsureAgents(ctx, a.model)
		if errors.Is(err, bus.ErrRefused) && a.retrain {
			if a.sequence == 0 {
				p.barred[a.model] = true
			} else {
				p.unsearched[a.sequence] = true
			}
			p.log.Error().Err(err).Str("model", a.model).Msg("a retrain event starts no study: the agents' consumer is refused")
			return errUnfit
		}
		if err != nil {
			return p.unlessRefused(a.sequence, err)
		}
	}
	writes, err := p.writes()
	if err != nil {
		return err
	}
	next := p.nextOffset()
	body, err := wire.MarshalState(next)
	if err != nil {
		return fmt.Errorf("encode offset: %w", err)
	}
	began := time.Now()
	revision, err := p.store(ctx, bus.Commit{Partition: p.number, Fence: p.fence, Offset: body, Writes: writes})
	if err != nil {
		return err
	}
	p.fence, p.offset = revision, next
	for _, m := range p.batch.touched {
		p.countEnded(m)
		if m.dirty && !m.stored {
			p.fresh--
		}
		m.written()
	}
	p.countModels()
	p.metrics.shares.set(p, p.share())
	p.traceCommit(began, time.Now())
	p.committed()
	return nil
}

// countEnded counts the trials that have ended since the model was written.
func (p *partition) countEnded(m *model) {
	for _, e := range m.ended {
		p.metrics.ended(e.study)
	}
	if m.study != nil {
		p.metrics.ended(m.study)
	}
}

// unlessRefused makes an input unusable whose side effect the server refuses for
// good: it must not hold up the partition.
func (p *partition) unlessRefused(sequence uint64, err error) error {
	if !errors.Is(err, bus.ErrRefused) {
		return err
	}
	p.poison[sequence] = err
	p.log.Error().Err(err).Uint64("sequence", sequence).Msg("an input cannot be applied and becomes a dead letter")
	return errUnfit
}

func (p *partition) writes() ([]bus.Write, error) {
	writes := make([]bus.Write, 0, p.batch.size())
	for _, o := range p.batch.outputs {
		writes = append(writes, p.bus.Output(o.subject, o.body, o.header, o.ttl))
	}
	for _, m := range p.batch.touched {
		state, err := p.stateWrites(m)
		if err != nil {
			return nil, err
		}
		writes = append(writes, state...)
	}
	return writes, nil
}

// nextOffset is the offset once the batch is stored: just before the oldest input
// whose effect is not written.
func (p *partition) nextOffset() offsetRecord {
	next := p.offset
	next.Sequence, next.Time = p.applied.Sequence, p.applied.Time
	for len(p.dirty) > 0 && !p.dirty[0].pending() {
		p.dirty = p.dirty[1:]
	}
	for _, d := range p.dirty {
		if d.pending() && !d.model.touched {
			next.Sequence, next.Time = d.before.Sequence, d.before.Time
			break
		}
	}
	for _, m := range p.batch.touched {
		switch {
		case !m.stored && !m.forgotten:
			next.Models++
		case m.stored && m.forgotten:
			next.Models--
		}
	}
	next.Health = p.nextHealth()
	next.Slot = (next.Slot + len(p.batch.dead)) % deadSlots
	next.Dead = nil
	for _, sequence := range append(slices.Clone(p.offset.Dead), p.batch.dead...) {
		if sequence > next.Sequence {
			next.Dead = append(next.Dead, sequence)
		}
	}
	return next
}

// store commits and, while the bucket is full, waits for room: nothing was stored,
// so the same commit may be tried again.
func (p *partition) store(ctx context.Context, c bus.Commit) (uint64, error) {
	for {
		revision, err := p.committer.Commit(ctx, c)
		p.metrics.commit(err)
		if !errors.Is(err, bus.ErrFull) {
			p.metrics.stalled.WithLabelValues(p.label).Set(0)
			p.stalled.Store(false)
			return revision, err
		}
		p.metrics.stalled.WithLabelValues(p.label).Set(1)
		if !p.stalled.Swap(true) {
			p.metrics.stalls.Inc()
		}
		if p.reader != nil {
			_, _ = p.position(ctx) // the lag grows, and is seen to
		}
		p.log.Error().Err(err).Msg("stalled: nothing is lost, the inputs wait")
		select {
		case <-time.After(p.stallPause):
		case <-p.stop.Done():
			return 0, err
		case <-ctx.Done():
			return 0, err
		}
	}
}

// committed logs and counts what is now true, and starts an empty batch.
func (p *partition) committed() {
	for i := range p.batch.outputs {
		o := &p.batch.outputs[i]
		p.metrics.output(o)
		if o.kind == KindDead {
			p.logDead(o)
		}
	}
	for _, n := range p.batch.notes {
		event := p.log.Info()
		if n.warn {
			event = p.log.Warn()
		}
		if n.err != "" {
			event = event.Str("error", n.err)
		}
		event.Str("model", n.model).Uint64("sequence", n.sequence).Msg(n.text)
	}
	p.batch = batch{outputs: p.batch.outputs[:0], touched: p.batch.touched[:0]}
}

// logDead leads from an alert to the model and to the input that cannot be used.
func (p *partition) logDead(o *output) {
	line := p.log.Warn().Str("model", o.header["Retune-Model"]).Str("id", o.header["ce-id"]).Uint64("sequence", o.by.sequence).
		Str("reason", o.labels[0]).Str("error", o.header["Retune-Error"])
	if trace := traceOf(o.by.trace); trace != "" {
		line = line.Str("trace", trace)
	}
	line.Msg("dead letter")
}

// nextHealth is the count of models that are not healthy once the batch is stored.
func (p *partition) nextHealth() *healthCounts {
	next := *p.offset.Health
	for _, m := range p.batch.touched {
		if m.health != m.counted {
			next.add(m.counted, -1)
			next.add(m.health, 1)
		}
	}
	return &next
}
