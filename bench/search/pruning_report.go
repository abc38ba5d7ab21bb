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

// pruningMeasures are the figures of a study.
var pruningMeasures = []struct {
	name string
	of   func(pruningResult) float64
}{
	{"share_of_steps", func(r pruningResult) float64 { return float64(r.Used) / float64(r.set.fullSteps()) }},
	{"regret", func(r pruningResult) float64 { return r.set.regret(r.Best) }},
	{"within_tolerance", func(r pruningResult) float64 {
		if r.set.within(r.Best) {
			return 1
		}
		return 0
	}},
	{"seconds_per_decision", func(r pruningResult) float64 { return r.Seconds }},
}

// pruningReport prints the comparison and keeps each figure for the summary.
type pruningReport struct {
	out     io.Writer
	names   []string // of the pruners
	sets    []*curveSet
	results []pruningResult
	summary [][]string
}

// writePruning prints the comparison, and puts pruning.csv and pruning_summary.csv into the folder
// unless it is "".
func writePruning(out io.Writer, folder string, sets []*curveSet, names []string, results []pruningResult) error {
	r := &pruningReport{out, names, sets, results, [][]string{{"parallel", "set", "pruner", "measure", "mean", "low", "high", "n"}}}
	var parallel []int
	for _, result := range results {
		parallel = append(parallel, result.parallel)
	}
	slices.Sort(parallel)
	for _, p := range slices.Compact(parallel) {
		r.overview(p)
		for _, s := range sets {
			r.detail(p, s)
		}
	}
	if folder == "" {
		return nil
	}
	return errors.Join(os.MkdirAll(folder, 0o755), r.writeCSV(folder, "pruning.csv", pruningLines(results)),
		r.writeCSV(folder, "pruning_summary.csv", r.summary))
}

func (r *pruningReport) overview(parallel int) {
	fmt.Fprintf(r.out, "\n=== %d in parallel: means over sets of curves × seeds, 95 %% intervals over the %d sets\n", parallel, len(r.sets))
	r.table(parallel, "all", r.results)
}

func (r *pruningReport) detail(parallel int, s *curveSet) {
	final := s.final()
	fmt.Fprintf(r.out, "\n%d in parallel, %s: %d configs × %d steps, best %.4g, median %.4g\n",
		parallel, s.Name, len(s.Curves), len(s.Steps), final[0], final[len(final)/2])
	r.table(parallel, s.Name, slices.DeleteFunc(slices.Clone(r.results), func(x pruningResult) bool { return x.set != s }))
}

func (r *pruningReport) table(parallel int, set string, results []pruningResult) {
	t := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "pruner\tshare of steps\t\tregret\t\twithin tolerance\tdecision\t")
	for _, name := range r.names {
		figures := make([]estimate, len(pruningMeasures))
		for i, measure := range pruningMeasures {
			var sets []string
			var column []float64
			for _, x := range results {
				if x.pruner == name && x.parallel == parallel {
					sets, column = append(sets, x.set.Name), append(column, measure.of(x))
				}
			}
			if figures[i] = bootstrap(column); set == "all" {
				figures[i] = clusterBootstrap(byProblem(sets, column))
			}
			r.note(parallel, set, name, measure.name, figures[i])
		}
		share, regret, within, seconds := figures[0], figures[1], figures[2], figures[3]
		if share.n == 0 {
			continue
		}
		fmt.Fprintf(t, "%s\t%.3f\t%.3f … %.3f\t%.4f\t%.4f … %.4f\t%.0f %%\t%.0f µs\t\n", name, share.mean, share.low, share.high,
			regret.mean, regret.low, regret.high, 100*within.mean, 1e6*seconds.mean)
	}
	t.Flush()
}

func (r *pruningReport) note(parallel int, set, pruner, measure string, e estimate) {
	line := []string{strconv.Itoa(parallel), set, pruner, measure}
	for _, x := range []float64{e.mean, e.low, e.high} {
		line = append(line, strconv.FormatFloat(x, 'g', 6, 64))
	}
	r.summary = append(r.summary, append(line, strconv.Itoa(e.n)))
}

// pruningLines has one study a line; best is empty where no trial was complete.
func pruningLines(results []pruningResult) [][]string {
	header := []string{"set", "pruner", "parallel", "seed", "steps", "best"}
	for _, measure := range pruningMeasures {
		header = append(header, measure.name)
	}
	lines := [][]string{header}
	for _, r := range results {
		line := []string{r.set.Name, r.pruner, strconv.Itoa(r.parallel), strconv.Itoa(r.seed), strconv.Itoa(r.Used), ""}
		if r.Best != nil {
			line[5] = strconv.FormatFloat(*r.Best, 'g', -1, 64)
		}
		for _, measure := range pruningMeasures {
			line = append(line, strconv.FormatFloat(measure.of(r), 'g', 6, 64))
		}
		lines = append(lines, line)
	}
	return lines
}

func (r *pruningReport) writeCSV(folder, name string, lines [][]string) error {
	return writeFile(filepath.Join(folder, name), func(w io.Writer) error { return csv.NewWriter(w).WriteAll(lines) })
}
