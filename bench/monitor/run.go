package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/visutility/retune/bench/search/problem"
)

// plan says what to run.
type plan struct {
	settings
	contenders []*contender
	kinds      []*kind
	changes    []change
	streams    int
	streamsAt  map[string]int // by name of the detector, where not all
	jobs       int
	python     string
}

func (o *options) plan(contenders []*contender) (*plan, error) {
	picked, err := o.pickKinds()
	if err != nil {
		return nil, err
	}
	changes, err := o.pickChanges()
	if err != nil {
		return nil, err
	}
	common := settings{o.Horizon, o.Healthy, o.Within, o.WarmUp, o.Mean, o.SD, o.Seed}
	return &plan{common, contenders, picked, changes, o.Streams, o.StreamsAt, o.Jobs, o.Python}, nil
}

// streamsOf is the number of streams that a detector judges.
func (p *plan) streamsOf(c *contender) int {
	if n, fewer := p.streamsAt[c.name]; fewer {
		return min(n, p.streams)
	}
	return p.streams
}

// block is some streams of one kind and change, which all detectors judge that still lack them.
type block struct {
	kind         *kind
	change       change
	first, count int
}

// blockStreams is how many streams a block has: a megabyte of healthy ones.
const blockStreams = 25

// execute runs what the store lacks, kind by kind, so that what is interrupted can be taken up.
func (p *plan) execute(ctx context.Context, s *store, note io.Writer) error {
	workers := make([]worker, p.jobs)
	for i := range workers {
		defer workers[i].close()
	}
	for _, k := range p.kinds {
		results := p.missing(s, k)
		if len(results) == 0 {
			continue
		}
		fmt.Fprintf(note, "%s: %d comparisons\n", k.name, len(results))
		if err := p.judge(ctx, workers, k, results); err != nil {
			return err
		}
		if err := s.add(p.tallies(k, results)); err != nil {
			return err
		}
	}
	return nil
}

// missing has room for the first alarms of each cell that the store lacks.
func (p *plan) missing(s *store, k *kind) map[cell][]int {
	results := map[cell][]int{}
	for _, c := range p.contenders {
		for _, change := range p.changes {
			at := cell{c.name, k.name, change.String()}
			if t, known := s.rows[at]; c.judges(k) && (!known || t.streams < p.streamsOf(c)) {
				results[at] = make([]int, p.streamsOf(c))
			}
		}
	}
	return results
}

// judge fills the results, a block by each worker at a time. It ends at the first error.
func (p *plan) judge(ctx context.Context, workers []worker, k *kind, results map[cell][]int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan block)
	var running sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		w.plan, w.results = p, results
		running.Go(func() {
			for b := range queue {
				if err := w.judge(b); err != nil {
					cancel(err)
				}
			}
		})
	}
	p.feed(ctx, queue, k)
	running.Wait()
	return context.Cause(ctx)
}

func (p *plan) feed(ctx context.Context, queue chan<- block, k *kind) {
	defer close(queue)
	for _, c := range p.changes {
		for first := 0; first < p.streams; first += blockStreams {
			select {
			case queue <- block{k, c, first, min(blockStreams, p.streams-first)}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// worker judges one block at a time. It starts a Python process when it first needs one.
type worker struct {
	plan    *plan
	results map[cell][]int
	process *problem.Process // nil: not needed yet
	values  []float64        // of the block
}

func (w *worker) judge(b block) error {
	rivers := map[string][]int{}
	length := 0
	for _, c := range w.plan.contenders {
		firsts := w.results[cell{c.name, b.kind.name, b.change.String()}]
		if b.first >= len(firsts) {
			continue
		}
		if length == 0 {
			length = w.fill(b)
		}
		firsts = firsts[b.first:min(b.first+b.count, len(firsts))]
		if c.monitor == nil {
			rivers[baseName(c.name)] = firsts
			continue
		}
		for i := range firsts {
			firsts[i] = c.first(w.values[i*length:][:length])
		}
	}
	if len(rivers) == 0 {
		return nil
	}
	return w.river(b, length, rivers)
}

// fill makes the streams of a block, one after another in w.values, and returns the length of one.
func (w *worker) fill(b block) (length int) {
	p := w.plan
	length, healthy := p.healthy+p.within, p.healthy
	if b.change.size == 0 {
		length, healthy = p.horizon, p.horizon
	}
	w.values = slices.Grow(w.values[:0], b.count*length)[:b.count*length]
	g := generator{p.mean, p.sd, p.seed}
	for i := range b.count {
		g.fill(w.values[i*length:][:length], b.kind, b.change, healthy, b.first+i)
	}
	return length
}

func (w *worker) river(b block, length int, firsts map[string][]int) (err error) {
	if w.process == nil {
		if w.process, err = problem.Start(w.plan.python, riverScript); err != nil {
			return err
		}
	}
	streams := make(map[string]int, len(firsts))
	for name := range firsts {
		streams[name] = len(firsts[name])
	}
	alarms, err := riverFirst(w.process, streams, w.values, length, b.first)
	for name := range firsts {
		copy(firsts[name], alarms[name])
	}
	return err
}

func (w *worker) close() {
	if w.process != nil {
		_ = w.process.Close() // nothing is lost: every answer was read
	}
}

// tallies are in the order of the plan.
func (p *plan) tallies(k *kind, results map[cell][]int) (all []tally) {
	for _, c := range p.contenders {
		for _, change := range p.changes {
			at := cell{c.name, k.name, change.String()}
			if firsts, judged := results[at]; judged {
				all = append(all, newTally(at, change.size == 0, firsts, p.settings))
			}
		}
	}
	return all
}
