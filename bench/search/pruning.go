package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/pruner"
)

//go:embed pruning.py
var pruningScript string

// Pruners compared; "last" stands for the last step of the curves.
var (
	ourPruners = []string{
		"none", "median", "percentile:percentile=25", "asha", "asha:max_resource=last", "asha:reduction_factor=3",
		"hyperband", "hyperband:max_resource=last",
	}
	optunaPruners = []string{"median", "percentile:percentile=25", "asha", "asha:min_resource=1", "hyperband", "hyperband:max_resource=last"}
)

// leastPruningSeeds: fewer orders of the trials say little.
const leastPruningSeeds = 20

// replayer runs one study over a set under one pruner.
type replayer func(*curveSet, pruningRun) (pruningResult, error)

// pruning compares pruners on learning curves, ours and Optuna's in the same studies.
func (o *options) pruning(out, note io.Writer) error {
	process, err := problem.Start(o.Python, pruningScript)
	if err != nil {
		fmt.Fprintf(note, "no Python, so no Optuna, and of trained curves only those in --out: %v\n", err)
	} else {
		defer process.Close()
	}
	sets, err := o.curveSets(process, note)
	if err != nil {
		return err
	}
	if len(sets) == 0 {
		fmt.Fprintln(note, "no learning curves: nothing to compare")
		return nil
	}
	names, replayers, err := pruningContenders(process, sets, note)
	if err != nil {
		return err
	}
	var results []pruningResult
	var failures []error
	for i, replay := range replayers {
		fmt.Fprintf(note, "%s\n", names[i])
		some, err := o.replayAll(names[i], replay, sets)
		results, failures = append(results, some...), append(failures, err)
	}
	return errors.Join(append(failures, writePruning(out, o.Out, sets, names, results))...)
}

// replayAll ends at the first error; what came before it counts.
func (o *options) replayAll(name string, replay replayer, sets []*curveSet) (results []pruningResult, err error) {
	for _, s := range sets {
		for _, parallel := range o.Parallel {
			for seed := range max(o.Seeds, leastPruningSeeds) {
				r, err := replay(s, newPruningRun(s, parallel, seed))
				if err != nil {
					return results, fmt.Errorf("%s on %s: %w", name, s.Name, err)
				}
				r.set, r.pruner, r.parallel, r.seed = s, name, parallel, seed
				results = append(results, r)
			}
		}
	}
	return results, nil
}

// pruningContenders lists our pruners and, if it is there, Optuna's, to which it hands the curves.
func pruningContenders(process *problem.Process, sets []*curveSet, note io.Writer) (names []string, all []replayer, err error) {
	for _, name := range ourPruners {
		names, all = append(names, name), append(all, ourReplayer(name))
	}
	if process == nil {
		return names, all, nil
	}
	if process.Hello["optuna"] == nil {
		fmt.Fprintln(note, "no Optuna, its pruners are left out")
		return names, all, nil
	}
	for _, s := range sets {
		if err := process.Call(map[string]any{"op": "set", "set": s}, &struct{}{}); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range optunaPruners {
		names, all = append(names, optunaPrefix+name), append(all, optunaReplayer(process, name))
	}
	return names, all, nil
}

func ourReplayer(name string) replayer {
	return func(s *curveSet, run pruningRun) (pruningResult, error) {
		kind, values, err := prunerOptions(name, s)
		if err != nil {
			return pruningResult{}, err
		}
		p, err := pruner.New(kind, values)
		if err != nil {
			return pruningResult{}, err
		}
		return replayStudy(s, run, p), nil
	}
}

func optunaReplayer(process *problem.Process, name string) replayer {
	return func(s *curveSet, run pruningRun) (r pruningResult, err error) {
		kind, values, err := prunerOptions(name, s)
		if err != nil {
			return r, err
		}
		request := map[string]any{"op": "replay", "set": s.Name, "pruner": kind, "options": values, "run": run}
		err = process.Call(request, &r)
		return r, err
	}
}

func prunerOptions(name string, s *curveSet) (kind string, values map[string]any, err error) {
	return splitOptions(strings.ReplaceAll(name, "last", fmt.Sprint(s.Steps[len(s.Steps)-1])))
}
