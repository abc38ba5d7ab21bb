package e2e

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The test binary is the NATS server too, so that one can be killed as a process.
const roleServer = "RETUNE_E2E_SERVER"

func TestMain(m *testing.M) {
	if args := os.Getenv(roleServer); args != "" {
		serve(strings.Split(args, "|"))
		return
	}
	code := m.Run()
	if binary.dir != "" {
		_ = os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

// serve runs a server until it is killed: store|port|cluster port|routes|name, or the arguments of nats-server.
func serve(args []string) {
	read := plainOptions
	if strings.HasPrefix(args[0], "-") {
		read = commandLine
	}
	options, err := read(args)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s, err := server.NewServer(options)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if !options.NoLog {
		s.ConfigureLogger()
	}
	go s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		os.Exit(1)
	}
	fmt.Println("ready")
	// Ends with the test that started it, however that ends.
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	os.Exit(0)
}

// commandLine is a server as nats-server starts it, which reloads its configuration at SIGHUP.
func commandLine(args []string) (*server.Options, error) {
	return server.ConfigureOptions(flag.NewFlagSet("nats-server", flag.ContinueOnError), args, nil, nil, nil)
}

func plainOptions(args []string) (*server.Options, error) {
	port, _ := strconv.Atoi(args[1])
	o := &server.Options{NoSigs: true, NoLog: true, JetStream: true, StoreDir: args[0], Host: "127.0.0.1", Port: port, MaxPayload: 16 << 20, ServerName: args[4]}
	if args[2] != "0" {
		clusterPort, _ := strconv.Atoi(args[2])
		o.Cluster = server.ClusterOpts{Name: "e2e", Host: "127.0.0.1", Port: clusterPort}
		o.Routes = server.RoutesFromStr(args[3])
	}
	return o, nil
}

// binary is the worker, built once.
var binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func workerBinary(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		binary.dir, binary.err = os.MkdirTemp("", "retune-e2e")
		if binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.dir, "worker")
		args := []string{"build", "-o", binary.path}
		if raceEnabled {
			args = append(args, "-race")
		}
		_, here, _, _ := runtime.Caller(0)
		cmd := exec.Command("go", append(args, "./cmd/worker")...)
		cmd.Dir = filepath.Join(filepath.Dir(here), "..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// process is a child that can be killed, stopped and started again.
type process struct {
	t     *testing.T
	name  string
	build func() *exec.Cmd
	ready string // what it prints when it is up; empty: nothing to wait for
	log   string // file of its standard error
	cmd   *exec.Cmd
	ended chan error
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = p.build()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stderr = log
	if _, err := p.cmd.StdinPipe(); err != nil { // closed when this process ends
		p.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.ended = make(chan error, 1)
	if p.ready != "" {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, p.ready) {
			p.t.Fatalf("%s said %q: %v", p.name, line, err)
		}
	}
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(p.cmd, p.ended)
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill is SIGKILL and waits for the end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// terminate is SIGTERM; it must lead to exit code 0 within 10 s.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("%s after SIGTERM: %v, see %s", p.name, err, p.log)
		}
	case <-time.After(15 * time.Second):
		p.t.Errorf("%s did not end within 15 s of SIGTERM", p.name)
		p.kill()
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// natsServer is one server as a process, with the same port and store at each start.
func natsServer(t *testing.T, name string, port, clusterPort int, routes string) *process {
	t.Helper()
	store := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, ready: "ready", log: filepath.Join(t.TempDir(), name+".log"), build: func() *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d|%d|%s|%s", roleServer, store, port, clusterPort, routes, name))
		return cmd
	}}
	t.Cleanup(func() {
		if p.cmd != nil {
			_ = p.cmd.Process.Kill()
		}
	})
	return p
}

// newWorker is a worker on the URL, with the config file.
func newWorker(t *testing.T, name, url, config string) *process {
	t.Helper()
	bin := workerBinary(t)
	p := &process{t: t, name: name, log: filepath.Join(t.TempDir(), name+".log"), build: func() *exec.Cmd {
		return exec.Command(bin, "run", "--nats", url, "--config", config, "--log-format", "json")
	}}
	t.Cleanup(func() {
		if p.cmd != nil {
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			_ = p.cmd.Process.Kill()
		}
		if t.Failed() || os.Getenv("RETUNE_E2E_LOGS") != "" {
			if log, err := os.ReadFile(p.log); err == nil {
				t.Logf("%s:\n%s", p.name, tail(string(log), 40))
			}
		}
	})
	return p
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
