package coordinator

import (
	"context"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// healthCounts is how many models of a partition are not healthy. It is stored with
// the offset, in the commits that change models, as they do not all fit the memory.
type healthCounts struct {
	Untold   int `msgpack:"untold,omitempty"` // in an episode that began in a cool-down
	Warning  int `msgpack:"warning,omitempty"`
	Critical int `msgpack:"critical,omitempty"`
	Stale    int `msgpack:"stale,omitempty"`
}

// health is what of a stored model is counted; 0: nothing.
type health uint8

const (
	isUntold health = 1 << iota
	isWarning
	isCritical
	isStale
)

// healthOf is that of a stored model; nil is one that no monitor has seen.
func healthOf(e *observer.EpisodeSnapshot) (h health) {
	if e == nil {
		return h
	}
	if e.Silent {
		h = isStale
	}
	switch {
	case !e.Runs:
	case e.Severity == observer.Critical:
		h |= isCritical
	case e.Severity == observer.Warning:
		h |= isWarning
	default:
		h |= isUntold
	}
	return h
}

// add counts n more models in that state.
func (c *healthCounts) add(h health, n int) {
	for bit, count := range map[health]*int{isUntold: &c.Untold, isWarning: &c.Warning, isCritical: &c.Critical, isStale: &c.Stale} {
		if h&bit != 0 {
			*count = max(0, *count+n)
		}
	}
}

func (c healthCounts) plus(other healthCounts) healthCounts {
	return healthCounts{c.Untold + other.Untold, c.Warning + other.Warning, c.Critical + other.Critical, c.Stale + other.Stale}
}

// countHealth counts where the offset does not say: one that a worker wrote which knew nothing of it.
func (p *partition) countHealth(ctx context.Context) error {
	if p.offset.Health != nil {
		return nil
	}
	p.offset.Health = &healthCounts{}
	if p.offset.Models == 0 {
		return nil
	}
	entries, err := p.bus.Scan(ctx, p.number, p.fence, "model."+p.label+".*")
	if err != nil {
		return err
	}
	var sum healthCounts
	for _, e := range entries {
		var r record
		if wire.UnmarshalState(e.Value, &r) == nil {
			sum.add(healthOf(r.Episode), 1)
		}
	}
	p.offset.Health = &sum
	return nil
}

// share is what the metrics tell of the partition.
func (p *partition) share() share {
	return share{models: p.offset.Models, studies: len(p.running), health: *p.offset.Health}
}
