package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// decoded is an input with what it says.
type decoded struct {
	in      bus.Input
	kind    string
	model   string
	report  wire.Report
	command wire.Command
	prior   []strategy.Trial // results that a study to be started learns from
	err     error            // why it cannot be used
}

// apply decodes inputs, loads what they concern, applies them in order and commits
// if outputs came of it.
func (p *partition) apply(ctx context.Context, inputs []bus.Input) error {
	p.decode(inputs)
	if err := p.loadFor(ctx); err != nil {
		return err
	}
	for i := range p.chunk {
		if err := p.applyOne(ctx, &p.chunk[i]); err != nil {
			return err
		}
	}
	p.tidy()
	if !p.batch.empty() {
		if err := p.commit(ctx); err != nil {
			return err
		}
	}
	p.metrics.applied.Add(float64(len(inputs)))
	return nil
}

func (p *partition) decode(inputs []bus.Input) {
	if p.chunk == nil {
		p.chunk = make([]decoded, 0, ChunkSize)
	}
	p.chunk = p.chunk[:len(inputs)]
	names := p.bus.Settings().Subjects
	for i := range inputs {
		d := &p.chunk[i]
		d.in, d.err, d.command, d.prior = inputs[i], nil, wire.Command{}, nil
		var ok bool
		if d.kind, _, d.model, ok = names.ParseInput(d.in.Subject); !ok {
			d.err = fmt.Errorf("subject %s is not an input's", d.in.Subject)
			continue
		}
		if d.err = wire.CheckName("model", d.model); d.err != nil {
			continue
		}
		if d.kind == wire.KindStudy {
			d.command, d.err = wire.DecodeCommand(d.in.Body, d.in.ContentType)
		} else {
			d.err = p.decoder.DecodeReport(d.in.Body, d.in.ContentType, &d.report)
		}
	}
}

// loadFor reads what the chunk needs and memory lacks, in few requests.
func (p *partition) loadFor(ctx context.Context) error {
	models, studies := map[string]bool{}, map[studyName]bool{}
	for i := range p.chunk {
		d := &p.chunk[i]
		if d.err != nil {
			continue
		}
		if p.models[d.model] == nil {
			models[d.model] = true
		}
		if name := d.study(); name != "" && !p.runs(d.model, name) {
			studies[studyName{d.model, name}] = true
		}
	}
	if len(models) == 0 && len(studies) == 0 {
		return nil
	}
	return p.load(ctx, slices.Collect(maps.Keys(models)), slices.Collect(maps.Keys(studies)))
}

// study is the name of the study that the input speaks of.
func (d *decoded) study() string {
	switch {
	case d.kind == wire.KindMetrics:
		return d.report.Study
	case d.command.Op == "start":
		if name := startName(&d.command, d.in.Sequence); wire.CheckName("name", name) == nil {
			return name
		}
		return ""
	}
	return d.command.Name
}

func (p *partition) runs(id, study string) bool {
	m := p.models[id]
	return m != nil && m.study != nil && m.study.Name() == study
}

func (p *partition) applyOne(ctx context.Context, d *decoded) error {
	began := p.traceBegin(d)
	if err := p.decide(ctx, d); err != nil {
		return err
	}
	p.traceApplied(d, began)
	p.applied.Sequence, p.applied.Time = d.in.Sequence, d.in.Time
	if p.changed.IsZero() {
		p.changed = time.Now()
	}
	return nil
}

// decide applies one input, unless that was done before a replay.
func (p *partition) decide(ctx context.Context, d *decoded) error {
	if slices.Contains(p.offset.Dead, d.in.Sequence) {
		return nil
	}
	if why := p.poison[d.in.Sequence]; why != nil {
		return p.deadLetter(ctx, d, deadFault, why)
	}
	if d.err != nil {
		return p.deadLetter(ctx, d, classOf(d.err), d.err)
	}
	m := p.models[d.model]
	if m.broken != nil && d.command.Op != "forget" {
		return p.deadLetter(ctx, d, deadState, m.broken)
	}
	if m.applied(d.in, p.offset.Adopted) {
		return nil
	}
	if err := p.prepare(ctx, m, d); err != nil {
		return err
	}
	forget := d.command.Op == "forget"
	if !m.stored && !m.dirty && !forget {
		// After prepare, whose commit counts the models anew.
		room, err := p.limits.admits(ctx, p.number)
		if err != nil {
			return err
		}
		if !room {
			return p.deadLetter(ctx, d, deadLimit, fmt.Errorf("the limit of %d models is reached: raise limits.models or forget some", p.config.MaxModels))
		}
		defer p.countModels() // less this one, if the input is refused
	}
	if d.command.Op == "start" && m.study == nil && m.finished[d.study()].Name == "" {
		var err error
		if d.prior, err = p.learnPrior(ctx, d); isRetryable(err) || errors.Is(err, errNewerSchema) {
			return err
		} else if err != nil {
			return p.deadLetter(ctx, d, deadCommand, err)
		}
	}
	s := p.step(m.id, d.in.Sequence, d.in.Time, d.in.TraceParent)
	s.prior, s.unsearched = d.prior, p.unsearched[d.in.Sequence]
	before := m.writes()
	refused := guard(func() error { return s.apply(m, d) })
	if unfit := cmp.Or(s.err, panicked(refused)); unfit != nil {
		p.poison[d.in.Sequence] = unfit
		p.log.Error().Err(unfit).Str("model", m.id).Uint64("sequence", d.in.Sequence).Msg("an input cannot be applied and becomes a dead letter")
		return errUnfit
	}
	if s.changed {
		m.sequence, m.forgotten = d.in.Sequence, forget
	}
	p.accept(m, s, before)
	if refused != nil {
		p.addDeadLetter(d, d.refusal(refused), refused) // into the same commit: there is room
		return nil
	}
	if forget {
		return p.forgotten(ctx, m)
	}
	return nil
}

