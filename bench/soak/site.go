package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The program is the NATS server, too, as a process of its own.
const roleServer = "RETUNE_SOAK_STORE"

// The limits are small so that both streams reach their steady size soon.
const workerConfig = `
encoding: json
limits: {input_bytes: 128MiB, bucket_bytes: 1GiB}
ttl: {config: 1m, stop: 1m, retrain: 1m, summary: 1m, dead: 1m}
models:
  - match: "tuned-*"
    tuner: {strategy: local}
    monitor: [{detector: auto}]
  - match: "*"
    monitor: [{detector: auto}]
sinks: []
`

// serveIfAsked runs the server until the process that started it ends.
func serveIfAsked() bool {
	store := os.Getenv(roleServer)
	if store == "" {
		return false
	}
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: store, NoLog: true, NoSigs: true, MaxPayload: 16 << 20})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		os.Exit(1)
	}
	fmt.Println(srv.ClientURL())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return true
}

// site is a server and a worker.
type site struct {
	server, worker *exec.Cmd
	ended          chan error // of the worker
	http           string
	js             jetstream.JetStream
	cleanups       []func()
}

func startSite(ctx context.Context, o options) (s *site, err error) {
	s = &site{ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	folder, err := os.MkdirTemp("", "retune-soak")
	if err != nil {
		return s, fmt.Errorf("temporary folder: %w", err)
	}
	s.cleanups = append(s.cleanups, func() { _ = os.RemoveAll(folder) })
	url, err := s.startServer(filepath.Join(folder, "nats"))
	if err != nil {
		return s, fmt.Errorf("NATS: %w", err)
	}
	if err := s.startWorker(ctx, o, folder, url); err != nil {
		return s, fmt.Errorf("worker: %w", err)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return s, fmt.Errorf("connect: %w", err)
	}
	s.cleanups = append(s.cleanups, nc.Close)
	s.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	return s, err
}

func (s *site) startServer(store string) (url string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	s.server = exec.Command(self)
	s.server.Env = append(os.Environ(), roleServer+"="+store)
	s.server.Stderr = os.Stderr
	if _, err := s.server.StdinPipe(); err != nil { // closed when this process ends
		return "", err
	}
	out, err := s.server.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := s.server.Start(); err != nil {
		return "", err
	}
	s.cleanups = append(s.cleanups, func() { _ = s.server.Process.Kill(); _ = s.server.Wait() })
	url, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", err
	}
	return url[:len(url)-1], nil
}

func (s *site) startWorker(ctx context.Context, o options, folder, url string) error {
	if o.worker == "" {
		o.worker = filepath.Join(folder, "worker")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", o.worker, "./cmd/worker").CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	config := filepath.Join(folder, "worker.yaml")
	if err := os.WriteFile(config, []byte(workerConfig), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(o.out, "worker.log"))
	if err != nil {
		return err
	}
	s.cleanups = append(s.cleanups, func() { _ = log.Close() })
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s.worker = exec.Command(o.worker, "run", "--nats", url, "--config", config, "--http", address, "--log-format", "json")
	s.worker.Stderr, s.http = log, "http://"+address
	if err := s.worker.Start(); err != nil {
		return err
	}
	go func() { s.ended <- s.worker.Wait() }()
	s.cleanups = append(s.cleanups, func() { _ = s.worker.Process.Kill() })
	return s.ready(ctx)
}

// ready waits until the worker serves its partitions and has measured each.
func (s *site) ready(ctx context.Context) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err := get(ctx, s.http+"/readyz"); err != nil {
			continue
		}
		if body, err := get(ctx, s.http+"/metrics"); err == nil {
			if _, measured := metric(body, lagMetric); measured {
				return nil
			}
		}
	}
	return fmt.Errorf("not ready within 30 s, or without the metric %s", lagMetric)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *site) stop() {
	for len(s.cleanups) > 0 {
		last := s.cleanups[len(s.cleanups)-1]
		s.cleanups = s.cleanups[:len(s.cleanups)-1]
		last()
	}
}
