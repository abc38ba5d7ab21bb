package study

import (
	"slices"
	"time"

	"github.com/visutility/retune/internal/pruner"
	"github.com/visutility/retune/internal/strategy"
)

// Points that the curve of a trial keeps at most: about 12 KiB of its record for a pruner, a tenth of that to be
// looked at. Then the older half is thinned, evenly by step, but for the best.
const (
	maxPoints      = 2 * pruner.MaxPatience
	unprunedPoints = maxPoints / 10
)

// judge notes an intermediate value and stops the trial if the pruner says so. A value of an earlier step comes too
// late to be judged: the trial got further.
func (s *Study) judge(trial *Trial, r Report, now time.Time) []Effect {
	if r.Step == nil || r.Metrics == nil {
		return nil
	}
	value, ok := r.Metrics(s.definition.Metric)
	if !ok {
		return nil
	}
	limit := maxPoints
	if s.pruner == nil {
		limit = unprunedPoints
	}
	trial.addPoint(*r.Step, value, limit, s.definition.Goal)
	s.curves[trial.Number] = trial.curve()
	if s.pruner == nil || *r.Step < trial.PointSteps[len(trial.PointSteps)-1] {
		return nil
	}
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
func (t *Trial) addPoint(step int64, value float64, limit int, goal strategy.Goal) {
	i, found := slices.BinarySearch(t.PointSteps, step)
	if found {
		t.PointValues[i] = value
		return
	}
	t.PointSteps = slices.Insert(t.PointSteps, i, step)
	t.PointValues = slices.Insert(t.PointValues, i, value)
	if len(t.PointSteps) > limit {
		t.thin(limit/2, goal)
	}
}

// thin keeps the newest points, the best of the others, and of those half as many.
func (t *Trial) thin(newest int, goal strategy.Goal) {
	older, best := len(t.PointSteps)-newest, 0
	for i, value := range t.PointValues[:older] {
		if finite(value) && (!finite(t.PointValues[best]) || goal.Better(value, t.PointValues[best])) {
			best = i
		}
	}
	first, last := float64(t.PointSteps[0]), float64(t.PointSteps[older])
	bin := func(i int) int { return int((float64(t.PointSteps[i]) - first) / (last - first) * float64(newest/2)) }
	var steps []int64
	var values []float64
	for i, step := range t.PointSteps {
		if i == 0 || i >= older || i == best || bin(i) != bin(i-1) {
			steps, values = append(steps, step), append(values, t.PointValues[i])
		}
	}
	t.PointSteps, t.PointValues = steps, values
}

// curve is what a pruner sees of the trial.
func (t *Trial) curve() pruner.Curve {
	c := pruner.Curve{Number: t.Number, State: t.seen().State}
	for i, step := range t.PointSteps {
		c.Points = append(c.Points, pruner.Point{Step: step, Value: t.PointValues[i]})
	}
	return c
}
