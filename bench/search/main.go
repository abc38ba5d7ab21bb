// Command search compares the strategies of this project with each other and with Optuna's samplers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"

	"github.com/alecthomas/kong"
)

// options are the flags.
type options struct {
	Strategies []string    `default:"auto,tpe,gp,cmaes,sobol,random" help:"Strategies of this project, or none; options follow a name as in tpe:candidates=48."`
	Samplers   []string    `help:"Optuna's samplers to compare with: tpe, tpe-multivariate, gp, cmaes, cmaes-margin, qmc, random."`
	Problems   []string    `default:"all" help:"Names of problems, or all, functions, tables, trainings."`
	Budget     []int       `default:"30,100,300" help:"Numbers of trials."`
	Parallel   []int       `default:"1,8" help:"Trials at once."`
	Seeds      int         `default:"10" help:"Runs of each optimiser on each problem."`
	SeedsAt    map[int]int `help:"Fewer runs at a budget, as in 300=5." placeholder:"BUDGET=SEEDS"`
	Jobs       int         `default:"${cpus}" help:"Runs at a time."`
	Python     string      `default:"python3" env:"RETUNE_PYTHON" help:"Python with Optuna, and with scikit-learn for the trainings."`
	Data       string      `default:"../shared/data" help:"Folder of the tables."`
	Out        string      `help:"Folder for runs.csv, which is taken up again, summary.csv and plot.svg." placeholder:"DIR"`
	Refresh    []string    `help:"Optimisers whose rows are dropped and run anew."`
	Report     bool        `help:"Run nothing, report what --out holds."`
	Speed      bool        `help:"Time suggestions beside Optuna's instead."`
	Pruning    bool        `help:"Compare pruners on learning curves instead."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	kong.Parse(&o, kong.Name("search"), kong.Vars{"cpus": fmt.Sprint(runtime.NumCPU())},
		kong.Description("Compares the strategies of this project with each other and with Optuna's samplers."))
	if err := o.run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "search:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context, out, note io.Writer) error {
	if o.Speed {
		return o.speed(out, note)
	}
	if o.Pruning {
		return o.pruning(out, note)
	}
	c, err := o.catalogue(note)
	if err != nil {
		return err
	}
	defer c.close()
	p, err := o.plan(c)
	if err != nil {
		return err
	}
	s, err := openStore(o.Out)
	if err != nil {
		return err
	}
	if err := s.drop(o.Refresh); err != nil {
		return err
	}
	if !o.Report {
		err = p.execute(ctx, s, o.available(p.optimisers, note), func() *builder { return &builder{python: o.Python} }, note)
	}
	v, failure := newView(p, s)
	if failure != nil {
		return errors.Join(err, failure)
	}
	return errors.Join(err, writeReport(out, v, o.Out))
}

// plan refuses what is no problem or no strategy before anything runs.
func (o *options) plan(c *catalogue) (*plan, error) {
	problems, err := c.pick(o.Problems)
	if err != nil {
		return nil, err
	}
	optimisers := slices.DeleteFunc(slices.Clone(o.Strategies), func(name string) bool { return name == "none" })
	for _, name := range optimisers {
		if _, err := newOurs(name, problems[0], run{}); err != nil {
			return nil, fmt.Errorf("--strategies: %s: %w", name, err)
		}
	}
	for _, sampler := range o.Samplers {
		optimisers = append(optimisers, optunaPrefix+sampler)
	}
	return &plan{problems, optimisers, slices.Sorted(slices.Values(o.Budget)), o.Parallel, o.Seeds, o.SeedsAt, o.Jobs}, nil
}
