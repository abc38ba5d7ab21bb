package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const guardedConfig = `
replicas: %d
partitions: 4
encoding: json
limits: {input_bytes: 64MiB, bucket_bytes: 64MiB}
models:
  - match: "*"
    tuner: {strategy: local}
    monitor: [{metric: loss, detector: threshold, limit: 1}]
`

const guardedStudy = `
objective: {metric: loss, goal: minimize}
space: {lr: {type: float, low: 0, high: 1}}
strategy: random
max_trials: 2
`

// hookConsumer is that of docs/security.md.
const hookConsumer = `{"stream_name": "KV_retune", "config": {"durable_name": "retune-hook-pipeline",
  "filter_subject": "retune.retrain.*.*", "deliver_policy": "new", "ack_policy": "explicit",
  "ack_wait": 30000000000, "max_ack_pending": 1000, "metadata": {"retune-triggers": ""}}}`

const hookConsumerSubject = "$JS.API.CONSUMER.CREATE.KV_retune.retune-hook-pipeline.retune.retrain.*.*"

func write(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// withWorker are servers with deploy/auth.conf, and on them a worker that serves its partitions.
func withWorker(t *testing.T, servers int) guarded {
	t.Helper()
	g := newGuarded(t, servers)
	w := newWorker(t, "worker", g.url("worker"), write(t, fmt.Sprintf(guardedConfig, servers)))
	w.start()
	nc, _ := g.connect("operator")
	js := jetStream(t, nc)
	waitForStreams(t, js)
	g.mustRun("operator", "", "study", "start", "-f", write(t, guardedStudy), "--model", "ready", "--timeout", "20s")
	t.Cleanup(func() {
		w.terminate()
		if log, err := os.ReadFile(w.log); err != nil || strings.Contains(string(log), "NATS refuses") {
			t.Errorf("something was refused to the worker: %v\n%s", err, log)
		}
	})
	return g
}

func jetStream(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestRoles has each user of deploy/auth.conf do its work.
func TestRoles(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", servers), func(t *testing.T) {
			g := withWorker(t, servers)
			t.Run("reports and events", g.reportsAndEvents)
			t.Run("agent", g.agentTakesTrials)
			t.Run("trainer", g.trainerTakesATrial)
			t.Run("operator", g.operatorLooks)
		})
	}
}

func subscribe(t *testing.T, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return sub
}

func next(t *testing.T, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := sub.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatalf("%s: %v", sub.Subject, err)
	}
	return m
}

// reportsAndEvents: a trainer reports and hears its next config, a subscriber gets the event that a report causes, by
// a plain subscription and by a hook.
func (g guarded) reportsAndEvents(t *testing.T) {
	trainer, _ := g.connect("fraud-trainer")
	configs := subscribe(t, trainer, "retune.config.fraud-eu.live")
	pipeline, _ := g.connect("pipeline")
	events := subscribe(t, pipeline, "retune.retrain.>")
	operator, _ := g.connect("operator")
	create := func(consumer string) {
		t.Helper()
		made, err := operator.Request(hookConsumerSubject, []byte(consumer), 5*time.Second)
		if err != nil || strings.Contains(string(made.Data), "error") {
			t.Fatalf("the consumer of the hook: %v, %s", err, made.Data)
		}
	}
	create(hookConsumer)
	ran := filepath.Join(t.TempDir(), "ran")
	stop := g.start("pipeline", "hook", "--name", "pipeline", "--", "sh", "-c", `echo "$RETUNE_MODEL $RETUNE_REASON" >`+ran)
	g.mustRun("fraud-trainer", `{"metrics": {"loss": 0.5}, "config": {"lr": 0.1}}`+"\n"+`{"metrics": {"loss": 5}, "config": {"lr": 0.2}}`+"\n",
		"publish", "--model", "fraud-eu")
	if m := next(t, configs); !strings.Contains(string(m.Data), `"lr"`) {
		t.Errorf("config %s", m.Data)
	}
	last, err := trainer.Request("$JS.API.DIRECT.GET.KV_retune.retune.config.fraud-eu.live", nil, 5*time.Second)
	if err != nil || !strings.Contains(string(last.Data), `"lr"`) {
		t.Errorf("the last config: %v, %+v", err, last)
	}
	if m := next(t, events); !strings.HasPrefix(m.Subject, "retune.retrain.fraud-eu.") {
		t.Errorf("event %s", m.Subject)
	}
	waitForFile(t, ran, "fraud-eu Loss")
	if output := stop(); strings.Contains(output, "NATS refuses") {
		t.Errorf("something was refused to the hook:\n%s", output)
	}
	// The same for some triggers. The consumer is made anew, with the event that is stored.
	if _, err := operator.Request("$JS.API.CONSUMER.DELETE.KV_retune.retune-hook-pipeline", nil, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	create(strings.NewReplacer(`"retune-triggers": ""`, `"retune-triggers": "degraded,stale"`, `"new"`, `"all"`).Replace(hookConsumer))
	ran = filepath.Join(t.TempDir(), "ran")
	stop = g.start("pipeline", "hook", "--name", "pipeline", "--trigger", "stale,degraded", "--", "sh", "-c", `echo "$RETUNE_MODEL $RETUNE_REASON" >`+ran)
	waitForFile(t, ran, "fraud-eu Loss")
	stop()
}

// start runs a command that goes on until it is stopped.
func (g guarded) start(user string, args ...string) (stop func() (output string)) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	g.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, workerBinary(g.t), args...)
	cmd.Env = append(os.Environ(), "NATS_URL="+g.url(user))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	log := filepath.Join(g.t.TempDir(), "log")
	file, err := os.Create(log)
	if err != nil {
		g.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	return func() string {
		cancel()
		_ = cmd.Wait()
		_ = file.Close()
		text, _ := os.ReadFile(log)
		return string(text)
	}
}

