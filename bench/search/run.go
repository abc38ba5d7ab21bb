package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/strategy"
)

// run is one optimiser on one problem.
type run struct {
	problem, optimiser     string
	parallel, budget, seed int
}

// trace is what came of a run, by number of the trial.
type trace struct {
	observed []float64 // objective as the optimiser saw it
	actual   []float64 // objective without noise
	seconds  []float64 // time of the suggestion
}

type pendingTrial struct {
	number int
	config map[string]any
	finish float64 // simulated time
}

// execute simulates r.parallel workers: each asks for a config when it is free, and a seeded
// pseudo-random duration, the same for every optimiser, decides who is free next.
func execute(r run, p *problem.Problem, o optimiser) (trace, error) {
	var t trace
	var pending []pendingTrial
	seed, clock := p.Seed(r.seed), 0.0
	for budget := r.budget; ; {
		for len(pending) < r.parallel && len(t.seconds) < budget {
			config, took, err := o.ask()
			if errors.Is(err, strategy.ErrExhausted) {
				budget = len(t.seconds)
				break
			}
			if err != nil {
				return t, fmt.Errorf("trial %d: %w", len(t.seconds), err)
			}
			number := t.add(took.Seconds())
			pending = append(pending, pendingTrial{number, config, clock + duration(seed, number)})
		}
		if len(pending) == 0 {
			return t, nil
		}
		next := takeNext(&pending)
		clock = next.finish
		if err := t.finish(p, o, next, seed); err != nil {
			return t, fmt.Errorf("trial %d: %w", next.number, err)
		}
	}
}

// duration of a trial, between half and one and a half of the usual.
func duration(seed uint64, trial int) float64 {
	return 0.5 + rand.New(rand.NewPCG(^seed, ^uint64(trial))).Float64()
}

func takeNext(pending *[]pendingTrial) pendingTrial {
	first := 0
	for i, t := range *pending {
		if t.finish < (*pending)[first].finish {
			first = i
		}
	}
	next := (*pending)[first]
	*pending = slices.Delete(*pending, first, first+1)
	return next
}

func (t *trace) add(seconds float64) (number int) {
	t.seconds = append(t.seconds, seconds)
	t.actual = append(t.actual, 0)
	t.observed = append(t.observed, 0)
	return len(t.seconds) - 1
}

func (t *trace) finish(p *problem.Problem, o optimiser, next pendingTrial, seed uint64) error {
	value, err := p.Evaluate(next.config)
	if err != nil {
		return err
	}
	t.actual[next.number] = value
	t.observed[next.number] = p.Observe(value, seed, next.number)
	return o.tell(next.number, t.observed[next.number])
}

// best returns the true value of the trial that looked best among the first n: what a study of n
// trials would have ended with, as a suggestion knows nothing of later ones.
func (t *trace) best(n int, goal strategy.Goal) float64 {
	best := 0
	for i := range min(n, len(t.observed)) {
		if goal.Better(t.observed[i], t.observed[best]) {
			best = i
		}
	}
	return t.actual[best]
}

// meanSeconds of the first n suggestions.
func (t *trace) meanSeconds(n int) float64 {
	n = min(n, len(t.seconds))
	sum := 0.0
	for _, s := range t.seconds[:n] {
		sum += s
	}
	return sum / float64(n)
}
