package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/strategy"
)

// curveSet holds the full learning curves of some configs of one model.
type curveSet struct {
	Name   string        `json:"name"`
	Goal   string        `json:"goal"`
	Steps  []int64       `json:"steps"`
	Curves []curveValues `json:"curves"` // of each config, a value per step
}

// curveValues may hold NaN, which is null in JSON.
type curveValues []float64

func (v *curveValues) UnmarshalJSON(text []byte) error {
	var list []*float64
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*v = nil
	for _, x := range list {
		if x == nil {
			*v = append(*v, math.NaN())
		} else {
			*v = append(*v, *x)
		}
	}
	return nil
}

func (v curveValues) MarshalJSON() ([]byte, error) {
	list := make([]*float64, len(v))
	for i := range v {
		if !math.IsNaN(v[i]) {
			list[i] = &v[i]
		}
	}
	return json.Marshal(list)
}

func (s *curveSet) goal() strategy.Goal {
	if s.Goal == strategy.Maximize.String() {
		return strategy.Maximize
	}
	return strategy.Minimize
}

// fullSteps are those of all trials without a pruner.
func (s *curveSet) fullSteps() int { return len(s.Steps) * len(s.Curves) }

// final are the values at the full budget, best first, without NaN.
func (s *curveSet) final() []float64 {
	var list []float64
	for _, curve := range s.Curves {
		if value := curve[len(curve)-1]; !math.IsNaN(value) {
			list = append(list, value)
		}
	}
	slices.Sort(list)
	if s.goal() == strategy.Maximize {
		slices.Reverse(list)
	}
	return list
}

// regret of the config that a study selects, by its value at the full budget: 0 for the best of the
// set, 1 for the median one, or the worst where half of them are the best, and where no trial was complete.
func (s *curveSet) regret(selected *float64) float64 {
	final := s.final()
	if selected == nil {
		return 1
	}
	span := final[len(final)/2] - final[0]
	if span == 0 {
		span = final[len(final)-1] - final[0]
	}
	if span == 0 {
		return 0
	}
	return (*selected - final[0]) / span
}

// accuracyTolerance is what two runs of one config differ by on held-out sets of this size: one
// standard deviation of an accuracy of 0.97 of 300 samples.
const accuracyTolerance = 0.01

// within reports whether a selected value is as good as the best: within 0.01 of an accuracy, and
// within 1 % of the way from the best to the median of other metrics.
func (s *curveSet) within(selected *float64) bool {
	if selected != nil && s.goal() == strategy.Maximize {
		return s.final()[0]-*selected <= accuracyTolerance
	}
	return s.regret(selected) <= 0.01
}

// curveSets are the recorded curves and those of the models that Python can train. Trained ones are
// kept in the output folder.
func (o *options) curveSets(process *problem.Process, note io.Writer) ([]*curveSet, error) {
	recorded, err := recordedSet(filepath.Join(o.Data, "digits_mlp_training.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var sets []*curveSet
	if err != nil {
		fmt.Fprintf(note, "no recorded curves: %v\n", err)
	} else {
		sets = append(sets, recorded)
	}
	trained, err := o.trainedSets(process, note)
	return append(sets, trained...), err
}

func (o *options) trainedSets(process *problem.Process, note io.Writer) (sets []*curveSet, err error) {
	path := filepath.Join(o.Out, "curves.json")
	if text, err := os.ReadFile(path); o.Out != "" && err == nil {
		return sets, json.Unmarshal(text, &sets)
	}
	if process == nil {
		return nil, nil
	}
	models, _ := process.Hello["models"].([]any)
	if len(models) == 0 {
		fmt.Fprintln(note, "no scikit-learn, the trained curves are left out")
		return nil, nil
	}
	for _, model := range models {
		fmt.Fprintf(note, "training %v\n", model)
		var answer struct{ Sets []*curveSet }
		if err := process.Call(map[string]any{"op": "train", "model": model}, &answer); err != nil {
			return nil, fmt.Errorf("train %v: %w", model, err)
		}
		sets = append(sets, answer.Sets...)
	}
	if o.Out == "" {
		return sets, nil
	}
	return sets, errors.Join(os.MkdirAll(o.Out, 0o755),
		writeFile(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(sets) }))
}

// recordedSet reads the accuracy in recorded reports, one JSON object a line: trials numbered from 0,
// one after the other, all with the same steps.
func recordedSet(path string) (*curveSet, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s := &curveSet{Name: "recorded mlp accuracy", Goal: strategy.Maximize.String()}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var report struct {
			Trial   int
			Step    int64
			Metrics struct{ Accuracy float64 }
		}
		if err := json.Unmarshal(lines.Bytes(), &report); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := s.record(report.Trial, report.Step, report.Metrics.Accuracy); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return s, errors.Join(lines.Err(), s.check(path))
}

func (s *curveSet) record(trial int, step int64, value float64) error {
	if trial == len(s.Curves) {
		s.Curves = append(s.Curves, nil)
	}
	if trial < 0 || trial != len(s.Curves)-1 {
		return fmt.Errorf("trial %d comes after %d others: give trials numbered from 0, one after the other", trial, len(s.Curves))
	}
	if trial == 0 {
		s.Steps = append(s.Steps, step)
	}
	s.Curves[trial] = append(s.Curves[trial], value)
	return nil
}

func (s *curveSet) check(path string) error {
	if len(s.Steps) == 0 {
		return fmt.Errorf("%s holds no report", path)
	}
	for trial, curve := range s.Curves {
		if len(curve) != len(s.Steps) {
			return fmt.Errorf("%s: trial %d has %d reports, the first one %d", path, trial, len(curve), len(s.Steps))
		}
	}
	return nil
}
