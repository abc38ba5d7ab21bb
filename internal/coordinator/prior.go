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

// maxPriorBytes bounds the record of a study's earlier results.
const maxPriorBytes = 256 << 10

// priorRecord is what is stored under prior.<p>.<model>.<study>: a study must not
// change its mind because the studies it learnt from have expired.
type priorRecord struct {
	Schema int           `msgpack:"v"`
	Trials []priorResult `msgpack:"trials"` // the best of each study first
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
	var all priorRecord
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
		all.Trials = append(all.Trials, trials...)
	}
	return all.bounded().trials(), nil
}

func (p *partition) readFinished(ctx context.Context, source study.Source) (study.Finished, error) {
	layout, err := p.bus.Layout(ctx)
	if err != nil {
		return study.Finished{}, errRead{err}
	}
	key := wire.FinishedKey(layout.Partition(source.Model), source.Model, source.Study)
	found, err := p.bus.ReadLatest(ctx, []string{key})
	if err != nil {
		return study.Finished{}, errRead{err}
	}
	var r finishedRecord
	if body := found[key].Value; body != nil {
		if err := decodeState(body, &r, &r.Schema); err != nil {
			return study.Finished{}, err
		}
	}
	return r.Finished, nil
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
func (r priorRecord) bounded() priorRecord {
	size := 0
	for i, t := range r.Trials {
		body, err := wire.MarshalState(t)
		if size += len(body); err != nil || size > maxPriorBytes {
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
	return put(wire.PriorKey(p.number, m.id, m.study.Name()), trialLife, r)
}
