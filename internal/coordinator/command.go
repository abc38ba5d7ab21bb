package coordinator

import (
	"fmt"
	"strconv"

	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// command applies a study command to a model. An error is the reason of a dead
// letter, and then nothing was changed.
func (s *step) command(m *model, c *wire.Command) error {
	s.now = m.advance(s.now)
	switch c.Op {
	case "start":
		return s.start(m, c)
	case "stop":
		return s.stop(m, c.Name)
	case "enqueue":
		return s.enqueue(m, c)
	case "baseline":
		return s.rebase(m)
	}
	s.forget(m)
	return nil
}

func (s *step) start(m *model, c *wire.Command) error {
	name := startName(c, s.sequence)
	if m.study != nil && m.study.Name() == name || s.finished(m, name) {
		return s.again(m, name, c.Study)
	}
	if m.study != nil {
		return fmt.Errorf("study %s of model %s still runs: wait for it or stop it first", m.study.Name(), m.id)
	}
	d, err := study.Parse(c.Study)
	if err != nil {
		return err
	}
	return s.begin(m, d, name)
}

// begin starts a study of a model that runs none.
func (s *step) begin(m *model, d *study.Definition, name string) error {
	if err := s.fits(d); err != nil {
		return err
	}
	st, err := study.New(d, name, s.sequence, s.sequence, s.prior, s.now)
	if err != nil {
		return err
	}
	m.study, m.informed, s.changed, s.agents = st, len(s.prior) > 0, true, true
	st.Caused(s.as(""))
	s.publish(m, st.Fill(s.now), "")
	return nil
}

// fits makes sure that the study's state, which holds its definition, its queue
// (128 KiB), what a slow strategy is asked and two configs, is never too large for a
// message.
func (s *step) fits(d *study.Definition) error {
	definition, err := wire.MarshalState(d.Tree)
	if err != nil {
		return fmt.Errorf("study: %w", err)
	}
	size := len(definition) + 160<<10 + d.AskedBytes()
	for _, p := range d.Space.Parameters() {
		longest := 9
		for _, c := range p.Choices {
			if text, ok := c.(string); ok {
				longest = max(longest, len(text)+5)
			}
		}
		size += 2 * (len(p.Name) + 5 + longest)
	}
	if size > s.room {
		return fmt.Errorf("study: its state may take %d bytes, the server takes %d in a message: make it smaller or raise the server's max_payload", size, s.room)
	}
	return nil
}

// startName is the name that a start command asks for, "" if it asks for none yet.
func startName(c *wire.Command, sequence uint64) string {
	if name, ok := c.Study["name"].(string); ok && name != "" {
		return name
	}
	return "study-" + strconv.FormatUint(sequence, 10)
}

// again accepts the definition that the name already stands for.
func (s *step) again(m *model, name string, tree map[string]any) error {
	if m.study != nil && m.study.Name() == name {
		if m.study.Definition().Same(tree) {
			return nil
		}
		return fmt.Errorf("study %s of model %s runs with another definition: stop it and start one of another name", name, m.id)
	}
	if (&study.Definition{Tree: m.finished[name].Definition}).Same(tree) {
		return nil
	}
	return fmt.Errorf("study %s of model %s has ended and had another definition: give the new one another name", name, m.id)
}

func (s *step) stop(m *model, name string) error {
	if m.study != nil && m.study.Name() == name {
		s.publish(m, m.study.Stop(s.now), "")
		return nil
	}
	if s.finished(m, name) {
		return nil
	}
	return fmt.Errorf("study %s of model %s is not known: `worker study list` shows those that are", name, m.id)
}

func (s *step) enqueue(m *model, c *wire.Command) error {
	if m.study == nil || m.study.Name() != c.Name {
		return fmt.Errorf("study %s of model %s does not run: configs can be enqueued to a running study only", c.Name, m.id)
	}
	m.study.Caused(s.as(""))
	effects, err := m.study.Enqueue(c.Config, s.now)
	if err != nil {
		return err
	}
	s.changed = true
	s.publish(m, effects, "")
	return nil
}

// rebase lets the monitor begin anew: the next reports are what is normal.
func (s *step) rebase(m *model) error {
	if m.reports == 0 {
		return fmt.Errorf("model %s has no live report: there is no baseline to replace", m.id)
	}
	m.policy.Monitor.Rebase(m.monitor)
	s.changed = true
	return nil
}

// forget drops what is known of the model; trials that run are stopped.
func (s *step) forget(m *model) {
	if m.study != nil {
		for _, e := range m.study.Stop(s.now) {
			if e.Kind == study.EffectStopped {
				s.publish(m, []study.Effect{e}, "")
			}
		}
	}
	fresh := newModel(m.id, m.policy)
	fresh.sequence, fresh.now, fresh.stored, fresh.runs = m.sequence, m.now, m.stored, m.runs
	fresh.dirty, fresh.since, fresh.touched, fresh.counted = m.dirty, m.since, m.touched, m.counted
	*m = *fresh
	s.changed = true
}
