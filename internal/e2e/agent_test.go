package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	agents          = 8
	agentTrials     = 80
	agentAckWait    = 3 * time.Second // of the product 30 s, which would make the test long
	agentTestLength = 60 * time.Second
	disturbances    = 40
)

// agentScript notes its process id and takes about half a second, in a grandchild.
const agentScript = `
echo $$ >>"$1"
echo step=1 loss=9
sh -c 'sleep 0.$((RETUNE_TRIAL % 5 + 2))'
echo step=2 loss=8
echo "loss=$RETUNE_TRIAL"
`

// newAgentProcess evaluates two trials at once with the script.
func newAgentProcess(t *testing.T, name, url, script, pids string) *process {
	t.Helper()
	bin := workerBinary(t)
	p := &process{t: t, name: name, log: filepath.Join(t.TempDir(), name+".log"), build: func() *exec.Cmd {
		return exec.Command(bin, "agent", "--nats", url, "--model", "m", "--parallel", "2", "--log-format", "json", "--log-level", "debug", "--", "sh", script, pids)
	}}
	t.Cleanup(func() {
		if p.cmd != nil {
			_ = p.cmd.Process.Kill()
		}
		if t.Failed() {
			if log, err := os.ReadFile(p.log); err == nil {
				t.Logf("%s:\n%s", p.name, tail(string(log), 20))
			}
		}
	})
	return p
}

// TestAgentsAreKilled has eight agents share a study while some of them, and once the server, are killed: each trial
// has one result, none has failed, and nothing is left running.
func TestAgentsAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	d := agentDisturbance{t: t, r: rand.New(rand.NewPCG(seed(t), 0)), born: map[*process]time.Time{}}
	port := freePort(t)
	d.server = natsServer(t, "nats", port, 0, "")
	d.server.start()
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	worker := newWorker(t, "worker", url, configFile(t, 1))
	worker.start()
	folder := t.TempDir()
	script, pids := filepath.Join(folder, "train.sh"), filepath.Join(folder, "pids")
	if err := os.WriteFile(script, []byte(agentScript), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorkload(t, url, 1)
	waitForStreams(t, w.js)
	shareQuickly(t, w.js)
	for i := range agents {
		d.agents = append(d.agents, newAgentProcess(t, fmt.Sprintf("agent-%d", i), url, script, pids))
		d.agents[i].start()
	}
	w.publish("retune.study.m", "start", fmt.Sprintf(`{"op":"start","study":{"name":"s","objective":{"metric":"loss","goal":"minimize"},"space":{"x":{"type":"float","low":0,"high":1}},"max_trials":%d,"parallelism":12}}`, agentTrials))
	got := d.until(w.js)
	for _, a := range d.agents {
		a.terminate()
	}
	worker.terminate()
	t.Logf("%d agents killed, %d interrupted, %d runs of %d trials", d.killed, d.interrupted, countRuns(t, pids), agentTrials)
	got.check(t)
	results(t, w.js)
}

// agentDisturbance kills and interrupts agents, and starts them again.
type agentDisturbance struct {
	t                   *testing.T
	r                   *rand.Rand
	server              *process
	agents              []*process
	born                map[*process]time.Time
	killed, interrupted int
}

// until returns the summary of the study when it has ended.
func (d *agentDisturbance) until(js jetstream.JetStream) (got summaryOf) {
	summary := make(chan summaryOf, 1)
	go func() { summary <- awaitSummary(d.t, js) }()
	rhythm := time.NewTicker(250 * time.Millisecond) // of misfortune
	defer rhythm.Stop()
	for n := 0; ; n++ {
		select {
		case got = <-summary:
			return got
		case <-rhythm.C:
			d.disturb(n)
		}
	}
}

func (d *agentDisturbance) disturb(n int) {
	a := d.agents[d.r.IntN(agents)]
	switch {
	case n > disturbances:
		return
	case n == 12:
		d.server.kill()
		d.server.start()
		return
	case d.r.IntN(3) == 0 && time.Since(d.born[a]) > time.Second: // before, it may not listen yet
		a.signal(syscall.SIGTERM)
		if err := <-a.ended; err != nil {
			d.t.Errorf("%s after SIGTERM: %v", a.name, err)
		}
		d.interrupted++
	default:
		a.kill()
		d.killed++
	}
	a.start()
	d.born[a] = time.Now()
}

// shareQuickly makes the consumer of the trials before the worker does, with an ack wait that suits a test.
func shareQuickly(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	_, err := js.CreateConsumer(t.Context(), "KV_retune", jetstream.ConsumerConfig{
		Durable: "retune-agents-m", FilterSubject: "retune.config.m.*.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: agentAckWait,
	})
	if err != nil {
		t.Fatal(err)
	}
}

type summaryOf struct {
	Reason string
	Counts map[string]int
	Trials []struct {
		Trial    int
		Value    float64
		Attempts int
	}
}

func (s summaryOf) check(t *testing.T) {
	t.Helper()
	if s.Counts["complete"] != agentTrials || s.Reason != "max_trials" || len(s.Trials) != agentTrials {
		t.Errorf("%s: %v, %d trials", s.Reason, s.Counts, len(s.Trials))
	}
	for _, trial := range s.Trials {
		if trial.Attempts != 1 || trial.Value != float64(trial.Trial) {
			t.Errorf("%+v", trial)
		}
	}
}

// awaitSummary asks again and again: the server goes away once.
func awaitSummary(t *testing.T, js jetstream.JetStream) summaryOf {
	for end := time.Now().Add(agentTestLength); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		stream, err := js.Stream(ctx, "KV_retune")
		var m *jetstream.RawStreamMsg
		if err == nil {
			m, err = stream.GetLastMsgForSubject(ctx, "retune.summary.m.s")
		}
		cancel()
		var s summaryOf
		if err == nil && json.Unmarshal(m.Data, &s) == nil {
			return s
		}
	}
	t.Errorf("the study has not ended within %s", agentTestLength)
	return summaryOf{Reason: "none"}
}

// countRuns also checks that no program runs any more. On other systems those of killed agents may.
func countRuns(t *testing.T, pids string) int {
	t.Helper()
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(text))
	for _, pid := range all {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err == nil && runtime.GOOS == "linux" && !strings.Contains(string(stat), ") Z ") && strings.Contains(string(stat), "(sh)") {
			t.Errorf("%s", stat)
		}
	}
	return len(all)
}

// results fails unless each trial has one, in the very stream of the reports, and no config waits any more.
func results(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	consumer, err := js.CreateConsumer(t.Context(), "RETUNE_METRICS", jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, FilterSubject: "retune.metrics.*.m"})
	if err != nil {
		t.Fatal(err)
	}
	finals := map[int]int{}
	for left := consumer.CachedInfo().NumPending; left > 0; left-- {
		m, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Trial int
			State string
		}
		if err := json.Unmarshal(m.Data(), &report); err != nil {
			t.Fatal(err)
		}
		switch report.State {
		case "complete":
			finals[report.Trial]++
		case "failed":
			t.Errorf("%s", m.Data())
		}
	}
	for trial := range agentTrials {
		if finals[trial] != 1 {
			t.Errorf("trial %d has %d results", trial, finals[trial])
		}
	}
	shared, err := js.Consumer(t.Context(), "KV_retune", "retune-agents-m")
	if err != nil {
		t.Fatal(err)
	}
	if info := shared.CachedInfo(); info.NumPending+uint64(info.NumAckPending) > 0 {
		t.Errorf("%d configs wait, %d are not settled", info.NumPending, info.NumAckPending)
	}
}
