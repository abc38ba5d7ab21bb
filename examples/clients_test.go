// Package examples_test runs the examples against a real worker.
package examples_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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
			url := start(t, worker, "encoding: "+encoding+"\n")
			t.Run("Python", func(t *testing.T) { run(t, url, python(t), "examples/clients/python/live.py") })
			t.Run("JavaScript", func(t *testing.T) { run(t, url, node(t), "examples/clients/javascript/live.js") })
			if encoding != "json" {
				return // the others say what to set
			}
			t.Run("Go", func(t *testing.T) { run(t, url, build(t, "./examples/clients/go")) })
			t.Run("shell", func(t *testing.T) { run(t, url, shell(t), "examples/clients/shell/live.sh") })
		})
	}
}

// run has a client publish the reports for a model of its own and checks what it prints.
func run(t *testing.T, url string, command ...string) {
	t.Helper()
	model := strings.ReplaceAll(t.Name(), "/", "-")
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

// start runs a worker with its own NATS server until the test ends, and returns its address.
func start(t *testing.T, worker, config string) string {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "worker.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(worker, "run", "--config", file, "--port", "0", "--data", filepath.Join(folder, "data"), "--log-format", "json")
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
