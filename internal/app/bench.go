package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bench"
	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// maxBenchEvents keeps the inputs of a run within their limit.
const maxBenchEvents = 400_000

// Bench measures on the NATS that the globals name or, with embedded, on a server
// of its own: a `worker run` as a child process in a temporary folder.
func Bench(ctx context.Context, g Globals, embedded bool, o bench.Options, out io.Writer) error {
	if o.Events < 1 || o.Events > maxBenchEvents || o.Rounds < 1 || o.Pings < 1 {
		return &Misuse{fmt.Errorf("--events %d, --rounds %d, --pings %d: give 1 to %d events and at least 1 of the others", o.Events, o.Rounds, o.Pings, maxBenchEvents)}
	}
	config, err := g.Config()
	if err != nil {
		return err
	}
	to := g.connection(config)
	if embedded {
		url, stop, err := childServer(ctx)
		if err != nil {
			return err
		}
		defer stop()
		to = bus.Connection{Name: to.Name, URL: url}
	}
	open := func(prefix string) (*bus.Bus, error) {
		set := config.settings(wire.Subjects{Prefix: prefix})
		set.InputBytes, set.BucketBytes = 400<<20, 400<<20 // fits beside the streams of an embedded server
		return bus.Open(to, set, zerolog.Nop())
	}
	return bench.Run(ctx, open, o, out)
}

// childServer starts this program again as a worker with an embedded server, whose
// heap and processor time are then not those of the worker that is measured.
func childServer(ctx context.Context) (url string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find this program: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "retune-bench")
	if err != nil {
		return "", nil, fmt.Errorf("temporary folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "run", "--data", dir, "--port", strconv.Itoa(port), "--prefix", "retune-bench-host", "--log-level", "error")
	cmd.Env, cmd.Stderr = append(os.Environ(), "NATS_URL="), os.Stderr // a server of its own, whatever the others join
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	if err := cmd.Start(); err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, fmt.Errorf("start a server: %w", err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return "nats://" + address, stop, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			stop()
			return "", nil, ctx.Err()
		}
	}
	stop()
	return "", nil, fmt.Errorf("no server came up on %s within 10 s", address)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
