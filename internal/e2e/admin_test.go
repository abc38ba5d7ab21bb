package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAdministration runs the nats commands of docs/operations.md and docs/observability.md as the users who are named
// beside them there, on three servers with deploy/auth.conf: looking, more room for the bucket, backup and restore.
func TestAdministration(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	a := administration{guarded: newGuarded(t, 3), tool: natsTool(t)}
	w := newWorker(t, "worker", a.url("worker"), write(t, fmt.Sprintf(guardedConfig, 3)))
	w.start()
	operator, _ := a.connect("operator")
	waitForStreams(t, jetStream(t, operator))
	a.mustRun("operator", "", "study", "start", "-f", write(t, guardedStudy), "--model", "m", "--timeout", "20s")
	waitForLog(t, w.log, "ready for reports")

	a.nats("operator", "retune", "service", "ls")
	a.nats("operator", "retune", "service", "info", "retune")
	a.nats("operator", "retune", "service", "stats", "retune")
	a.nats("operator", `"lag_total"`, "req", "retune.worker.status", "", "--replies", "1", "--raw")
	a.nats("operator", "model.", "stream", "subjects", "KV_retune")
	a.nats("operator", "KV_retune", "stream", "info", "KV_retune")
	a.nats("operator", "create_response", "req", hookConsumerSubject, hookConsumer, "--raw")
	a.nats("operator", "Pending", "consumer", "info", "KV_retune", "retune-hook-pipeline")
	a.nats("operator", "", "consumer", "rm", "-f", "KV_retune", "retune-hook-pipeline")
	a.nats("operator", "", "pub", "retune.study.gone", `{"op": "forget"}`)
	a.nats("admin", "KV_retune", "stream", "report")
	a.nats("admin", "KV_retune", "stream", "cluster", "step-down", "KV_retune")
	a.nats("system", "n2", "server", "list", "3")
	a.nats("system", "n2", "server", "report", "jetstream")
	a.nats("system", "", "server", "cluster", "step-down", "--force")

	a.nats("admin", "OK", "server", "check", "jetstream")
	a.nats("admin", "nats_server_check_jetstream_replicas_fail", "server", "check", "jetstream", "--format", "prometheus")
	a.nats("admin", "OK", "server", "check", "consumer", "--stream", "KV_retune", "--consumer", "retune-agents-m", "--unprocessed-critical", "1000", "--outstanding-ack-critical", "900")
	a.nats("system", "OK", "server", "check", "meta", "--expect", "3", "--lag-critical", "100", "--seen-critical", "10s")

	a.nats("admin", "", "stream", "edit", "-f", "RETUNE_METRICS", "--max-bytes", "128MB")
	var info struct{ Config map[string]any }
	if err := json.Unmarshal([]byte(a.nats("admin", "", "stream", "info", "KV_retune", "--json")), &info); err != nil {
		t.Fatal(err)
	}
	info.Config["max_bytes"] = 128 << 20
	config, err := json.Marshal(info.Config)
	if err != nil {
		t.Fatal(err)
	}
	a.nats("admin", `"max_bytes":134217728`, "req", "$JS.API.STREAM.UPDATE.KV_retune", string(config), "--raw")

	backup := filepath.Join(t.TempDir(), "bucket")
	a.nats("admin", "", "stream", "backup", "--no-progress", "KV_retune", backup)
	a.nats("admin", "", "stream", "backup", "--no-progress", "RETUNE_METRICS", filepath.Join(t.TempDir(), "inputs"))
	w.terminate()
	a.restore(backup)
	if restored := a.mustRun("operator", "", "show", "m"); !strings.Contains(restored, `"study": "study-1"`) {
		t.Errorf("the restored model is\n%s", restored)
	}
	a.nats("admin", "", "kv", "del", "-f", "retune_workers")
	w.start()
	waitForStreams(t, jetStream(t, operator))
	a.mustRun("operator", "", "study", "start", "-f", write(t, guardedStudy), "--model", "n", "--timeout", "20s")
	w.terminate()
}

type administration struct {
	guarded
	tool string
}

// restore replaces the bucket. A restore that was answered late has left a stream behind, which the next one refuses.
func (a administration) restore(backup string) {
	a.t.Helper()
	a.nats("admin", "", "stream", "rm", "-f", "KV_retune")
	out, err := a.try("admin", "stream", "restore", "--no-progress", backup)
	for deadline := time.Now().Add(40 * time.Second); err != nil; out, err = a.try("admin", "stream", "restore", "--no-progress", backup) {
		if time.Now().After(deadline) {
			a.t.Fatalf("the bucket is not restored: %v\n%s", err, out)
		}
		_, _ = a.try("admin", "stream", "rm", "-f", "KV_retune")
	}
}

// nats runs the nats CLI as the user, until it succeeds with an answer that has the text: on a cluster a leader may be
// under way.
func (a administration) nats(user, want string, args ...string) string {
	a.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		out, err := a.try(user, args...)
		if err == nil && strings.Contains(out, want) && !strings.Contains(out, "Permissions Violation") {
			return out
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("nats %q as %s: %v\n%s", args, user, err, out)
		}
	}
}

func (a administration) try(user string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, a.tool, append([]string{"--server", a.url(user)}, args...)...).CombinedOutput()
	return string(out), err
}
