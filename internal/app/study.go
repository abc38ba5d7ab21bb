package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// StudyView is what is stored of a study, running or not.
type StudyView struct {
	Model      string                   `json:"model"`
	Name       string                   `json:"study"`
	State      string                   `json:"state"` // running, or why it ended
	Error      string                   `json:"error,omitempty"`
	Strategy   string                   `json:"strategy"`
	Explained  string                   `json:"explanation,omitempty"` // what the strategy chose and why
	Definition map[string]any           `json:"definition"`
	Counts     map[study.TrialState]int `json:"counts"`
	Best       *study.Trial             `json:"best,omitempty"`
	StartedAt  time.Time                `json:"started_at"`
	FinishedAt time.Time                `json:"finished_at,omitzero"`
	Trials     []study.Trial            `json:"trials,omitempty"` // by number; those whose record has not expired

	partition int
	kept      []study.Trial // in the record itself
}

// running is the state of a study that has not ended.
const running = "running"

// The records of package coordinator, as far as they are shown.
type (
	runningRecord struct {
		State study.State `msgpack:"state"`
	}
	finishedRecord struct {
		Finished study.Finished `msgpack:"finished"`
	}
	trialRecord struct {
		Trial study.Trial `msgpack:"trial"`
	}
)

// viewStudy reads the record under a key of a running or finished study.
func viewStudy(e bus.Entry) (StudyView, error) {
	key, _ := wire.ParseKey(e.Key)
	v := StudyView{Model: key.Model, partition: key.Partition}
	if key.Kind == wire.KindRunning {
		var r runningRecord
		if err := wire.UnmarshalState(e.Value, &r); err != nil {
			return v, fmt.Errorf("%s: %w", e.Key, err)
		}
		s := r.State
		v.Name, v.State, v.Error, v.Strategy, v.Definition = s.Name, running, s.Error, s.Strategy, s.Definition
		v.Counts, v.Best, v.StartedAt, v.Explained = s.Counts, s.Best, s.StartedAt, s.Explanation
		return v, nil
	}
	var r finishedRecord
	if err := wire.UnmarshalState(e.Value, &r); err != nil {
		return v, fmt.Errorf("%s: %w", e.Key, err)
	}
	f := r.Finished
	v.Name, v.State, v.Error, v.Strategy, v.Definition = f.Name, f.Reason, f.Error, f.Strategy, f.Definition
	v.Counts, v.StartedAt, v.FinishedAt, v.kept, v.Explained = f.Counts, f.StartedAt, f.FinishedAt, f.Best, f.Explanation
	if len(f.Best) > 0 {
		v.Best = &f.Best[0]
	}
	return v, nil
}

// findStudy reads a study without its trials.
func findStudy(ctx context.Context, b *bus.Bus, model, name string) (StudyView, error) {
	if err := cmp.Or(wire.CheckName("model", model), wire.CheckName("study", name)); err != nil {
		return StudyView{}, &Misuse{err}
	}
	layout, err := b.Layout(ctx)
	if err != nil {
		return StudyView{}, err
	}
	p := layout.Partition(model)
	keys := []string{wire.FinishedKey(p, model, name), wire.StudyKey(p, model)}
	found, err := b.ReadLatest(ctx, keys)
	if err != nil {
		return StudyView{}, err
	}
	for _, key := range keys {
		if found[key].Value == nil {
			continue
		}
		v, err := viewStudy(found[key])
		if err != nil || v.Name == name {
			return v, err
		}
	}
	return StudyView{}, fmt.Errorf("study %s of model %s is not known: `worker study list` shows those that are", name, model)
}

// loadTrials reads the records of the trials. Of a finished study whose records
// have expired the best are left. A trial of one that is still open is an answer of
// a replica that lags, which is asked again for a while.
func (v *StudyView) loadTrials(ctx context.Context, b *bus.Bus) error {
	for try := 0; ; try++ {
		if err := v.readTrials(ctx, b); err != nil {
			return err
		}
		stale := v.State != running && slices.ContainsFunc(v.Trials, func(t study.Trial) bool { return t.Open() })
		if !stale || try == 20 {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (v *StudyView) readTrials(ctx context.Context, b *bus.Bus) error {
	entries, err := b.Keys(ctx, "trial."+strconv.Itoa(v.partition)+"."+v.Model+"."+v.Name+".*")
	if err != nil {
		return err
	}
	seen := map[int]bool{}
	v.Trials = nil
	for _, e := range entries {
		var r trialRecord
		if err := wire.UnmarshalState(e.Value, &r); err != nil {
			return fmt.Errorf("%s: %w", e.Key, err)
		}
		seen[r.Trial.Number] = true
		v.Trials = append(v.Trials, r.Trial)
	}
	for _, t := range v.kept {
		if !seen[t.Number] {
			v.Trials = append(v.Trials, t)
		}
	}
	slices.SortFunc(v.Trials, func(a, b study.Trial) int { return cmp.Compare(a.Number, b.Number) })
	return nil
}

// total is how many trials there were.
func (v *StudyView) total() int {
	n := 0
	for _, count := range v.Counts {
		n += count
	}
	return n
}

func (v *StudyView) objective() (metric string, goal strategy.Goal) {
	objective, _ := v.Definition["objective"].(map[string]any)
	metric, _ = objective["metric"].(string)
	text, _ := objective["goal"].(string)
	goal, _ = strategy.ParseGoal(text)
	return metric, goal
}
