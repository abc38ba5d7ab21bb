package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/demo"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// DemoOptions say how a demo runs and where it shows itself.
type DemoOptions struct {
	Seed uint64         // of the streams and the searches
	Pace time.Duration  // at least so long between two reports of a model
	Out  io.Writer      // for the summary, and for the news unless Screen is set
	JSON bool           // nothing but the summary, as JSON
	Live *demo.Terminal // redraw in place here; nil: lines on Out
	Log  zerolog.Logger
}

// demoSettings are small: all of it goes when the demo ends.
var demoSettings = bus.Settings{
	Subjects: wire.Subjects{Prefix: "retune"}, Partitions: 4, Replicas: 1,
	InputAge: time.Hour, InputBytes: 64 << 20, BucketBytes: 64 << 20, Lease: 5 * time.Second,
}

const demoStoreBytes = 256 << 20

// RunDemo shows the whole loop: it starts a NATS server in a temporary folder, a
// worker and three trainers, whose streams drift, sums up what happened, and
// leaves nothing behind. Cancelled, it stops in the middle and returns why.
func RunDemo(ctx context.Context, o DemoOptions) (err error) {
	folder, err := os.MkdirTemp("", "retune-demo-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w: set TMPDIR to a folder that can be written", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	server, err := bus.StartEmbedded(folder, 0, demoStoreBytes)
	if err != nil {
		return err
	}
	defer server.Close()
	stopWorker, failed, err := startDemoWorker(ctx, server.URL(), o.Log)
	if err != nil {
		return err
	}
	defer stopWorker()
	trainers, err := bus.Open(bus.Connection{Name: "retune demo trainers", URL: server.URL()}, demoSettings, o.Log)
	if err != nil {
		return err
	}
	defer trainers.Close()
	board, err := runDemo(ctx, trainers, failed, o)
	if err != nil {
		return err
	}
	return o.conclude(board)
}

// startDemoWorker runs a worker until ctx ends or stop is called, which waits for
// it. What ends it before comes through failed.
func startDemoWorker(ctx context.Context, url string, log zerolog.Logger) (stop func(), failed <-chan error, err error) {
	config, err := demoConfig()
	if err != nil {
		return nil, nil, err
	}
	b, err := bus.Open(bus.Connection{Name: "retune demo worker", URL: url}, demoSettings, log)
	if err != nil {
		return nil, nil, err
	}
	if err := b.Provision(ctx); err != nil {
		b.Close()
		return nil, nil, err
	}
	worker := coordinator.New(b, config, coordinator.NewMetrics(prometheus.NewRegistry()), log)
	ctx, cancel := context.WithCancel(ctx)
	ended, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		ended <- worker.Run(ctx)
	}()
	return func() { cancel(); <-done; b.Close() }, ended, nil
}

// The monitor of the demo: the share of wrong predictions in the latest batches
// varies by some 6 % of itself, so that 30 % is out of reach of chance.
const (
	demoMetric    = "error"
	demoWindow    = 12
	demoThreshold = 0.30
)

func demoConfig() (coordinator.Config, error) {
	space, err := strategy.ParseSpace(demo.Space())
	if err != nil {
		return coordinator.Config{}, err
	}
	explore, err := strategy.New("explore", map[string]any{"rate": 0.4, "relative": true}, space)
	if err != nil {
		return coordinator.Config{}, err
	}
	monitor, err := observer.New(observer.Policy{Rules: []observer.Spec{{
		Metric: demoMetric, Detector: "rolling_mean",
		Options: map[string]any{"window": demoWindow, "threshold": demoThreshold},
	}}})
	return coordinator.Config{
		Policies:  []coordinator.Policy{{Match: "*", Tuner: &coordinator.Tuner{Name: "explore", Strategy: explore}, Monitor: monitor}},
		MaxModels: 100, CachedModels: 100, Version: "demo", Hash: "demo",
	}, err
}

// demoReports of each model tell the story.
const demoReports = 96

// demoModels are one that drifts abruptly, one that drifts gradually, and one that
// must not alarm. They start from a config that is cautious but not absurd.
func demoModels(seed uint64, board *demo.Board) []*demoModel {
	random := func(i uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, i)) }
	start := demo.Config{LearningRate: 0.002, L2: 0.001}
	model := func(name, about string, stream demo.Stream, driftAt int) *demoModel {
		return &demoModel{
			name: name, trainer: demo.NewTrainer(stream, start), track: board.Add(name, about, start),
			driftAt: driftAt, seed: seed, sent: map[uint64]int{},
		}
	}
	return []*demoModel{
		model("sea", "SEA concepts, abrupt drift", demo.NewSEA(random(0), 2), 26),
		model("hyperplane", "rotating hyperplane, gradual drift", demo.NewHyperplane(random(1)), 41),
		model("control", "SEA concepts, no drift", demo.NewSEA(random(2), 0), 0),
	}
}

func runDemo(ctx context.Context, b *bus.Bus, failed <-chan error, o DemoOptions) (board *demo.Board, err error) {
	board = &demo.Board{Reports: demoReports}
	outputs, err := b.Watch(ctx, []string{demoSettings.Subjects.Prefix + ".>"}, time.Time{})
	if err != nil {
		return nil, err
	}
	view := o.view()
	defer func() { err = errors.Join(err, view.Close()) }()
	received, stop := receive(ctx, outputs)
	defer stop()
	d := &demoLoop{
		bus: b, models: demoModels(o.Seed, board), board: board, view: view, pace: o.Pace,
		received: received, failed: failed,
	}
	return board, d.run(ctx)
}

// receive passes outputs on until stop is called, which waits for its end.
func receive(ctx context.Context, outputs *bus.Outputs) (received <-chan bus.Output, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	passed, done := make(chan bus.Output), make(chan struct{})
	go func() {
		defer close(done)
		for {
			output, err := outputs.Next(ctx)
			if err != nil {
				return
			}
			select {
			case passed <- output:
			case <-ctx.Done():
				return
			}
		}
	}()
	return passed, func() { cancel(); outputs.Close(); <-done }
}

func (o DemoOptions) view() demo.View {
	switch {
	case o.JSON:
		return demo.NoView{}
	case o.Live != nil:
		return demo.NewScreen(*o.Live)
	}
	return demo.NewLines(o.Out)
}

const demoNext = `
next:
  worker run        a worker of your own, with NATS inside, on 127.0.0.1:4222
  worker publish    send it your models' reports, from JSON Lines or CSV
  worker watch      see the configs and retrain events that come of them
`

func (o DemoOptions) conclude(board *demo.Board) error {
	summary := board.Summary(o.Seed)
	if o.JSON {
		encoder := json.NewEncoder(o.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(summary)
	}
	if _, err := io.WriteString(o.Out, "\n"); err != nil {
		return err
	}
	if err := summary.Write(o.Out); err != nil {
		return err
	}
	_, err := io.WriteString(o.Out, demoNext)
	return err
}