func waitForFile(t *testing.T, file, begin string) {
	t.Helper()
	var text []byte
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if text, _ = os.ReadFile(file); strings.HasPrefix(string(text), begin) {
			return
		}
	}
	t.Fatalf("%s has %q, not %q", filepath.Base(file), text, begin)
}

// agentTakesTrials: an operator starts a study and waits for its end, an agent evaluates it.
func (g guarded) agentTakesTrials(t *testing.T) {
	witness, _ := g.connect("RETUNE")
	reports := subscribe(t, witness, "retune.metrics.fraud-eu")
	stop := g.start("fraud-agent", "agent", "--model", "fraud-eu", "--", "sh", "-c", "echo step=1 loss=2; echo loss=1")
	output := g.mustRun("operator", "", "study", "start", "-f", write(t, guardedStudy+"name: one\n"), "--model", "fraud-eu", "--wait")
	if !strings.Contains(output, "2 trials: 2 complete") {
		t.Errorf("the study ended so:\n%s", output)
	}
	if output := stop(); strings.Contains(output, "NATS refuses") {
		t.Errorf("something was refused to the agent:\n%s", output)
	}
	// Whoever reports under the id of a report to come has that dropped as a repetition, whatever its model.
	ids := map[string]bool{}
	for range 2 {
		id := next(t, reports).Header.Get("Nats-Msg-Id")
		secret, _, _ := strings.Cut(id, ".")
		if len(secret) < 26 {
			t.Errorf("the id %s of a report can be guessed", id)
		}
		ids[id] = true
	}
	if len(ids) != 2 {
		t.Errorf("two reports have one id: %v", ids)
	}
}

// trainerTakesATrial without an agent: from the consumer of its model's trials, with the acknowledgement that waits.
func (g guarded) trainerTakesATrial(t *testing.T) {
	g.mustRun("operator", "", "study", "start", "-f", write(t, guardedStudy+"name: two\n"), "--model", "fraud-us")
	nc, _ := g.connect("fraud-trainer")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	js := jetStream(t, nc)
	consumer, err := js.Consumer(ctx, "KV_retune", "retune-agents-fraud-us")
	if err != nil {
		t.Fatal(err)
	}
	stops := subscribe(t, nc, "retune.stop.fraud-us.>")
	m, err := consumer.Next(jetstream.FetchContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.InProgress(); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "retune.metrics.fraud-us", []byte(`{"study": "two", "trial": 0, "metrics": {"loss": 1}}`)); err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Errorf("acknowledging the trial: %v", err)
	}
	g.mustRun("operator", "", "study", "stop", "fraud-us", "two")
	if m := next(t, stops); m.Subject != "retune.stop.fraud-us.two.1" {
		t.Errorf("stop %s", m.Subject)
	}
	if output := g.mustRun("operator", "", "study", "show", "fraud-us", "two"); !strings.Contains(output, "2 trials: 1 complete, 1 stopped") {
		t.Errorf("the study ended so:\n%s", output)
	}
}

func (g guarded) operatorLooks(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"study", "list"}, "fraud-us"},
		{[]string{"study", "export", "fraud-eu", "one"}, "loss"},
		{[]string{"show"}, "workers: 1, partitions: 4"},
		{[]string{"show", "fraud-eu"}, `"model": "fraud-eu"`},
		{[]string{"watch", "retrains", "--since", "all", "--count", "1"}, "Loss"},
		{[]string{"watch", "summaries", "--since", "all", "--count", "1"}, "one ended"},
		{[]string{"replay", "--model", "fraud-eu", "--monitor", "{metric: loss, detector: threshold, limit: 1}"}, "fraud-eu"},
		{[]string{"baseline", "fraud-eu"}, "begins anew"},
	} {
		if output := g.mustRun("operator", "", c.args...); !strings.Contains(output, c.want) {
			t.Errorf("%s said:\n%s\nand not %q", strings.Join(c.args, " "), output, c.want)
		}
	}
}
