package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/wire"
)

// latency measures single reports to a worker, each beside one small commit: while
// the worker is idle, and while a study of a model in the same partition has it think.
func (b *run) latency() ([]Result, error) {
	b.note("latency: %d single reports, each beside one small commit; the same while a gp study runs", b.options.Pings)
	g, done, err := b.ground()
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := config(true)
	if err != nil {
		return nil, err
	}
	w := coordinator.New(g, c, coordinator.NewMetrics(prometheus.NewRegistry()), zerolog.Nop())
	ctx, cancel := context.WithCancel(b.ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	p, err := newPinger(ctx, g)
	if err != nil {
		return nil, err
	}
	defer p.close()
	idle, err := p.measure(b.options.Pings, "idle latency, report to config")
	if err != nil {
		return nil, err
	}
	thinking, err := startThinking(ctx, g)
	if err != nil {
		return nil, err
	}
	defer thinking.close()
	busy, err := p.measure(b.options.Pings, "the same beside a gp study")
	if err != nil {
		return nil, err
	}
	b.note("  %d suggestions of gp meanwhile", thinking.trials.Load())
	return append(idle, busy...), nil
}

// pinged is the model that single reports are of.
const pinged = "ping"

type pinger struct {
	ctx       context.Context
	bus       *bus.Bus
	came      chan struct{}
	close     func()
	committer *bus.Committer
	fence     uint64
}

func newPinger(ctx context.Context, g *bus.Bus) (*pinger, error) {
	p := &pinger{ctx: ctx, bus: g, came: make(chan struct{}, 1)}
	var err error
	if p.close, err = g.Listen(g.Settings().Subjects.LiveConfig(pinged), func(string, []byte) { p.came <- struct{}{} }); err != nil {
		return nil, err
	}
	p.committer, err = g.NewCommitter(ctx, 1, nil)
	return p, err
}

func (p *pinger) measure(n int, name string) ([]Result, error) {
	var answers, commits []float64
	for i := range n + 20 {
		start := time.Now()
		if err := p.ping(i); err != nil {
			return nil, err
		}
		answer := time.Since(start)
		start = time.Now()
		if err := p.commit(); err != nil {
			return nil, err
		}
		if i >= 20 {
			answers, commits = append(answers, answer.Seconds()*1e3), append(commits, time.Since(start).Seconds()*1e3)
		}
	}
	result := func(name string, q float64) Result {
		a, c := quantile(answers, q), quantile(commits, q)
		return Result{Name: name, Unit: "ms", Worker: a, Floor: c, Ratio: a / c, What: "one small atomic commit"}
	}
	return []Result{result(name+", p50", 0.5), result(name+", p99", 0.99)}, nil
}

func (p *pinger) ping(i int) error {
	if _, err := p.bus.Publish(p.ctx, p.bus.Settings().Subjects.Metrics(pinged), wire.Msgpack.ContentType(), report(i, true)); err != nil {
		return err
	}
	select {
	case <-p.came:
		return nil
	case <-time.After(10 * time.Second):
		return errors.New("no config came within 10 s")
	}
}

// commit stores the same messages as a report leads to in a partition that the
// worker has not, under another fence.
func (p *pinger) commit() (err error) {
	p.fence, err = p.committer.Commit(p.ctx, bus.Commit{Partition: 1 << 20, Fence: p.fence, Offset: floorState[:100], Writes: []bus.Write{
		p.bus.Output(p.bus.Settings().Subjects.LiveConfig("floor"), floorConfig, floorHeader, 0), p.bus.State("model.1048576.x", floorState, 0)}})
	return err
}

// neighbour is a model in the partition of another.
func neighbour(ctx context.Context, g *bus.Bus, model string) (string, error) {
	layout, err := g.Layout(ctx)
	if err != nil {
		return "", err
	}
	for i := 0; ; i++ {
		if name := fmt.Sprintf("study-%d", i); layout.Partition(name) == layout.Partition(model) {
			return name, nil
		}
	}
}
