// Package examples_test runs the examples against a real worker.
package examples_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	buildTime = 5 * time.Minute
	runTime   = time.Minute
)

var (
	retrain    = regexp.MustCompile(`(?m)^retrain: .*Loss degraded`)
	liveConfig = regexp.MustCompile(`(?m)^live config: .*"learning_rate"`)
)

func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts a worker")
	}
	worker := build(t, "./cmd/worker")
	for name, encoding := range map[string]string{"JSON": "json", "msgpack": "msgpack"} {
		t.Run(name, func(t *testing.T) {
			url := start(t, worker, "encoding: "+encoding+"\n", "--port", "0", "--data", t.TempDir())
			for _, c := range clients {
				if encoding != "json" && !c.msgpack {
					continue // it says what to set
				}
				t.Run(c.name, func(t *testing.T) { run(t, url, strings.ReplaceAll(t.Name(), "/", "-"), c.command(t)...) })
			}
		})
	}
}

// clients are the examples.
var clients = []struct {
	name    string
	msgpack bool // it reads the worker's default
	command func(t *testing.T) []string
}{
	{"Python", true, func(t *testing.T) []string { return []string{python(t), "examples/clients/python/live.py"} }},
	{"JavaScript", true, func(t *testing.T) []string { return []string{node(t), "examples/clients/javascript/live.js"} }},
	{"Go", false, func(t *testing.T) []string { return []string{build(t, "./examples/clients/go")} }},
	{"shell", false, func(t *testing.T) []string { return []string{shell(t), "examples/clients/shell/live.sh"} }},
}

// TestClientsWithPermissions has a trainer and a subscriber of deploy/auth.conf as the users.
func TestClientsWithPermissions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts a worker")
	}
	worker := build(t, "./cmd/worker")
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			command := c.command(t)
			url := guarded(t)
			start(t, worker, "encoding: json\nlimits: {input_bytes: 64MiB, bucket_bytes: 64MiB}\n", "--nats", url("worker"))
			t.Setenv("NATS_SUBSCRIBER_URL", url("pipeline"))
			run(t, url("fraud-trainer"), "fraud-eu", command...)
		})
	}
}

const passwordHash = "$2a$04$4SuPxWhphF4LdYyGpmtMX.udSAwpQDXxo3SKcNWTOvXQcVsCpvzve" // of p@ss/word

// guarded is a server with deploy/auth.conf, and the address by which a user reaches it: a list, of which one
// is away and one has no scheme.
func guarded(t *testing.T) (url func(user string) string) {
	t.Helper()
	auth, err := os.ReadFile("../deploy/auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range regexp.MustCompile(`RETUNE_\w+_HASH`).FindAllString(string(auth), -1) {
		t.Setenv(variable, passwordHash)
	}
	o, err := server.ProcessConfigFile("../deploy/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.HTTPPort, o.StoreDir, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, 0, t.TempDir(), true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not start")
	}
	return func(user string) string {
		return fmt.Sprintf("nats://%[1]s:p%%40ss%%2Fword@127.0.0.1:1,%[1]s:p%%40ss%%2Fword@%[2]s", user, s.Addr())
	}
}

// TestShellShowsErrors: what is wrong is the CLI's to say.
func TestShellShowsErrors(t *testing.T) {
	out, err := root(t, runTime, "nats://127.0.0.1:1", shell(t), "examples/clients/shell/live.sh").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no servers available") {
		t.Errorf("without a server it ends with %v and says:\n%s", err, out)
	}
}

// run has a client publish the reports for a model and checks what it prints.
func run(t *testing.T, url, model string, command ...string) {
	t.Helper()
	out, err := root(t, runTime, url, append(command, "examples/reports.jsonl", model)...).Output()
	if err != nil {
		stderr := []byte(nil)
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = exit.Stderr
		}
		t.Fatalf("%s: %v\n%s%s", command, err, out, stderr)
	}
	if !retrain.Match(out) || !liveConfig.Match(out) {
		t.Errorf("%s printed:\n%s", command, out)
	}
}

// root is a command in the root of the repository that ends with the test.
func root(t *testing.T, limit time.Duration, url string, command ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "NATS_URL="+url)
	return cmd
}

func build(t *testing.T, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	if out, err := root(t, buildTime, "", "go", "build", "-o", binary, pkg).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return binary
}

// start runs a worker until the test ends, and returns the address of its NATS server.
func start(t *testing.T, worker, config string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "worker.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(worker, append([]string{"run", "--config", file, "--log-format", "json"}, args...)...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		defer time.AfterFunc(15*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var entry struct{ Message, NATS string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && strings.HasPrefix(entry.Message, "ready for reports") {
			go func() {
				for lines.Scan() { // so that the worker never waits for its log
				}
			}()
			return entry.NATS
		}
	}
	t.Fatal("the worker did not start")
	return ""
}

// python is an interpreter that has what the package needs; the package itself is that of the tree.
func python(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs("../clients/python/src")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PYTHONPATH", source)
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil && root(t, runTime, "", path, "-c", "import retune").Run() == nil {
			return path
		}
	}
	t.Skip("no python3 that can import retune: pip install ./clients/python")
	return ""
}

func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	if _, err := os.Stat("clients/javascript/node_modules"); err != nil {
		t.Skip("no modules: npm install --prefix examples/clients/javascript")
	}
	return path
}

func shell(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("nats"); err != nil {
		t.Skip("the nats CLI is not installed: go install github.com/nats-io/natscli/nats@latest")
	}
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	return path
}
