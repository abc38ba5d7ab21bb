package study

import (
	"slices"
	"time"

	"github.com/visutility/retune/internal/pruner"
)

// maxPoints bounds the curve of a trial: about 12 KiB of its record. Of longer
// ones every second point is dropped, the latest aside.
const maxPoints = 1_000

// judge notes an intermediate value and stops the trial if the pruner says so.
func (s *Study) judge(trial *Trial, r Report, now time.Time) []Effect {
	if s.pruner == nil || r.Step == nil || r.Metrics == nil {
		return nil
	}
	value, ok := r.Metrics(s.definition.Metric)
	if !ok {
		return nil
	}
	trial.addPoint(*r.Step, value)
	s.curves[trial.Number] = trial.curve()
	reason, prune := s.pruner.Prune(pruner.Request{
		Goal: s.definition.Goal, Seed: s.state.Seed, Step: *r.Step, Trial: s.curves[trial.Number], Others: s.others(trial.Number),
	})
	if !prune {
		return nil
	}
	trial.Error = reason
	s.close(trial, Pruned, now)
	return []Effect{stop(trial, StopPruned)}
}

// others are the curves of the other trials that have one.
func (s *Study) others(number int) []pruner.Curve {
	others := make([]pruner.Curve, 0, len(s.curves))
	for _, curve := range s.curves {
		if curve.Number != number && len(curve.Points) > 0 {
			others = append(others, curve)
		}
	}
	return others
}

// addPoint keeps the steps ascending, in whatever order they are reported.
func (t *Trial) addPoint(step int64, value float64) {
	i, found := slices.BinarySearch(t.PointSteps, step)
	if found {
		t.PointValues[i] = value
		return
	}
	t.PointSteps = slices.Insert(t.PointSteps, i, step)
	t.PointValues = slices.Insert(t.PointValues, i, value)
	if len(t.PointSteps) > maxPoints {
		t.PointSteps, t.PointValues = thinned(t.PointSteps), thinned(t.PointValues)
	}
}

// thinned drops every second of a list, never the last.
func thinned[T any](list []T) []T {
	var kept []T
	for i := (len(list) - 1) % 2; i < len(list); i += 2 {
		kept = append(kept, list[i])
	}
	return kept
}

// curve is what a pruner sees of the trial.
func (t *Trial) curve() pruner.Curve {
	c := pruner.Curve{Number: t.Number, State: t.seen().State}
	for i, step := range t.PointSteps {
		c.Points = append(c.Points, pruner.Point{Step: step, Value: t.PointValues[i]})
	}
	return c
}
