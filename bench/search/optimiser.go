package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/visutility/retune/bench/search/problem"
	"github.com/visutility/retune/internal/strategy"
)

// optimiser proposes the configs of one run and learns what they were worth. It numbers its trials
// from 0. ask returns strategy.ErrExhausted when every config was proposed.
type optimiser interface {
	ask() (config map[string]any, took time.Duration, err error)
	tell(trial int, value float64) error
}

// ours runs a strategy of this project as a study does.
type ours struct {
	strategy strategy.Strategy
	request  strategy.Request
	latest   int // number of the latest complete trial, -1: none
}

// newOurs builds the named strategy; options follow the name as in tpe:candidates=48:liar=false.
func newOurs(name string, p *problem.Problem, r run) (*ours, error) {
	name, options, err := splitOptions(name)
	if err != nil {
		return nil, err
	}
	s, err := strategy.New(name, options, p.Space)
	if err != nil {
		return nil, err
	}
	request := strategy.Request{Seed: p.Seed(r.seed), Goal: p.Goal, MaxTrials: r.budget, Parallelism: r.parallel}
	return &ours{strategy: s, request: request, latest: -1}, nil
}

func splitOptions(text string) (name string, options map[string]any, err error) {
	name, rest, given := strings.Cut(text, ":")
	if !given {
		return name, nil, nil
	}
	options = map[string]any{}
	for _, option := range strings.Split(rest, ":") {
		key, text, _ := strings.Cut(option, "=")
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return "", nil, fmt.Errorf("strategy %s: %q is not option=value: %w", name, option, err)
		}
		options[key] = value
	}
	return name, options, nil
}

// ask gives the strategy a history of its own, so that what it may keep of it does not change.
func (o *ours) ask() (map[string]any, time.Duration, error) {
	r := o.request
	r.Number = len(r.History)
	r.Index = r.Number
	r.History = slices.Clone(r.History)
	if o.latest >= 0 {
		r.Base = r.History[o.latest].Config
	}
	start := time.Now()
	config, err := o.strategy.Suggest(r)
	took := time.Since(start)
	if err != nil {
		return nil, took, err
	}
	o.request.History = append(o.request.History, strategy.Trial{Number: r.Number, Config: config})
	return config, took, nil
}

func (o *ours) tell(trial int, value float64) error {
	t := &o.request.History[trial]
	t.Value, t.State = value, strategy.Complete
	o.latest = trial
	return nil
}
