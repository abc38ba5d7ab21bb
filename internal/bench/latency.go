package bench

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/wire"
)

// latency measures single reports to an idle worker, each beside one small commit.
func (b *run) latency() ([]Result, error) {
	b.note("latency: %d single reports, each beside one small commit", b.options.Pings)
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
	names := g.Settings().Subjects
	came := make(chan struct{}, 1)
	stop, err := g.Listen(names.LiveConfig("ping"), func(string, []byte) { came <- struct{}{} })
	if err != nil {
		return nil, err
	}
	defer stop()
	committer, err := g.NewCommitter(ctx, 1, nil)
	if err != nil {
		return nil, err
	}
	var answers, commits []float64
	var fence uint64
	for i := range b.options.Pings + 20 {
		start := time.Now()
		if _, err := g.Publish(ctx, names.Metrics("ping"), wire.Msgpack.ContentType(), report(i, true)); err != nil {
			return nil, err
		}
		select {
		case <-came:
		case <-time.After(10 * time.Second):
			return nil, errors.New("no config came within 10 s")
		}
		answer := time.Since(start)
		start = time.Now()
		// A partition that the worker has not: the same messages, another fence.
		fence, err = committer.Commit(ctx, bus.Commit{Partition: 1 << 20, Fence: fence, Offset: floorState[:100], Writes: []bus.Write{
			g.Output(names.LiveConfig("floor"), floorConfig, floorHeader, 0), g.State("model.1048576.x", floorState, 0)}})
		if err != nil {
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
	return []Result{result("idle latency, report to config, p50", 0.5), result("idle latency, report to config, p99", 0.99)}, nil
}
