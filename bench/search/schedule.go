package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/visutility/retune/bench/search/problem"
)

// budgetBound are the strategies that act on the number of trials they have: each budget is a run of
// its own. Of all others the beginning of a long run serves for the smaller budgets.
var budgetBound = map[string]bool{"auto": true, "gp": true}

func isBudgetBound(optimiser string) bool {
	name, _, _ := strings.Cut(optimiser, ":")
	return budgetBound[name]
}

// checkpoints are the numbers of trials after which a run is noted, besides the budgets asked for.
var checkpoints = []int{10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000}

// plan says what to run.
type plan struct {
	problems   []*problem.Problem
	optimisers []string // those compared; what there is of them may be in the store already
	budgets    []int
	parallel   []int
	seeds      int
	seedsAt    map[int]int // budget to number of seeds, where not all
	jobs       int
}

// missing lists the runs of the optimisers that the store has no rows of, seed by seed so that partial results are of use.
func (p *plan) missing(s *store, optimisers []string) []run {
	var runs []run
	for seed := range p.seeds {
		for _, problem := range p.problems {
			for _, parallel := range p.parallel {
				for _, optimiser := range optimisers {
					runs = append(runs, p.missingBudgets(s, run{problem.Name, optimiser, parallel, 0, seed})...)
				}
			}
		}
	}
	return runs
}

func (p *plan) missingBudgets(s *store, r run) (runs []run) {
	longest := r
	complete := true
	for _, r.budget = range p.budgets {
		if seeds, limited := p.seedsAt[r.budget]; limited && r.seed >= seeds {
			continue
		}
		_, known := s.rows[r]
		if !known && isBudgetBound(r.optimiser) {
			runs = append(runs, r)
		}
		complete = complete && known
		longest.budget = max(longest.budget, r.budget)
	}
	if !complete && !isBudgetBound(r.optimiser) {
		runs = append(runs, longest)
	}
	return runs
}

// rowsOf notes a run at its checkpoints.
func (p *plan) rowsOf(r run, t trace, problem *problem.Problem) (rows []row) {
	budgets := []int{r.budget}
	if !isBudgetBound(r.optimiser) {
		budgets = slices.Concat(checkpoints, p.budgets, budgets)
		slices.Sort(budgets)
	}
	for _, budget := range slices.Compact(budgets) {
		if budget <= r.budget {
			at := r
			at.budget = budget
			rows = append(rows, row{at, t.best(budget, problem.Goal), t.meanSeconds(budget)})
		}
	}
	return rows
}

// execute runs what is missing of the optimisers with p.jobs runs at a time. A failed run is reported,
// and the others go on.
func (p *plan) execute(ctx context.Context, s *store, optimisers []string, open func() *builder, note io.Writer) error {
	runs := p.missing(s, optimisers)
	log := &progress{store: s, note: note, runs: len(runs)}
	queue := make(chan run)
	var workers sync.WaitGroup
	for range p.jobs {
		workers.Go(func() {
			b := open()
			defer b.close()
			for r := range queue {
				rows, err := p.one(b, r)
				log.finish(r, rows, err)
			}
		})
	}
	feed(ctx, queue, runs)
	workers.Wait()
	return errors.Join(append(log.failures, context.Cause(ctx))...)
}

// progress keeps the rows of runs as they end.
type progress struct {
	lock       sync.Mutex
	store      *store
	note       io.Writer
	runs, done int
	failed     int
	failures   []error // the first ones
}

const (
	notes         = 20 // of progress in all
	shownFailures = 10
)

func (l *progress) finish(r run, rows []row, err error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.done++
	if err == nil {
		err = l.store.add(rows)
	}
	if err != nil {
		l.failed++
		if l.failed <= shownFailures {
			l.failures = append(l.failures, fmt.Errorf("%s on %s, seed %d, %d in parallel: %w", r.optimiser, r.problem, r.seed, r.parallel, err))
		}
	}
	if l.done%(l.runs/notes+1) == 0 || l.done == l.runs {
		fmt.Fprintf(l.note, "%d of %d runs, %d failed\n", l.done, l.runs, l.failed)
	}
}

func feed(ctx context.Context, queue chan<- run, runs []run) {
	defer close(queue)
	for _, r := range runs {
		select {
		case queue <- r:
		case <-ctx.Done():
			return
		}
	}
}

func (p *plan) one(b *builder, r run) ([]row, error) {
	i := slices.IndexFunc(p.problems, func(q *problem.Problem) bool { return q.Name == r.problem })
	o, err := b.build(r, p.problems[i])
	if err != nil {
		return nil, err
	}
	t, err := execute(r, p.problems[i], o)
	if err != nil {
		return nil, err
	}
	return p.rowsOf(r, t, p.problems[i]), nil
}