func (s *step) apply(m *model, d *decoded) error {
	if d.kind == wire.KindStudy {
		return s.command(m, &d.command)
	}
	return s.report(m, &d.report)
}

// countModels tells the other partitions how many models this one knows.
func (p *partition) countModels() { p.limits.setModels(p.number, p.offset.Models+p.fresh) }

// prepare makes room for what the input may lead to. Before a model is forgotten
// its state is written, so that a replay does not apply older inputs to what is
// left, and the names of its studies are purged: only what is older than the
// fence, so a worker that has lost the partition deletes nothing new.
func (p *partition) prepare(ctx context.Context, m *model, d *decoded) error {
	if d.command.Op != "forget" {
		return p.makeRoom(ctx, m.study != nil || d.kind == wire.KindStudy || m.policy.Study != nil)
	}
	if !m.touched && m.broken == nil {
		if err := p.makeRoom(ctx, true); err != nil {
			return err
		}
		p.batch.touch(m, 0)
	}
	if err := p.commit(ctx); err != nil {
		return err
	}
	if err := p.bus.PurgeStudies(ctx, p.number, m.id, p.fence); err != nil {
		return p.unlessRefused(d.in.Sequence, err)
	}
	delete(p.oversized, m.id)
	delete(p.frozen, m.id)
	m.broken, m.runs = nil, true
	return nil
}

// forgotten commits that, and then removes what would only take room: trials, their
// configs and the agents' consumer. What stays after a crash expires.
func (p *partition) forgotten(ctx context.Context, m *model) error {
	if !m.touched {
		p.batch.touch(m, 0)
	}
	held := p.fence
	if err := p.commit(ctx); err != nil {
		return err
	}
	if err := errors.Join(p.bus.PurgeTrials(ctx, p.number, m.id, held), p.bus.RemoveAgents(ctx, m.id)); err != nil {
		p.log.Warn().Err(err).Str("model", m.id).Msg("what is left of a forgotten model stays until it expires")
	}
	return nil
}

// makeRoom commits what is decided if the next step might not fit beside it.
func (p *partition) makeRoom(ctx context.Context, study bool) error {
	step := 64
	if study {
		step = largestStep
	}
	if p.batch.size()+step <= bus.MaxWrites {
		return nil
	}
	return p.commit(ctx)
}

// accept takes what a step decided into the batch.
func (p *partition) accept(m *model, s *step, before int) {
	p.scratch = s.metrics
	if s.late {
		p.metrics.late.Inc()
	}
	if !s.changed {
		return
	}
	p.schedule(m)
	if !m.dirty {
		if !m.stored {
			p.fresh++
		}
		m.dirty, m.since = true, p.applied.Sequence+1
		p.dirty = append(p.dirty, dirtyModel{m, m.since, p.applied})
	}
	if len(s.outputs) > 0 || m.touched {
		p.batch.touch(m, before)
	}
	p.batch.outputs = append(p.batch.outputs, s.outputs...)
	p.batch.notes = append(p.batch.notes, s.notes...)
	if s.agents {
		p.batch.agents = append(p.batch.agents, startedBy{m.id, s.sequence, s.retrained})
	}
}

// tidy forgets what only the chunk needed: what became of studies that it asked
// for, and models that were only named by inputs of no use.
func (p *partition) tidy() {
	for i := range p.chunk {
		d := &p.chunk[i]
		d.in.Body = nil
		m := p.models[d.model]
		if m == nil {
			continue
		}
		m.finished = nil
		if !m.stored && !m.dirty && !m.touched && m.broken == nil {
			delete(p.models, d.model)
		}
	}
}

func (p *partition) anyDue(now time.Time) bool {
	for _, t := range p.due {
		if !t.After(now) {
			return true
		}
	}
	return false
}

func (p *partition) dueBy(now time.Time) []string {
	var ids []string
	for id, t := range p.due {
		if !t.After(now) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
