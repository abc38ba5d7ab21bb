package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/strategy"
)

// measure is one comparison of the time per suggestion after a number of random trials.
type measure struct {
	strategy, sampler string // sampler "": ours alone
	trials, rounds    int
}

var measures = []measure{
	{"tpe", "tpe", 1_000, 21},
	{"tpe", "", 10_000, 11},
	{"gp", "gp", 200, 7},
}

// speed times suggestions over ten floats (Rosenbrock's function). Ours and Optuna's take turns on the
// same history, and each suggestion is told before the next, as in a study.
func (o *options) speed(out, note io.Writer) error {
	all := problem.Functions()
	p := all[slices.IndexFunc(all, func(p *problem.Problem) bool { return p.Name == "rosenbrock10" })]
	process, err := problem.Start(o.Python, optunaScript)
	if err != nil {
		fmt.Fprintf(note, "no Optuna, ours alone: %v\n", err)
	} else {
		defer process.Close()
	}
	var failures []error
	for _, m := range measures {
		if process == nil {
			m.sampler = ""
		}
		if e := m.run(out, p, process); e != nil {
			failures = append(failures, fmt.Errorf("%s after %d trials: %w", m.strategy, m.trials, e))
		}
	}
	return errors.Join(failures...)
}

func (m measure) run(out io.Writer, p *problem.Problem, process *problem.Process) error {
	history, known, err := randomHistory(p, m.trials)
	if err != nil {
		return err
	}
	own, err := newOurs(m.strategy, p, run{parallel: 1, budget: m.trials + m.rounds})
	if err != nil {
		return err
	}
	own.request.History = history
	own.latest = m.trials - 1
	contenders := []optimiser{own}
	if m.sampler != "" {
		other, err := newOptuna(process, m.sampler, p, p.Seed(0), known)
		if err != nil {
			return err
		}
		contenders = append(contenders, other)
	}
	times, err := takeTurns(p, contenders, []int{m.trials, 0}, m.rounds)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s after %d trials of 10 parameters: %v", m.strategy, m.trials, times[0])
	if m.sampler != "" {
		fmt.Fprintf(out, ", Optuna's %v, ratio %.2f", times[1], times[0].Seconds()/times[1].Seconds())
	}
	fmt.Fprintf(out, " (medians of %d)\n", m.rounds)
	return nil
}

// takeTurns returns the median time of a suggestion of each contender. first holds the number of each
// one's next trial.
func takeTurns(p *problem.Problem, contenders []optimiser, first []int, rounds int) ([]time.Duration, error) {
	seconds := make([][]float64, len(contenders))
	for round := range rounds {
		for i, o := range contenders {
			config, took, err := o.ask()
			if err != nil {
				return nil, err
			}
			value, err := p.Evaluate(config)
			if err != nil {
				return nil, err
			}
			if err := o.tell(first[i]+round, value); err != nil {
				return nil, err
			}
			seconds[i] = append(seconds[i], took.Seconds())
		}
	}
	times := make([]time.Duration, len(contenders))
	for i := range times {
		times[i] = time.Duration(math.Round(median(seconds[i])*1e6)) * time.Microsecond
	}
	return times, nil
}

// randomHistory is the same list of trials for ours and for Optuna.
func randomHistory(p *problem.Problem, n int) (history []strategy.Trial, known []knownTrial, err error) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		config := p.Space.Sample(r)
		value, err := p.Evaluate(config)
		if err != nil {
			return nil, nil, err
		}
		history = append(history, strategy.Trial{Number: i, Config: config, Value: value, State: strategy.Complete})
		known = append(known, knownTrial{config, value})
	}
	return history, known, nil
}
