package bus

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// Embedded is a NATS server with JetStream in this process.
type Embedded struct {
	srv  *server.Server
	lock *flock.Flock
	dir  string
}

// StartEmbedded runs a server on 127.0.0.1:port (0: any free port) with its data
// under dir, with room for storeBytes. The folder is locked against a second
// process.
func StartEmbedded(dir string, port int, storeBytes int64) (*Embedded, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	} else if !ok {
		return nil, fmt.Errorf("data folder %s is in use by another worker: join its server with --nats%s, or give another folder with --data", dir, urlIn(dir))
	}
	_ = os.Remove(urlFile(dir)) // of a server that was killed
	srv, err := startServer(dir, port, storeBytes)
	if err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	_ = os.WriteFile(urlFile(dir), []byte(srv.ClientURL()), 0o600) // without it the error above says less
	return &Embedded{srv: srv, lock: lock, dir: dir}, nil
}

// urlFile holds where the server of a data folder listens, while it does.
func urlFile(dir string) string { return filepath.Join(dir, "url") }

// urlIn is where the server of a data folder listens, after a space; "" if that is not
// known (yet).
func urlIn(dir string) string {
	url, err := os.ReadFile(urlFile(dir))
	if err != nil || len(url) == 0 {
		return ""
	}
	return " " + string(url)
}

func startServer(dir string, port int, storeBytes int64) (*server.Server, error) {
	if port == 0 {
		port = server.RANDOM_PORT
	} else if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		return nil, fmt.Errorf("port %d on 127.0.0.1 is taken (%w): join the NATS that runs there with --nats nats://127.0.0.1:%d, or give another port with --port", port, errors.Unwrap(err), port)
	} else {
		_ = l.Close()
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "retune-embedded", Host: "127.0.0.1", Port: port,
		JetStream: true, StoreDir: filepath.Join(dir, "nats"), JetStreamMaxStore: storeBytes, JetStreamMaxMemory: 256 << 20,
		MaxPayload: 16 << 20, MaxPending: 64 << 20, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(60 * time.Second) {
		srv.Shutdown()
		return nil, fmt.Errorf("embedded NATS did not start on 127.0.0.1:%d within 60 s: see whether the folder %s can be written, or use --nats", port, dir)
	}
	return srv, nil
}

// URL is where the server listens.
func (e *Embedded) URL() string { return e.srv.ClientURL() }

// Close stops the server and unlocks the folder. It may be called twice.
func (e *Embedded) Close() {
	if e.lock.Locked() {
		_ = os.Remove(urlFile(e.dir))
	}
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
	_ = e.lock.Unlock()
}
