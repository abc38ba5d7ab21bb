package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// open reads the offset, which becomes the fence, checks the input stream and
// starts reading after it.
func (p *partition) open(ctx context.Context) error {
	p.models, p.due, p.running = map[string]*model{}, map[string]time.Time{}, map[string]bool{}
	p.dirty, p.fresh, p.batch, p.behind, p.traced = nil, 0, batch{}, false, nil
	p.changed, p.ticked, p.polled, p.moved, p.newest = time.Time{}, time.Time{}, time.Now(), time.Now(), bus.Place{}
	entry, err := p.bus.ReadOffset(ctx, p.number)
	if err != nil {
		return err
	}
	p.fence, p.offset = entry.Revision, offsetRecord{Schema: schema}
	if entry.Value != nil {
		if err := decodeState(entry.Value, &p.offset, &p.offset.Schema); err != nil {
			return fmt.Errorf("offset: %w", err)
		}
	}
	p.countModels()
	adopted, err := p.findPlace(ctx)
	if err != nil {
		return err
	}
	if err := p.countHealth(ctx); err != nil {
		return err
	}
	if err := p.findDue(ctx); err != nil {
		return err
	}
	p.applied = p.offset.place()
	if adopted {
		// Written at once: later starts come without the option.
		if err := p.commit(ctx); err != nil {
			return err
		}
	}
	p.reader, err = p.bus.Read(ctx, p.number, p.offset.Sequence+1)
	return err
}

// findPlace makes sure that the offset speaks of the input stream that is there,
// or that it does from now on.
func (p *partition) findPlace(ctx context.Context) (adopted bool, err error) {
	created, expired, err := p.bus.CheckPlace(ctx, p.offset.place())
	if errors.Is(err, bus.ErrInputs) {
		if !p.config.AdoptInputs {
			return false, fmt.Errorf("%w: put the right one back, then start once with --adopt-inputs to go on after what was applied (inputs that are not in it are lost)", err)
		}
		return true, p.adopt(ctx, created)
	}
	if err != nil {
		return false, err
	}
	p.offset.Created = created
	if expired {
		p.offset.Expired++
		p.metrics.expired.Inc()
		p.log.Error().Uint64("offset", p.offset.Sequence).Msg("inputs may have expired before they were read: raise limits.input_age or limits.input_bytes, or add workers")
	}
	return false, nil
}

// adopt goes on with an input stream that was not read before: a new one from its
// beginning, a restored one after the inputs that were applied. An epoch starts,
// for sequences noted before mean nothing any more.
func (p *partition) adopt(ctx context.Context, created time.Time) error {
	from, err := p.bus.StoredBy(ctx, p.offset.Time)
	if err != nil {
		return err
	}
	newest, err := p.bus.Newest(ctx)
	if err != nil {
		return err
	}
	p.log.Warn().Uint64("after", from).Time("applied_until", p.offset.Time).Msg("adopting an input stream that was not read before")
	p.offset.Sequence, p.offset.Time, p.offset.Created, p.offset.Dead = from, time.Time{}, created, nil
	p.offset.Adopted = newest.Sequence
	p.offset.Epoch++
	return nil
}

// findDue learns which studies run and when time alone will change each model.
func (p *partition) findDue(ctx context.Context) error {
	if p.fence == 0 {
		return nil
	}
	return errors.Join(p.findStudies(ctx), p.findSilent(ctx))
}

// findSilent learns when models turn stale.
func (p *partition) findSilent(ctx context.Context) error {
	if !slices.ContainsFunc(p.config.Policies, func(o Policy) bool { return o.Monitor.WatchesSilence() }) {
		return nil
	}
	entries, err := p.bus.Scan(ctx, p.number, p.fence, "model."+p.label+".*")
	if err != nil {
		return err
	}
	for _, e := range entries {
		key, ok := wire.ParseKey(e.Key)
		var r record
		if !ok || p.frozen[key.Model] || wire.UnmarshalState(e.Value, &r) != nil {
			continue
		}
		if r.Episode == nil && r.Reports > 0 {
			r.Episode = &observer.EpisodeSnapshot{Arrived: &r.Now} // stored before silence was watched
		}
		due := p.config.policy(key.Model).Monitor.DueAfter(r.Episode)
		if due = sooner(due, p.due[key.Model]); !due.IsZero() {
			p.due[key.Model] = due
		}
	}
	return nil
}

func (p *partition) findStudies(ctx context.Context) error {
	entries, err := p.bus.Scan(ctx, p.number, p.fence, "study."+p.label+".*")
	if err != nil {
		return err
	}
	for _, e := range entries {
		key, ok := wire.ParseKey(e.Key)
		var r struct {
			Due time.Time `msgpack:"due"`
		}
		if !ok {
			continue
		}
		p.running[key.Model] = true
		if wire.UnmarshalState(e.Value, &r) == nil && !r.Due.IsZero() && !p.frozen[key.Model] {
			p.due[key.Model] = r.Due
		}
	}
	return nil
}
