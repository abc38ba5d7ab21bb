// Package bench measures a worker beside its floor: the same traffic without decoding or deciding.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
)

// Options say how much to measure.
type Options struct {
	Events int  // per run of a throughput measure
	Rounds int  // of worker and floor in turn; the median is quoted
	Pings  int  // single reports for the latency of an idle worker
	JSON   bool // one object instead of a table
}

// Result is one figure beside its floor, both medians over the rounds.
type Result struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Worker float64 `json:"worker"`
	Floor  float64 `json:"floor,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"` // median of the rounds' ratios
	Lowest float64 `json:"lowest_ratio,omitempty"`
	Most   float64 `json:"highest_ratio,omitempty"`
	What   string  `json:"floor_is,omitempty"`
}

// Run measures throughput and latency of a worker in this process on the NATS
// that open connects to, beside the floor: the same traffic without decoding or
// deciding. Each run has a prefix of its own, which is removed afterwards.
func Run(ctx context.Context, open func(prefix string) (*bus.Bus, error), o Options, out io.Writer) error {
	b := &run{ctx: ctx, open: open, options: o, note: func(format string, args ...any) {}}
	if !o.JSON {
		b.note = func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	}
	var results []Result
	for _, measure := range []func() ([]Result, error){b.tuning, b.monitoring, b.latency} {
		r, err := measure()
		if err != nil {
			return err
		}
		results = append(results, r...)
	}
	if o.JSON {
		return json.NewEncoder(out).Encode(results)
	}
	printBench(out, results)
	return nil
}

func printBench(out io.Writer, results []Result) {
	fmt.Fprintf(out, "\n%-44s %12s %12s %7s   %s\n", "", "worker", "floor", "ratio", "the floor is")
	for _, r := range results {
		floor, ratio := "", ""
		if r.Floor > 0 {
			floor, ratio = fmt.Sprintf("%.4g", r.Floor), fmt.Sprintf("%.2f", r.Ratio)
		}
		fmt.Fprintf(out, "%-44s %12.4g %12s %7s   %s\n", r.Name+" ("+r.Unit+")", r.Worker, floor, ratio, r.What)
	}
}

type run struct {
	ctx     context.Context
	open    func(prefix string) (*bus.Bus, error)
	options Options
	note    func(string, ...any)
}

// ground is a fresh prefix on the server, removed by done.
func (b *run) ground() (bus *bus.Bus, done func(), err error) {
	bus, err = b.open("retune-bench-" + nuid.Next())
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 20*time.Second)
		defer cancel()
		_ = bus.Destroy(ctx)
		bus.Close()
	}
	if err := bus.Provision(b.ctx); err != nil {
		done()
		return nil, nil, err
	}
	return bus, done, nil
}

// tuning compares a worker that answers every report with a commit loop that
// stores as many and as large messages per report.
func (b *run) tuning() ([]Result, error) {
	const models = 1000
	b.note("tuning: %d reports of %d models, each answered by a config; %d rounds", b.options.Events, models, b.options.Rounds)
	return b.compare("tuning events, 1,000 models", "the same reads and atomic commits, nothing decoded or decided", models, true, floorCommits)
}

// monitoring compares a worker that monitors with reading the partitions.
func (b *run) monitoring() ([]Result, error) {
	var all []Result
	for _, models := range []int{1000, 100_000} {
		b.note("monitoring: %d reports of %d models; %d rounds", 4*b.options.Events, models, b.options.Rounds)
		r, err := b.compare(fmt.Sprintf("monitored events, %s models", grouped(models)), "reading the partitions", models, false, floorReads)
		if err != nil {
			return nil, err
		}
		all = append(all, r...)
	}
	return all, nil
}

func grouped(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }

type floor func(ctx context.Context, b *bus.Bus, last []uint64) error

// compare runs worker and floor in turn over the same recorded reports.
func (b *run) compare(name, what string, models int, tuned bool, floor floor) ([]Result, error) {
	events := b.options.Events
	if !tuned {
		events *= 4
	}
	var worker, base, ratios, heap []float64
	for round := range b.options.Rounds {
		var w, f, perModel float64
		runs := []func() error{
			func() (err error) {
				f, err = b.timed(models, events, tuned, func(g *bus.Bus, last []uint64) error { return floor(b.ctx, g, last) })
				return err
			},
			func() (err error) {
				before := heapInUse()
				w, err = b.timed(models, events, tuned, func(g *bus.Bus, last []uint64) error {
					return b.work(g, tuned, last, func() { perModel = (heapInUse() - before) / float64(models) })
				})
				return err
			},
		}
		if round%2 == 1 {
			slices.Reverse(runs) // a machine that slows down or speeds up favours neither
		}
		for _, run := range runs {
			if err := run(); err != nil {
				return nil, err
			}
		}
		worker, base, ratios = append(worker, w), append(base, f), append(ratios, w/f)
		heap = append(heap, perModel)
		b.note("  worker %.0f/s, floor %.0f/s, ratio %.2f", w, f, w/f)
	}
	results := []Result{{
		Name: name, Unit: "events/s", Worker: median(worker), Floor: median(base), Ratio: median(ratios),
		Lowest: slices.Min(ratios), Most: slices.Max(ratios), What: what,
	}}
	if !tuned && models >= 100_000 {
		results = append(results, Result{Name: "heap per monitored model", Unit: "bytes", Worker: median(heap)})
	}
	return results, nil
}

// timed publishes reports and returns how many a second run applies.
func (b *run) timed(models, events int, tuned bool, run func(g *bus.Bus, last []uint64) error) (float64, error) {
	g, done, err := b.ground()
	if err != nil {
		return 0, err
	}
	defer done()
	names := g.Settings().Subjects
	if err := publish(b.ctx, g, events, func(i int) (string, []byte) {
		return names.Metrics(fmt.Sprintf("model-%d", i%models)), report(i, tuned)
	}); err != nil {
		return 0, err
	}
	last, err := g.LastInputs(b.ctx)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := run(g, last); err != nil {
		return 0, err
	}
	return float64(events) / time.Since(start).Seconds(), nil
}

// work runs a worker until every partition has applied its last input.
func (b *run) work(g *bus.Bus, tuned bool, last []uint64, applied func()) error {
	c, err := config(tuned)
	if err != nil {
		return err
	}
	w := coordinator.New(g, c, coordinator.NewMetrics(prometheus.NewRegistry()), zerolog.Nop())
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for {
		select {
		case err := <-done:
			done <- nil
			return errors.Join(errors.New("the worker ended early"), err)
		case <-time.After(5 * time.Millisecond):
		}
		if w.Applied(last) {
			applied()
			return nil
		}
	}
}

func heapInUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func median(x []float64) float64 { return quantile(x, 0.5) }

func quantile(x []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}
