package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/visutility/retune/bench/search/problem"
)

// catalogue holds the problems there are.
type catalogue struct {
	groups    map[string][]*problem.Problem // also each problem under its own name
	trainings *problem.Trainings            // nil: not needed, or no Python for them
}

// catalogue notes which problems are not to be had here.
func (o *options) catalogue(note io.Writer) (*catalogue, error) {
	tables, missing, err := problem.Tables(o.Data)
	if err != nil {
		return nil, err
	}
	for _, path := range missing {
		fmt.Fprintf(note, "no table %s: its problem is left out\n", path)
	}
	c := &catalogue{groups: map[string][]*problem.Problem{"functions": problem.Functions(), "tables": tables}}
	if o.wantTrainings(c) {
		if c.trainings, err = problem.OpenTrainings(o.Python); err != nil {
			fmt.Fprintf(note, "no scikit-learn, the trainings are left out: %v\n", err)
		} else {
			c.groups["trainings"] = c.trainings.Problems
		}
	}
	c.groups["all"] = slices.Concat(c.groups["functions"], tables, c.groups["trainings"])
	for _, p := range c.groups["all"] {
		c.groups[p.Name] = []*problem.Problem{p}
	}
	return c, nil
}

// wantTrainings: Python is started only where something else than functions and tables is asked for.
func (o *options) wantTrainings(c *catalogue) bool {
	return slices.ContainsFunc(o.Problems, func(name string) bool {
		return c.groups[name] == nil && !slices.ContainsFunc(slices.Concat(c.groups["functions"], c.groups["tables"]),
			func(p *problem.Problem) bool { return p.Name == name })
	})
}

func (c *catalogue) pick(names []string) ([]*problem.Problem, error) {
	var picked []*problem.Problem
	for _, name := range names {
		if c.groups[name] == nil {
			return nil, fmt.Errorf("--problems: %q is not a problem here: give all, functions, tables, trainings or some of %s",
				name, strings.Join(problemNames(c.groups["all"]), ", "))
		}
		for _, p := range c.groups[name] {
			if !slices.Contains(picked, p) {
				picked = append(picked, p)
			}
		}
	}
	return picked, nil
}

func (c *catalogue) close() {
	if c.trainings != nil {
		_ = c.trainings.Close() // nothing is lost: every answer was read
	}
}

func problemNames(problems []*problem.Problem) []string {
	names := make([]string, len(problems))
	for i, p := range problems {
		names[i] = p.Name
	}
	return names
}
