package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/visutility/retune/bench/search/problem"
)

const (
	speedValues  = 20_000
	speedSeconds = 0.2 // of each round
	speedRounds  = 5
)

// speed times updates on one healthy stream, in one thread: ours through Monitor.Observe, with all that it does
// besides, River's in a loop within Python. They take turns; what counts is the median of the rounds.
func (o *options) speed(contenders []*contender, out io.Writer) error {
	var process *problem.Process
	if slices.ContainsFunc(contenders, func(c *contender) bool { return c.monitor == nil }) {
		var err error
		if process, err = problem.Start(o.Python, riverScript); err != nil {
			return err
		}
		defer process.Close()
	}
	rounds := make([][]float64, len(contenders))
	for range speedRounds {
		for i, c := range contenders {
			took, err := c.nanoseconds(process, o.speedStream(c))
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			rounds[i] = append(rounds[i], took)
		}
	}
	medians := map[string]float64{}
	for i, c := range contenders {
		medians[c.name] = medianInterval(rounds[i]).mean
	}
	fmt.Fprintf(out, "Time of an update, median of %d rounds of %v s each; ours with Monitor.Observe, River's without the pipe.\n", speedRounds, speedSeconds)
	t := table(out)
	fmt.Fprintln(t, "\tns\tRiver's ÷ ours\t")
	for _, c := range contenders {
		fmt.Fprintf(t, "%s\t%s\t", c.name, figure(medians[c.name]))
		if other, both := medians[riverPrefix+baseName(c.name)]; both && c.monitor != nil {
			fmt.Fprint(t, figure(other/medians[c.name]))
		}
		fmt.Fprintln(t, "\t")
	}
	return t.Flush()
}

// speedStream is binary for the detectors that need it, else Gaussian.
func (o *options) speedStream(c *contender) []float64 {
	i := slices.IndexFunc(kinds, func(k kind) bool { return c.judges(&k) })
	values := make([]float64, speedValues)
	generator{o.Mean, o.SD, o.Seed}.fill(values, &kinds[i], change{}, speedValues, 0)
	return values
}

func (c *contender) nanoseconds(process *problem.Process, values []float64) (float64, error) {
	if c.monitor == nil {
		return riverNanoseconds(process, baseName(c.name), values, speedSeconds)
	}
	w, updates := c.watch(), 0
	start := time.Now()
	for time.Since(start).Seconds() < speedSeconds {
		for _, value := range values[updates%speedValues:][:speedStep] {
			w.alarm(value)
		}
		updates += speedStep
	}
	return float64(time.Since(start)) / float64(updates), nil
}

// speedStep divides speedValues, and is many enough that looking at the clock costs nothing.
const speedStep = 200
