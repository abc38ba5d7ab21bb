package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is the worker itself in the child processes of the tests.
func TestMain(m *testing.M) {
	if os.Getenv("RETUNE_TEST_CHILD") == "1" {
		main()
	}
	os.Exit(m.Run())
}

// child is a command line in a process of its own, in a folder of its own.
func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), "RETUNE_TEST_CHILD=1", "NATS_URL=")
	return c
}

func TestASignalEndsTheWorkerCleanly(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			c := child(t, "--port", "0", "--log-format", "json")
			stderr, err := c.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			log := bufio.NewScanner(stderr)
			awaitLine(t, log, "ready for reports")
			start := time.Now()
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			for log.Scan() {
				if strings.Contains(log.Text(), `"error"`) {
					t.Error(log.Text())
				}
			}
			if err := c.Wait(); err != nil || time.Since(start) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(start))
			}
			if _, err := os.Stat(filepath.Join(c.Dir, "retune-data", "nats")); err != nil {
				t.Error(err)
			}
		})
	}
}

func awaitLine(t *testing.T, log *bufio.Scanner, part string) {
	t.Helper()
	for log.Scan() {
		var line struct{ Message, NATS string }
		if json.Unmarshal(log.Bytes(), &line) != nil {
			t.Errorf("not JSON: %s", log.Text())
		}
		if strings.Contains(line.Message, part) && strings.Contains(line.Message, line.NATS) && line.NATS != "" {
			return
		}
	}
	t.Fatal("the worker ended before it was ready")
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "worker.yaml")
	if err := os.WriteFile(file, []byte("replicas: 1\nleas: 5s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	named := func(text string) string {
		name := filepath.Join(t.TempDir(), "worker.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	creds, key, cluster, web, nobody, study := named("nats:\n  creds: my.creds\n"), named("\nnats: {tls: {cert: c.pem,\n  key: k.pem}}\n"), named("lease: 5s\nreplicas: 3\n"), named("nats:\n  url: htp://a:b@x\n"), named("nats: {url: nats://127.0.0.1:1}"), named("objective: {metric: loss, goal: minimize}\nspace: {x: {values: [1]}}\nstrategy: grid\n")
	for _, c := range []struct {
		name, stdout, stderr string
		code                 int
		args                 []string
	}{
		{"version", "\n", "", 0, []string{"--version"}},
		{"help", "Usage: worker", "", 0, []string{"--help"}},
		{"unknown flag", "", "worker: unknown flag --foo", 2, []string{"--foo"}},
		{"unknown command", "", "worker: unexpected argument foo", 2, []string{"foo"}},
		{"mistake in worker.yaml", "", "worker: " + file + ":2: leas: unknown field: did you mean lease?\n", 2, []string{"--config", file}},
		{"no worker.yaml", "", "worker: --config: open ", 2, []string{"run", "--config", "none.yaml"}},
		{"wrong prefix", "", "worker: prefix: ", 2, []string{"run", "--port", "0", "--prefix", "a b"}},
		{"credentials for nobody", "", `worker: --nkey: "/user.nk" is for a NATS that no address is given of: add --nats URL`, 2, []string{"--nkey", "/user.nk", "--port", "0"}},
		{"credentials for nobody in a file", "", "worker: " + creds + `:2: nats.creds: "my.creds" is for a NATS that no address is given of: add nats.url or --nats URL`, 2, []string{"--config", creds, "--port", "0"}},
		{"a certificate for nobody", "", "worker: " + key + `:2: nats.tls.cert: "c.pem" is for`, 2, []string{"--config", key, "--port", "0"}},
		{"credentials for nobody of a tune", "", "worker: " + creds + ":2: nats.creds: ", 2, []string{"tune", "--config", creds, "-f", study, "--", "true"}},
		{"a cluster of nobody", "", "worker: " + cluster + ":2: replicas: 3 need a cluster: add nats.url or --nats URL", 2, []string{"--config", cluster, "--port", "0"}},
		{"an address of the web", "", `worker: --nats (or NATS_URL): "http" is not how to reach NATS: give nats, tls, ws, wss`, 2, []string{"--nats", "http://x"}},
		{"an address of the web, to look at", "", `worker: --nats (or NATS_URL): "http" is not how`, 2, []string{"show", "--nats", "nats://127.0.0.1:1,http://x"}},
		{"an address of the web in a file", "", "worker: " + web + `:2: nats.url: "htp" is not how to reach NATS: `, 2, []string{"study", "list", "--config", web}},
		{"no port", "", "worker: --port: 70000 is out of range: give 0 to 65535", 2, []string{"run", "--port", "70000"}},
		{"a demo on another's NATS", "", "worker: the demo runs on a NATS server and with a config of its own: leave out --nats", 2, []string{"demo", "--nats", "nats://127.0.0.1:1"}},
		{"a demo by a config", "", "worker: the demo runs on", 2, []string{"demo", "--config", cluster}},
		{"no NATS there to measure", "", "connect to nats://127.0.0.1:1", 1, []string{"bench", "--config", nobody}},
		{"no NATS there", "", "worker: connect to nats://127.0.0.1:1", 1, []string{"--nats", "nats://127.0.0.1:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := child(t, c.args...)
			var stdout, stderr bytes.Buffer
			run.Stdout, run.Stderr = &stdout, &stderr
			_ = run.Run()
			if code := run.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) || c.stderr == "" && stderr.Len() > 0 {
				t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
			}
			if strings.Count(strings.TrimSpace(stderr.String()), "\n") > 0 {
				t.Errorf("more than a line: %q", &stderr)
			}
		})
	}
}

// TestABenchOfItsOwn does not join the NATS of the environment, nor has it its server join it.
func TestABenchOfItsOwn(t *testing.T) {
	t.Parallel()
	c := child(t, "bench", "--embedded", "--events", "100", "--rounds", "1", "--pings", "1", "--json")
	c.Env = append(c.Env, "NATS_URL=nats://127.0.0.1:1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
