package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// maxPriorBytes bounds the record of a study's earlier results, which goes when the
// study ends.
const maxPriorBytes = 256 << 10

// priorRecord is what is stored under prior.<p>.<model>.<study>: a study must not
// change its mind because the studies it learnt from have expired.
type priorRecord struct {
	Schema int           `msgpack:"v"`
	Trials []priorResult `msgpack:"trials"` // the best of each study first, then their second best
}

type priorResult struct {
	Config map[string]any `msgpack:"config"`
	Value  float64        `msgpack:"value"`
}

func decodePrior(body []byte) ([]strategy.Trial, error) {
	if body == nil {
		return nil, nil
	}
	var r priorRecord
	if err := decodeState(body, &r, &r.Schema); err != nil {
		return nil, err
	}
	return r.trials(), nil
}

func (r priorRecord) trials() []strategy.Trial {
	trials := make([]strategy.Trial, len(r.Trials))
	for i, t := range r.Trials {
		trials[i] = strategy.Trial{Number: i, Config: study.NormalConfig(t.Config), Value: t.Value, State: strategy.Complete}
	}
	return trials
}

// learnPrior reads the results of the earlier studies that a start command names. What is
// decided is committed before, for those studies may have ended just now; theirs may
// be another partition, of which only what is committed can be read.
func (p *partition) learnPrior(ctx context.Context, d *decoded) ([]strategy.Trial, error) {
	definition, err := study.Parse(d.command.Study)
	if err != nil || len(definition.WarmStart) == 0 {
		return nil, nil // a definition that cannot be used is refused with its error later
	}
	if err := p.commit(ctx); err != nil {
		return nil, errRead{err}
	}
	var all [][]priorResult
	for i, source := range definition.WarmStart {
		if source.Model == "" {
			source.Model = d.model
		}
		found, err := p.readFinished(ctx, source)
		if err != nil {
			return nil, err
		}
		trials, err := priorTrials(found, definition)
		if err != nil {
			return nil, fmt.Errorf("study.warm_start[%d]: study %s of model %s %w", i, source.Study, source.Model, err)
		}
		all = append(all, trials)
	}
	return priorRecord{Trials: interleaved(all)}.bounded(min(maxPriorBytes, p.room()/2)).trials(), nil
}

func (p *partition) readFinished(ctx context.Context, source study.Source) (study.Finished, error) {
	layout, err := p.bus.Layout(ctx)
	if err != nil {
		return study.Finished{}, errRead{err}
	}
	number := layout.Partition(source.Model)
	body, err := p.readAnywhere(ctx, number, wire.FinishedKey(number, source.Model, source.Study))
	if err != nil {
		return study.Finished{}, errRead{err}
	}
	var r finishedRecord
	if body != nil {
		if err := decodeState(body, &r, &r.Schema); err != nil {
			return study.Finished{}, err
		}
	}
	return r.Finished, nil
}

// interleaved takes the best of each study, then the second best of each, and so on.
func interleaved(studies [][]priorResult) (all []priorResult) {
	for i := 0; ; i++ {
		more := false
		for _, results := range studies {
			if i < len(results) {
				all, more = append(all, results[i]), true
			}
		}
		if !more {
			return all
		}
	}
}

// readAnywhere reads a key as of the fence if it is of this partition. Of another it may
// be missing on a replica that lags, which has a while to catch up.
func (p *partition) readAnywhere(ctx context.Context, number int, key string) ([]byte, error) {
	if number == p.number {
		found, err := p.bus.ReadState(ctx, number, p.fence, []string{key})
		return found[key].Value, err
	}
	for tries := 0; ; tries++ {
		found, err := p.bus.ReadLatest(ctx, []string{key})
		if err != nil || found[key].Value != nil || p.bus.Settings().Replicas < 2 || tries == 10 {
			return found[key].Value, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// priorTrials are the results that the record of a study has: its best 100.
func priorTrials(from study.Finished, to *study.Definition) ([]priorResult, error) {
	if from.Name == "" {
		return nil, errors.New("has not finished or is not known: wait for it, or leave it out")
	}
	earlier, err := study.Parse(from.Definition)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if earlier.Metric != to.Metric || earlier.Goal != to.Goal {
		return nil, fmt.Errorf("has another objective (%s %s): name studies that %s %s", earlier.Goal, earlier.Metric, to.Goal, to.Metric)
	}
	var results []priorResult
	for _, t := range from.Best {
		if t.Value != nil {
			results = append(results, priorResult{t.Config, *t.Value})
		}
	}
	return results, nil
}

// bounded drops the results at the end that a record has no room for.
func (r priorRecord) bounded(bytes int) priorRecord {
	size := 0
	for i, t := range r.Trials {
		body, err := wire.MarshalState(t)
		if size += len(body); err != nil || size > bytes {
			r.Trials = slices.Clone(r.Trials[:i])
			break
		}
	}
	return r
}

// priorWrite stores a new study's earlier results.
func (p *partition) priorWrite(m *model, put func(string, time.Duration, any) error) error {
	if !m.informed {
		return nil
	}
	r := priorRecord{Schema: schema}
	for _, t := range m.study.Prior() {
		r.Trials = append(r.Trials, priorResult{t.Config, t.Value})
	}
	return put(wire.PriorKey(p.number, m.id, m.study.Name()), 0, r)
}
