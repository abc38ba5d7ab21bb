package coordinator

import (
	"context"
	"time"

	"github.com/visutility/retune/internal/study"
)

// answered is what a slow strategy proposed for a study of a model.
type answered struct {
	model   string
	study   string
	started uint64 // sequence of the input that started the study
	answer  study.Answer
	took    time.Duration
}

// think has another goroutine answer the model's next question, unless one does
// already. The worker bounds how many think at once, so that those that wait for
// inputs keep a processor; what is not answered when the tenure ends is asked
// again by the next.
func (p *partition) think(m *model) {
	if m.study == nil || p.thinking[m.id] || p.frozen[m.id] {
		return
	}
	q, asked := m.study.Question()
	if !asked {
		return
	}
	p.thinking[m.id] = true
	a := answered{model: m.id, study: m.study.Name(), started: m.study.Sequence()}
	answers, ended := p.answers, p.tenure
	p.thinkers.Go(ended, func() {
		start := time.Now()
		a.answer = q.Answer()
		a.took = time.Since(start)
		select {
		case answers <- a:
		case <-ended.Done():
		}
	})
}

// answer opens the trial that a strategy was asked for.
func (p *partition) answer(ctx context.Context, a answered) error {
	delete(p.thinking, a.model)
	p.metrics.suggestions.Observe(a.took.Seconds())
	if err := p.outside(ctx, a.model, p.applied.Time, func(s *step, m *model) { s.answered(m, a) }); err != nil {
		return err
	}
	p.think(p.models[a.model]) // of another study, when that question was not this one's any more
	if p.batch.empty() {
		return nil
	}
	return p.commit(ctx)
}

func (s *step) answered(m *model, a answered) {
	if m.study == nil || m.study.Name() != a.study || m.study.Sequence() != a.started {
		return
	}
	s.now = m.advance(s.now)
	before := m.study.Explanation()
	m.study.Caused(s.as(""))
	st := m.study
	effects := st.Answer(a.answer, s.now)
	s.changed = true
	s.publish(m, effects, "")
	if now := st.Explanation(); now != before {
		s.note(false, "", "study %s of model %s: %s", a.study, m.id, now)
	}
}
