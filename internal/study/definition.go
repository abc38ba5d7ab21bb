package study

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/visutility/retune/internal/pruner"
	"github.com/visutility/retune/internal/strategy"
)

// MaxParallelism bounds the trials of one study that are waiting or running at
// once, so that everything one step changes fits one atomic commit.
const MaxParallelism = 256

// maxCount bounds max_trials and retries: what a trial number holds on any machine.
const maxCount = 1<<31 - 1

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// A Definition is what a start command asks for, checked and with its defaults.
type Definition struct {
	Name         string // empty: whoever starts the study names it
	Metric       string
	Goal         strategy.Goal
	Space        *strategy.Space
	Strategy     string // default: auto
	Options      map[string]any
	Seed         *uint64          // nil: whoever starts the study seeds it
	Parallelism  int              // trials at once, 1 to MaxParallelism; default: 1
	MaxTrials    int              // 0: no bound
	MaxDuration  time.Duration    // 0: no bound
	TrialTimeout time.Duration    // since the attempt's latest report; 0: none
	Retries      int              // further attempts of a failed or timed out trial; default: 0
	Baseline     *float64         // what the best trial has to beat; nil: nothing
	Enqueue      []map[string]any // configs to try first, parameters may be missing
	Pruner       pruner.Pruner    // nil: none
	WarmStart    []Source         // earlier studies whose trials inform this one
	Tree         map[string]any   // as given
}

// A Source is an earlier study.
type Source struct {
	Model string // empty: the model of the study itself
	Study string
}

// Parse reads the `study` object of a start command. Unknown fields are ignored
// and null is absent; an error names the field, its value and what to give.
func Parse(tree map[string]any) (*Definition, error) {
	f := &fields{path: "study", tree: tree, err: new(error)}
	objective := f.object("objective")
	d := &Definition{
		Name:         f.text("name", ""),
		Strategy:     f.text("strategy", "auto"),
		Options:      f.object("options").tree,
		Parallelism:  f.integer("parallelism", 1, MaxParallelism, 1),
		MaxTrials:    f.integer("max_trials", 1, maxCount, 0),
		MaxDuration:  f.duration("max_duration"),
		TrialTimeout: f.duration("trial_timeout"),
		Retries:      f.integer("retries", 0, maxCount, 0),
		Seed:         f.seed("seed"),
		Baseline:     f.number("baseline"),
		Metric:       objective.required("metric", "give the name of the metric to optimise"),
		Goal:         objective.goal("goal"),
		Enqueue:      f.configs("enqueue"),
		Space:        f.space("space"),
		Pruner:       f.pruner("pruner"),
		WarmStart:    f.sources("warm_start"),
		Tree:         tree,
	}
	if *f.err != nil {
		return nil, *f.err
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// validate checks what concerns several fields.
func (d *Definition) validate() error {
	if d.Name != "" && !namePattern.MatchString(d.Name) {
		return invalid("study.name", d.Name, "give 1 to 128 letters, digits, _ or -")
	}
	// A grid over a space that is not finite is refused when the strategy is built.
	if d.MaxTrials == 0 && d.MaxDuration == 0 && d.Strategy != "grid" {
		return missing("study.max_trials", "bound the study by max_trials, max_duration or the strategy grid")
	}
	if d.MaxTrials > 0 && len(d.Enqueue) > d.MaxTrials {
		return fmt.Errorf("study.enqueue: %d configs but max_trials is %d: raise max_trials or enqueue fewer",
			len(d.Enqueue), d.MaxTrials)
	}
	for i, config := range d.Enqueue {
		if _, err := d.accept(config); err != nil {
			return fmt.Errorf("study.enqueue[%d]: %w", i, err)
		}
	}
	return nil
}

// acceptTries is how many samples accept takes to meet the conditions of a config.
const acceptTries = 64

// accept completes an enqueued config without a proposal. The parameters it
// leaves out may be conditions of those it gives, so one sample may miss what
// another meets. The samples are fixed: what was accepted once always is.
func (d *Definition) accept(config map[string]any) (completed map[string]any, err error) {
	random := rand.New(rand.NewPCG(0, 0))
	for range acceptTries {
		if completed, err = d.Space.Complete(config, nil, random); err == nil {
			break
		}
	}
	return completed, err
}

// AskedBytes bounds what the asks of a study add to its state, encoded: configs of
// enqueue once more, and for each trial at once what caused it.
func (d *Definition) AskedBytes() int { return estimate(d.Enqueue) + 512*d.Parallelism }

// Fit moves a config from elsewhere into the space: numbers to the nearest value,
// parameters that are missing to a sample; nil where it cannot be.
func (d *Definition) Fit(config map[string]any) map[string]any {
	fitted, err := d.Space.Complete(nil, d.Space.Clamp(config), rand.New(rand.NewPCG(0, 0)))
	if err != nil {
		return nil
	}
	return fitted
}

// Same reports whether another study object asks for the same: numbers compare
// by value whatever their type, null is absent.
func (d *Definition) Same(tree map[string]any) bool {
	return sameTree(d.Tree, tree)
}
