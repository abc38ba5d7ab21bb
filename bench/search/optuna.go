package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/strategy"
)

//go:embed optuna.py
var optunaScript string

// optunaPrefix tells Optuna's samplers from our strategies.
const optunaPrefix = "optuna-"

// newStudy is the request that begins a run of a sampler.
type newStudy struct {
	Op      string         `json:"op"`
	Sampler string         `json:"sampler"`
	Seed    uint64         `json:"seed"`
	Goal    string         `json:"goal"`
	Space   map[string]any `json:"space"`
	History []knownTrial   `json:"history,omitempty"`
}

type knownTrial struct {
	Config map[string]any `json:"config"`
	Value  float64        `json:"value"`
}

// optuna is a run of one of Optuna's samplers in a Python process.
type optuna struct {
	process *problem.Process
	space   *strategy.Space
}

func newOptuna(process *problem.Process, sampler string, p *problem.Problem, seed uint64, history []knownTrial) (*optuna, error) {
	request := newStudy{"new", sampler, seed, p.Goal.String(), p.Tree, history}
	return &optuna{process, p.Space}, process.Call(request, &struct{}{})
}

// ask times the suggestion within Python: the pipe is not Optuna's.
func (o *optuna) ask() (map[string]any, time.Duration, error) {
	var answer struct {
		Config  json.RawMessage
		Seconds float64
	}
	if err := o.process.Call(map[string]string{"op": "ask"}, &answer); err != nil {
		return nil, 0, err
	}
	config, err := decodeConfig(answer.Config)
	if err == nil {
		err = o.space.Check(config)
	}
	return o.space.Clamp(config), time.Duration(answer.Seconds * float64(time.Second)), err
}

func (o *optuna) tell(trial int, value float64) error {
	request := struct {
		Op    string  `json:"op"`
		Trial int     `json:"trial"`
		Value float64 `json:"value"`
	}{"tell", trial, value}
	return o.process.Call(request, &struct{}{})
}

// decodeConfig reads whole numbers as int64, others as float64.
func decodeConfig(text []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var config map[string]any
	if err := decoder.Decode(&config); err != nil {
		return nil, err
	}
	for name, v := range config {
		text, ok := v.(json.Number)
		if !ok {
			continue
		}
		if i, err := text.Int64(); err == nil {
			config[name] = i
			continue
		}
		f, err := text.Float64()
		if err != nil {
			return nil, err
		}
		config[name] = f
	}
	return config, nil
}

// available returns the optimisers that can run here, and notes why the others cannot. Each sampler is
// tried on a small space.
func (o *options) available(optimisers []string, note io.Writer) []string {
	foreign := func(name string) bool { return strings.HasPrefix(name, optunaPrefix) }
	if !slices.ContainsFunc(optimisers, foreign) {
		return optimisers
	}
	process, err := problem.Start(o.Python, optunaScript)
	if err != nil {
		fmt.Fprintf(note, "no Optuna, its samplers are left out: %v\n", err)
		return slices.DeleteFunc(slices.Clone(optimisers), foreign)
	}
	defer process.Close()
	space := map[string]any{"x": map[string]any{"type": "float", "low": 0, "high": 1}}
	return slices.DeleteFunc(slices.Clone(optimisers), func(name string) bool {
		sampler, foreign := strings.CutPrefix(name, optunaPrefix)
		if !foreign {
			return false
		}
		err := process.Call(newStudy{Op: "new", Sampler: sampler, Goal: "minimize", Space: space}, &struct{}{})
		if err != nil {
			fmt.Fprintf(note, "%s is left out: %v\n", name, err)
		}
		return err != nil
	})
}

// builder makes the optimisers of one worker, one run at a time. It starts a Python process when it
// first needs one.
type builder struct {
	python  string
	process *problem.Process
}

func (b *builder) build(r run, p *problem.Problem) (optimiser, error) {
	sampler, foreign := strings.CutPrefix(r.optimiser, optunaPrefix)
	if !foreign {
		return newOurs(r.optimiser, p, r)
	}
	if b.process == nil {
		var err error
		if b.process, err = problem.Start(b.python, optunaScript); err != nil {
			return nil, err
		}
	}
	return newOptuna(b.process, sampler, p, p.Seed(r.seed), nil)
}

func (b *builder) close() {
	if b.process != nil {
		_ = b.process.Close() // nothing is lost: every answer was read
	}
}
