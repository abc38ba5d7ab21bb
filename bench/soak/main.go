// Command soak runs a worker for a long time under a steady load, and tells what grows.
//
//	go run ./bench/soak -for 20m -rate 10000 -out /tmp/soak
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	length time.Duration
	every  time.Duration
	rate   int
	models int
	out    string
	worker string
}

func main() {
	if serveIfAsked() {
		return
	}
	var o options
	flag.DurationVar(&o.length, "for", 20*time.Minute, "how long")
	flag.DurationVar(&o.every, "every", 10*time.Second, "between two samples")
	flag.IntVar(&o.rate, "rate", 10_000, "live reports a second; half of them want a config")
	flag.IntVar(&o.models, "models", 1000, "that report; studies run on 20 others")
	flag.StringVar(&o.out, "out", "soak", "folder of samples.csv, plot.svg, summary.txt and the worker's log")
	flag.StringVar(&o.worker, "worker", "", "the built worker; by default it is built from here")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := soak(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak runs server, worker and load, samples until the time is up, and writes what it saw.
// Interrupted, it writes what it has.
func soak(ctx context.Context, o options) error {
	if o.rate < 1 || o.models < 1 || o.every <= 0 || o.length < 4*o.every {
		return fmt.Errorf("-rate %d, -models %d, -every %s, -for %s: give positive numbers, and at least four samples", o.rate, o.models, o.every, o.length)
	}
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		return fmt.Errorf("folder of results: %w", err)
	}
	s, err := startSite(ctx, o)
	if err != nil {
		return err
	}
	defer s.stop()
	ctx, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	l, err := startLoad(ctx, s, o)
	if err != nil {
		return err
	}
	samples, err := s.watch(ctx, o, l)
	l.wait()
	if err != nil {
		return err
	}
	text := summarize(samples)
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(o.out, "summary.txt"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	if err := os.WriteFile(filepath.Join(o.out, "plot.svg"), []byte(plot(samples)), 0o600); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return l.trouble()
}
