package app

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
)

// WorkerOptions are what a worker is started with.
type WorkerOptions struct {
	Globals
	Config      Config // WithDefaults is applied
	Data        string // folder of the embedded server; default ./retune-data
	Port        int    // of the embedded server on 127.0.0.1; 0: any free one
	HTTP        string // host:port, goes before Config.HTTP
	AdoptInputs bool   // go on with an input stream that is not the one read before
	// Started, if set, is called once reports may be published.
	Started func(Addresses)

	free func(folder string) (uint64, error) // bytes of disk; default freeBytes
}

// Addresses are where a worker is to be reached.
type Addresses struct {
	NATS string // URL
	HTTP string // URL; "" when not served
}

// stopTimeout bounds a stop: whoever stopped us kills after 10 s.
const stopTimeout = 9500 * time.Millisecond

// RunWorker runs a worker until ctx ends, and then stops it within 10 s, which is no
// error. Without an address of NATS it runs an embedded server. An error is one
// that only the operator can mend.
func RunWorker(ctx context.Context, options WorkerOptions) error {
	options.Config = options.Config.WithDefaults()
	options.Data = cmp.Or(options.Data, "./retune-data")
	if err := cmp.Or(options.Config.validate(), within("--port", options.Port, 0, 65535)); err != nil {
		return &Misuse{err}
	}
	if err := options.checkAlone(); err != nil {
		return err
	}
	if options.free == nil {
		options.free = freeBytes
	}
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &worker{WorkerOptions: options, fail: func(err error) { cancel(failure{err}) }}
	ended := make(chan error, 1)
	go func() { ended <- w.run(running) }()
	select {
	case err := <-ended:
		return err
	case <-running.Done():
		w.Log.Info().Msg("stopping: finishing what is under way")
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(stopTimeout):
		return errors.New("the worker did not stop in time: what it had not committed is done again by the next one")
	}
}

// worker is one RunWorker.
type worker struct {
	WorkerOptions
	fail     func(error) // ends the worker with an error
	cleanups []cleanup   // last in, first out
	at       Addresses
}

type cleanup struct {
	name string
	run  func()
}

func (w *worker) onStop(name string, run func()) { w.cleanups = append(w.cleanups, cleanup{name, run}) }

func (w *worker) stop() {
	for len(w.cleanups) > 0 {
		last := w.cleanups[len(w.cleanups)-1]
		w.cleanups = w.cleanups[:len(w.cleanups)-1]
		start := time.Now()
		last.run()
		w.Log.Debug().Str("part", last.name).Dur("took", time.Since(start)).Msg("stopped")
	}
}

func (w *worker) run(ctx context.Context) error {
	defer w.stop()
	registry := newRegistry(w.Version)
	admin, err := w.startAdmin(registry)
	if err != nil {
		return err
	}
	b, err := w.join(ctx, registry)
	if ctx.Err() != nil {
		return why(ctx)
	}
	if err != nil {
		return err
	}
	config, err := w.Config.coordinator(w.Version, w.AdoptInputs)
	if err != nil {
		return err
	}
	if config.Tracer, err = w.startTracing(ctx); err != nil {
		return err
	}
	w.onStop("sinks", startSinks(b, w.Config.Sinks, registry, w.Log))
	loop := coordinator.New(b, config, coordinator.NewMetrics(registry), w.Log)
	if admin != nil {
		admin.setReady(loop.Ready)
	}
	stop, err := b.Serve(loop.Self(), loop.Status)
	if err != nil {
		return err
	}
	w.onStop("service", stop)
	w.greet(b)
	if err := loop.Run(ctx); err != nil {
		return err
	}
	return why(ctx)
}

// failure is why a worker ends that nobody asked to stop.
type failure struct{ error }

// why is the failure that ended ctx, nil if it was none.
func why(ctx context.Context) error {
	var f failure
	if errors.As(context.Cause(ctx), &f) {
		return f.error
	}
	return nil
}

func (w *worker) startAdmin(registry *prometheus.Registry) (*admin, error) {
	address := cmp.Or(w.HTTP, w.Config.HTTP)
	if address == "" {
		return nil, nil
	}
	a, err := startAdmin(address, registry, w.fail)
	if err != nil {
		return nil, err
	}
	w.onStop("http", a.close)
	w.at.HTTP = a.url()
	return a, nil
}

// join connects to NATS, after starting it where none is named, and makes sure that
// the streams are there.
func (w *worker) join(ctx context.Context, registry prometheus.Registerer) (*bus.Bus, error) {
	to := w.connection(w.Config)
	if to.URL == "" && to.Context == "" {
		url, err := w.startEmbedded(registry)
		if err != nil {
			return nil, err
		}
		to = bus.Connection{Name: to.Name, URL: url}
	}
	b, err := w.open(w.Config, to)
	if err != nil {
		return nil, err
	}
	w.onStop("connection", b.Close)
	registerConnection(registry, b)
	w.at.NATS = b.Server()
	return b, b.Provision(ctx)
}

// systemBytes is the room of the embedded server beside inputs and bucket, for
// batches on their way in.
const systemBytes = 1 << 30

func (w *worker) startEmbedded(registry prometheus.Registerer) (url string, err error) {
	d := disk{folder: w.Data, free: w.free}
	if err := d.prepare(); err != nil {
		return "", err
	}
	limits := w.Config.Limits
	server, err := bus.StartEmbedded(w.Data, w.Port, int64(limits.InputBytes+limits.BucketBytes)+systemBytes)
	if err != nil {
		return "", err
	}
	w.onStop("embedded NATS", server.Close)
	registerStore(registry, server)
	watching, cancel := context.WithCancel(context.Background())
	w.onStop("disk watch", cancel)
	go d.watch(watching, w.fail)
	return server.URL(), nil
}

// greet tells a newcomer what to do next.
func (w *worker) greet(b *bus.Bus) {
	subject := b.Settings().Subjects.Metrics("my-model")
	line := w.Log.Info().Str("nats", w.at.NATS)
	if w.at.HTTP != "" {
		line = line.Str("http", w.at.HTTP)
	}
	line.Msg(strings.Join([]string{
		"ready for reports on", subject + "; publish one with:",
		`echo '{"metrics": {"loss": 0.5}, "config": {"lr": 0.01}}' | worker publish --model my-model --nats`, w.at.NATS,
	}, " "))
	if w.Started != nil {
		w.Started(w.at)
	}
}
