package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
)

// report writes text, and keeps each figure for the summary.
type report struct {
	view    *view
	out     io.Writer
	summary [][]string
}

var summaryHeader = []string{"budget", "parallel", "group", "measure", "problem", "optimiser", "value", "low", "high", "n"}

// writeReport prints the comparison, and puts summary.csv and plot.svg into the folder unless it is "".
func writeReport(out io.Writer, v *view, folder string) error {
	r := &report{view: v, out: out, summary: [][]string{summaryHeader}}
	for _, budget := range v.budgets {
		for _, parallel := range v.parallel {
			r.cell(cell{parallel, budget})
		}
	}
	if folder == "" {
		return nil
	}
	return errors.Join(
		writeFile(filepath.Join(folder, "summary.csv"), func(w io.Writer) error { return csv.NewWriter(w).WriteAll(r.summary) }),
		writeFile(filepath.Join(folder, "plot.svg"), func(w io.Writer) error { return writePlot(w, v) }),
	)
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

func (r *report) cell(c cell) {
	optimisers := r.view.present(c, r.view.optimisers)
	if len(optimisers) == 0 {
		return
	}
	fmt.Fprintf(r.out, "\n=== %s\n", c)
	for _, g := range groups(optimisers) {
		r.ranking(c, g)
	}
	r.differences(c, pairs(optimisers))
	r.medians(c, optimisers)
}

// ranking compares the optimisers of a group where each of them has a result.
func (r *report) ranking(c cell, g group) {
	blocks := r.view.blocks(c, g.optimisers)
	fmt.Fprintf(r.out, "\n%s: mean rank over %d problems × seeds with 95 %% interval over problems, mean log10 regret, seconds per suggestion\n", g.name, len(blocks))
	t := r.table()
	for i, o := range g.optimisers {
		problems, places := column(blocks, func(regrets []float64) float64 { return ranks(regrets)[i] })
		_, logs := column(blocks, func(regrets []float64) float64 { return logRegret(regrets[i]) })
		rank, log := clusterBootstrap(byProblem(problems, places)), clusterBootstrap(byProblem(problems, logs))
		seconds := r.medianSeconds(c, o)
		fmt.Fprintf(t, "%s\t%.2f\t%.2f … %.2f\t%.3f\t%.2g\t\n", o, rank.mean, rank.low, rank.high, log.mean, seconds)
		r.note(c, g.name, "mean_rank", "", o, rank)
		r.note(c, g.name, "mean_log10_regret", "", o, log)
		if g.name == "all" {
			r.note(c, "", "median_seconds", "", o, estimate{mean: seconds})
		}
	}
	t.Flush()
}

func (r *report) medianSeconds(c cell, optimiser string) float64 {
	var all []float64
	for key, seconds := range r.view.seconds {
		if key.optimiser == optimiser && key.parallel == c.parallel && key.budget == c.budget {
			all = append(all, seconds)
		}
	}
	return median(all)
}

// differences of namesakes on the same problem with the same seed; below 0 ours is better.
func (r *report) differences(c cell, pairs [][]string) {
	if len(pairs) == 0 {
		return
	}
	fmt.Fprintf(r.out, "\nours − Optuna's, mean log10 regret (at least %g): 95 %% interval over problems × seeds, and over problems\n", smallestRegret)
	t := r.table()
	for _, pair := range pairs {
		problems, values := column(r.view.blocks(c, pair), func(regrets []float64) float64 {
			return logRegret(regrets[0]) - logRegret(regrets[1])
		})
		each, clustered := bootstrap(values), clusterBootstrap(byProblem(problems, values))
		fmt.Fprintf(t, "%s − %s\t%+.3f\t%+.3f … %+.3f\t%+.3f … %+.3f\t(%d)\t\n", pair[0], pair[1], each.mean, each.low, each.high, clustered.low, clustered.high, each.n)
		r.note(c, pair[1], "log10_difference", "", pair[0], each)
		r.note(c, pair[1], "log10_difference_by_problem", "", pair[0], clustered)
	}
	t.Flush()
}

func (r *report) medians(c cell, optimisers []string) {
	fmt.Fprintln(r.out, "\nmedian normalised regret: 0 the optimum, 1 the median of the space")
	t := r.table()
	fmt.Fprint(t, "\t")
	for _, o := range optimisers {
		fmt.Fprint(t, o, "\t")
	}
	fmt.Fprintln(t)
	for _, name := range r.view.problems {
		r.problemMedians(t, c, name, optimisers)
	}
	t.Flush()
}

func (r *report) problemMedians(t io.Writer, c cell, name string, optimisers []string) {
	fmt.Fprint(t, name, "\t")
	for _, o := range optimisers {
		var all []float64
		for seed := range r.view.seeds {
			if regret, ok := r.view.regrets[run{name, o, c.parallel, c.budget, seed}]; ok {
				all = append(all, regret)
			}
		}
		if len(all) == 0 {
			fmt.Fprint(t, "-\t")
			continue
		}
		fmt.Fprintf(t, "%.2g\t", median(all))
		r.note(c, "", "median_regret", name, o, estimate{mean: median(all), low: slices.Min(all), high: slices.Max(all), n: len(all)})
	}
	fmt.Fprintln(t)
}

func (r *report) table() *tabwriter.Writer {
	return tabwriter.NewWriter(r.out, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func (r *report) note(c cell, group, measure, problem, optimiser string, e estimate) {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', 5, 64) }
	r.summary = append(r.summary, []string{
		strconv.Itoa(c.budget), strconv.Itoa(c.parallel), group, measure, problem, optimiser,
		number(e.mean), number(e.low), number(e.high), strconv.Itoa(e.n),
	})
}
