package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/visutility/retune/bench/search/problem"
)

// view is what a report looks at: rows as regrets.
type view struct {
	problems   []string
	optimisers []string
	parallel   []int
	budgets    []int
	seeds      int
	regrets    map[run]float64
	seconds    map[run]float64
}

// cell is one setting of the comparison.
type cell struct{ parallel, budget int }

func (c cell) String() string {
	return fmt.Sprintf("%d trials, %d in parallel", c.budget, c.parallel)
}

// newView turns the rows of the plan's problems into normalised regrets. Where the optimum is unknown,
// it is the best that any row has.
func newView(p *plan, s *store) (*view, error) {
	v := &view{optimisers: p.optimisers, parallel: p.parallel, budgets: p.budgets, seeds: p.seeds, regrets: map[run]float64{}, seconds: map[run]float64{}}
	rows := map[string][]row{}
	for _, r := range s.rows {
		rows[r.problem] = append(rows[r.problem], r)
	}
	for _, q := range p.problems {
		v.problems = append(v.problems, q.Name)
		if len(rows[q.Name]) == 0 {
			continue
		}
		median, err := q.Median()
		if err != nil {
			return nil, err
		}
		optimum := optimumOf(q, rows[q.Name])
		for _, r := range rows[q.Name] {
			v.regrets[r.run] = problem.Regret(r.best, optimum, median)
			v.seconds[r.run] = r.seconds
		}
	}
	return v, nil
}

func optimumOf(p *problem.Problem, rows []row) float64 {
	optimum, known := p.Optimum()
	if known {
		return optimum
	}
	optimum = rows[0].best
	for _, r := range rows {
		if p.Goal.Better(r.best, optimum) {
			optimum = r.best
		}
	}
	return optimum
}

// block holds the regrets of the compared optimisers on one problem with one seed.
type block struct {
	problem string
	regrets []float64
}

// blocks are those in which every one of the optimisers has a result.
func (v *view) blocks(c cell, optimisers []string) (blocks []block) {
	for _, name := range v.problems {
		for seed := range v.seeds {
			b := block{name, make([]float64, 0, len(optimisers))}
			for _, o := range optimisers {
				if regret, ok := v.regrets[run{name, o, c.parallel, c.budget, seed}]; ok {
					b.regrets = append(b.regrets, regret)
				}
			}
			if len(b.regrets) == len(optimisers) {
				blocks = append(blocks, b)
			}
		}
	}
	return blocks
}

// present are the optimisers that have any result in the cell.
func (v *view) present(c cell, optimisers []string) []string {
	return slices.DeleteFunc(slices.Clone(optimisers), func(o string) bool {
		return len(v.blocks(c, []string{o})) == 0
	})
}

// column returns the problems of the blocks and what f makes of the i-th optimiser's regret.
func column(blocks []block, f func(regrets []float64) float64) (problems []string, values []float64) {
	for _, b := range blocks {
		problems = append(problems, b.problem)
		values = append(values, f(b.regrets))
	}
	return problems, values
}

// group is a set of optimisers that are ranked among each other.
type group struct {
	name       string
	optimisers []string
}

// groups: all together, ours alone, and auto with Optuna's, as a user has to choose between them.
func groups(optimisers []string) []group {
	isOurs := func(o string) bool { return !strings.HasPrefix(o, optunaPrefix) }
	notOurs := func(o string) bool { return strings.HasPrefix(o, optunaPrefix) }
	ours := slices.DeleteFunc(slices.Clone(optimisers), notOurs)
	foreign := slices.DeleteFunc(slices.Clone(optimisers), isOurs)
	all := []group{{"all", optimisers}}
	if len(ours) > 1 && len(foreign) > 0 {
		all = append(all, group{"ours", ours})
	}
	if slices.Contains(ours, "auto") && len(foreign) > 0 && len(ours) > 1 {
		all = append(all, group{"auto and Optuna", append([]string{"auto"}, foreign...)})
	}
	return all
}

// namesakes of our strategies among Optuna's samplers.
var namesakes = map[string]string{
	"tpe": "optuna-tpe", "gp": "optuna-gp", "cmaes": "optuna-cmaes", "sobol": "optuna-qmc", "random": "optuna-random",
}

// pairs are ours with their namesakes, as far as both are compared.
func pairs(optimisers []string) (all [][]string) {
	for _, o := range optimisers {
		name, _, _ := strings.Cut(o, ":")
		if other := namesakes[name]; slices.Contains(optimisers, other) {
			all = append(all, []string{o, other})
		}
	}
	return all
}
