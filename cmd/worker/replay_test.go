package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, stdout, stderr string
		code                 int
		args                 []string
	}{
		{"a file", "Loss degraded 50.00% vs. limit", "", 0, []string{"-", "--monitor", "{metric: loss, detector: threshold, limit: 2}"}},
		{"a mistake", "", "worker: --monitor: monitor[0].limit: is missing: give one\n", 2, []string{"-", "--monitor", "threshold"}},
		{"nothing of the model", "", "worker: no live report to replay: 2 of other models", 1, []string{"-", "--monitor", "cusum", "--model", "b"}},
		{"no NATS there", "", "worker: connect to nats://127.0.0.1:1", 1, []string{"--monitor", "cusum", "--nats", "nats://127.0.0.1:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := child(t, append([]string{"replay"}, c.args...)...)
			var stdout, stderr bytes.Buffer
			run.Stdout, run.Stderr = &stdout, &stderr
			run.Stdin = strings.NewReader(`{"model_id":"a","metrics":{"loss":1}}` + "\n" + `{"model_id":"a","metrics":{"loss":3}}`)
			_ = run.Run()
			if code := run.ProcessState.ExitCode(); code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, &stdout, &stderr)
			}
		})
	}
}
