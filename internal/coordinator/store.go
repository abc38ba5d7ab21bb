package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// offsetRecord is what is stored under offset.<p>: how far the partition's inputs
// are applied and written, and what belongs to the partition as a whole.
type offsetRecord struct {
	Schema   int       `msgpack:"v"`
	Sequence uint64    `msgpack:"seq"` // all inputs up to it are written
	Time     time.Time `msgpack:"time"`
	Created  time.Time `msgpack:"created"` // of the input stream
	Epoch    uint32    `msgpack:"epoch,omitempty"`
	Adopted  uint64    `msgpack:"adopted,omitempty"` // the input stream's end when it was adopted
	Models   int       `msgpack:"models"`            // known ones
	Slot     int       `msgpack:"slot"`              // for the next dead letter
	Dead     []uint64  `msgpack:"dead,omitempty"`    // dead-lettered inputs after Sequence
	Expired  uint64    `msgpack:"expired,omitempty"` // times that inputs expired unread

	Health *healthCounts `msgpack:"health,omitempty"` // of the known models; nil: not counted
}

func (o offsetRecord) place() bus.Place {
	return bus.Place{Sequence: o.Sequence, Time: o.Time, Created: o.Created}
}

// load brings the models into memory that are asked for and not there, and what
// became of the studies asked for, all as of the fence.
func (p *partition) load(ctx context.Context, models []string, studies []studyName) error {
	var keys []string
	for _, id := range models {
		keys = append(keys, wire.ModelKey(p.number, id))
		if p.running[id] {
			keys = append(keys, wire.StudyKey(p.number, id))
		}
	}
	for _, s := range studies {
		keys = append(keys, wire.FinishedKey(p.number, s.model, s.study))
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := p.bus.ReadState(ctx, p.number, p.fence, keys)
	if err != nil {
		return err
	}
	for _, id := range models {
		if err := p.admit(ctx, id, found); err != nil {
			return err
		}
	}
	for _, s := range studies {
		if err := p.learn(s, found[wire.FinishedKey(p.number, s.model, s.study)].Value); err != nil {
			return err
		}
	}
	return nil
}

type studyName struct{ model, study string }

// admit puts a model into memory. One whose state cannot be read is kept as
// broken: its inputs become dead letters until it is forgotten.
func (p *partition) admit(ctx context.Context, id string, found map[string]bus.Entry) error {
	policy := p.config.policy(id)
	m, err := restore(id, policy, found[wire.ModelKey(p.number, id)].Value, p.offset.Epoch)
	if body := found[wire.StudyKey(p.number, id)].Value; err == nil && body != nil {
		m.runs = true
		m.study, err = p.loadStudy(ctx, id, body)
	}
	if errors.Is(err, errNewerSchema) || isRetryable(err) {
		return err
	}
	if err != nil {
		var counted health
		if m != nil {
			counted = m.counted
		}
		m = newModel(id, policy)
		m.counted = counted
		m.stored = found[wire.ModelKey(p.number, id)].Value != nil
		m.broken = fmt.Errorf("the stored state of model %s cannot be read: %w: send a forget command to start it afresh", id, err)
		p.log.Error().Err(err).Str("model", id).Msg("the stored state of a model cannot be read")
	}
	if why := p.oversized[id]; why != nil {
		m.broken = why
	}
	p.models[id] = m
	return nil
}

// errRead marks failures of reading, which are to be tried again.
type errRead struct{ error }

func (e errRead) Unwrap() error { return e.error }

func isRetryable(err error) bool {
	var read errRead
	return errors.As(err, &read)
}

func (p *partition) loadStudy(ctx context.Context, id string, body []byte) (*study.Study, error) {
	var r studyRecord
	if err := decodeState(body, &r, &r.Schema); err != nil {
		return nil, err
	}
	keys := make([]string, r.State.Next)
	for n := range keys {
		keys[n] = wire.TrialKey(p.number, id, r.State.Name, n)
	}
	priorKey := wire.PriorKey(p.number, id, r.State.Name)
	found, err := p.bus.ReadState(ctx, p.number, p.fence, append([]string{priorKey}, keys...))
	if err != nil {
		return nil, errRead{err}
	}
	prior, err := decodePrior(found[priorKey].Value)
	if err != nil {
		return nil, err
	}
	var trials []study.Trial
	for _, k := range keys {
		body := found[k].Value
		if body == nil {
			continue
		}
		var t trialRecord
		if err := decodeState(body, &t, &t.Schema); err != nil {
			return nil, err
		}
		trials = append(trials, t.Trial)
	}
	return study.Restore(r.State, trials, prior)
}

// trialRecord is what is stored under trial.<p>.<model>.<study>.<n>.
type trialRecord struct {
	Schema int         `msgpack:"v"`
	Trial  study.Trial `msgpack:"trial"`
}

// learn notes what became of a study. Where that cannot be read, the inputs that
// speak of the study become dead letters.
func (p *partition) learn(s studyName, body []byte) error {
	var r finishedRecord
	if body != nil {
		err := decodeState(body, &r, &r.Schema)
		if errors.Is(err, errNewerSchema) {
			return fmt.Errorf("study %s of model %s: %w", s.study, s.model, err)
		}
		if err != nil {
			p.refuse(s, errState{fmt.Errorf("what is stored of study %s of model %s cannot be read: %w: use another name, or send a forget command", s.study, s.model, err)})
			return nil
		}
	}
	if m := p.models[s.model]; m != nil {
		m.know(s.study, r.Finished)
	}
	return nil
}

// refuse makes dead letters of the inputs of the chunk that speak of the study, as
// far as the model is not forgotten in between.
func (p *partition) refuse(s studyName, why error) {
	for i := range p.chunk {
		d := &p.chunk[i]
		switch {
		case d.err != nil || d.model != s.model:
		case d.command.Op == "forget":
			return
		case d.study() == s.study:
			d.err = why
		}
	}
}

// stateWrites encodes what of a model changed since it was written.
func (p *partition) stateWrites(m *model) ([]bus.Write, error) {
	var writes []bus.Write
	put := func(key string, ttl time.Duration, v any) error {
		body, err := wire.MarshalState(v)
		if err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
		if len(body) > p.room() {
			return p.outgrown(m, key, len(body))
		}
		writes = append(writes, p.bus.State(key, body, ttl))
		return nil
	}
	for _, e := range m.ended {
		if len(e.study.Prior()) > 0 {
			writes = append(writes, p.bus.Delete(wire.PriorKey(p.number, m.id, e.finished.Name)))
		}
		if err := errors.Join(
			put(wire.FinishedKey(p.number, m.id, e.finished.Name), 0, finishedRecord{schema, e.finished}),
			p.trialWrites(m, e.study, put),
		); err != nil {
			return nil, err
		}
	}
	if m.study != nil {
		if err := errors.Join(
			put(wire.StudyKey(p.number, m.id), 0, studyRecord{studySchema(m.study), m.wakes(), m.study.State()}),
			p.trialWrites(m, m.study, put),
			p.priorWrite(m, put),
		); err != nil {
			return nil, err
		}
	} else if m.runs {
		writes = append(writes, p.bus.Delete(wire.StudyKey(p.number, m.id)))
	}
	if m.forgotten {
		m.health = 0
		err := put(wire.ModelKey(p.number, m.id), p.bus.Settings().InputAge+24*time.Hour, m.tombstone(p.offset.Epoch))
		return writes, err
	}
	r := m.record(p.offset.Epoch)
	m.health = healthOf(r.Episode)
	err := put(wire.ModelKey(p.number, m.id), 0, r)
	return writes, err
}

// outgrown gives a model up whose state no message can hold: its inputs become dead
// letters, or the partition would come to a halt.
func (p *partition) outgrown(m *model, key string, size int) error {
	p.oversized[m.id] = fmt.Errorf("%s has %d bytes, the server takes %d in a message: raise its max_payload or forget the model", key, size, p.room())
	p.log.Error().Err(p.oversized[m.id]).Str("model", m.id).Msg("the state of a model has outgrown a message")
	return errUnfit
}

func (p *partition) trialWrites(m *model, s *study.Study, put func(string, time.Duration, any) error) error {
	for _, n := range s.Changed() {
		if err := put(wire.TrialKey(p.number, m.id, s.Name(), n), trialLife, trialRecord{schema, *s.Trial(n)}); err != nil {
			return err
		}
	}
	return nil
}

// written notes that all of the model is stored.
func (m *model) written() {
	m.dirty, m.touched, m.stored, m.ended, m.counted = false, false, !m.forgotten, nil, m.health
	m.runs, m.informed = m.study != nil, false
	if m.study != nil {
		m.study.ResetChanged()
	}
}
