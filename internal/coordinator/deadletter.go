package coordinator

import (
	"context"
	"errors"

	"github.com/visutility/retune/internal/wire"
)

// Classes of the reasons of dead letters: few, so that they can be counted by them.
const (
	deadMalformed = "malformed" // cannot be decoded
	deadInvalid   = "invalid"   // a field breaks the contract
	deadUnknown   = "unknown"   // speaks of a study or trial that there is none of
	deadCommand   = "command"   // a study command that cannot be followed
	deadConfig    = "config"    // a live config that the tuner cannot work with
	deadLimit     = "limit"     // limits.models is reached
	deadState     = "state"     // the stored state of its model or study cannot be read
	deadFault     = "fault"     // the worker failed on it, or the server refuses what it leads to
)

// errState marks what was stored and cannot be read.
type errState struct{ error }

func (e errState) Unwrap() error { return e.error }

// classOf is the class of an input that was not applied.
func classOf(err error) string {
	var state errState
	var field *wire.FieldError
	switch {
	case errors.As(err, &state):
		return deadState
	case errors.As(err, &field) && field.Field != "body":
		return deadInvalid
	}
	return deadMalformed
}

// refusal is the class of an input that was refused when it was applied.
func (d *decoded) refusal(err error) string {
	var field *wire.FieldError
	switch {
	case d.kind == wire.KindStudy:
		return deadCommand
	case errors.As(err, &field):
		return deadUnknown
	}
	return deadConfig
}

// deadLetter stores an input that cannot be used, once: a replay skips those that
// are stored already.
func (p *partition) deadLetter(ctx context.Context, d *decoded, class string, reason error) error {
	if err := p.makeRoom(ctx, false); err != nil {
		return err
	}
	p.addDeadLetter(d, class, reason)
	return nil
}

func (p *partition) addDeadLetter(d *decoded, class string, reason error) {
	s := p.step(d.model, d.in.Sequence, d.in.Time, d.in.TraceParent)
	slot := (p.offset.Slot + len(p.batch.dead)) % deadSlots
	public := s.names.Metrics(d.model)
	if d.kind == wire.KindStudy {
		public = s.names.StudyCommand(d.model)
	}
	p.batch.outputs = append(p.batch.outputs, s.dead(p.number, slot, public, d.in.ContentType, d.in.Body, class, reason))
	p.batch.dead = append(p.batch.dead, d.in.Sequence)
}
