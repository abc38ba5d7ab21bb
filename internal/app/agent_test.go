//go:build unix

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/study"
)

// listener passes on the lines written to it.
type listener struct {
	mu   sync.Mutex
	rest []byte
	all  bytes.Buffer
	line chan string
}

func newListener() *listener { return &listener{line: make(chan string, 10_000)} }

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.line <- string(line)
		l.rest = rest
	}
}

func (l *listener) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// await returns the next line with the part.
func (l *listener) await(t *testing.T, part string) string {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case line := <-l.line:
			if strings.Contains(line, part) {
				return line
			}
		case <-timeout:
			t.Fatalf("no %q in\n%s", part, l)
		}
	}
}

// agentRun is an agent that runs a shell script per trial.
type agentRun struct {
	out, log *listener
	stop     func() error
}

func (c *commandBundle) agent(model, script string, parallel int) *agentRun {
	c.t.Helper()
	a := &agentRun{out: newListener(), log: newListener()}
	b := bustest.Open(c.t, c.url, bustest.Settings())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- RunAgent(ctx, b, AgentOptions{
			Model: model, Command: []string{"sh", "-c", script, "sh", "{args}"}, Parallel: parallel,
			Out: a.out, Err: a.out, Log: zerolog.New(a.log).Level(zerolog.DebugLevel),
		})
	}()
	a.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	c.t.Cleanup(func() { _ = a.stop() })
	return a
}

// evaluatedStudy waits for the end of a study and returns it with its trials.
func (c *commandBundle) evaluatedStudy(model, name string) StudyView {
	c.t.Helper()
	layout, err := c.bus.Layout(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := (sentCommand{model: model, partition: layout.Partition(model)}).awaitEnd(ctx, c.bus, name); err != nil {
		c.t.Fatal(err)
	}
	v, err := findStudy(c.t.Context(), c.bus, model, name)
	if err == nil {
		err = v.loadTrials(c.t.Context(), c.bus)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// unsettled is how many trials are waiting for an agent or in the hands of one.
func (c *commandBundle) unsettled(model string) int {
	c.t.Helper()
	consumer, err := c.js.Consumer(c.t.Context(), "KV_retune", bus.AgentsConsumer(model))
	if err != nil {
		c.t.Fatal(err)
	}
	info := consumer.CachedInfo()
	return int(info.NumPending) + info.NumAckPending
}

func (c *commandBundle) awaitSettled(model string) {
	c.t.Helper()
	bustest.Eventually(c.t, 10*time.Second, "all trials are settled", func() bool { return c.unsettled(model) == 0 })
}

const conditional = `model: m
name: s
objective: {metric: loss, goal: minimize}
space:
  opt: {values: [sgd, adam]}
  momentum: {values: [0.1, 0.2], when: {opt: [sgd]}}
strategy: grid
`

func TestAgentsEvaluateAStudy(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	a := c.agent("m", `
echo "trial $RETUNE_TRIAL got $*"
case $RETUNE_TRIAL in
0) echo epoch=1 loss=3; echo epoch=2 loss=2; echo loss=1.5 acc=1 ;;
1) echo oh dear >&2; exit 1 ;;
2) echo loss=nan ;;
esac`, 3)
	a.log.await(t, "waiting for the model's first study")
	if _, err := c.start(StartOptions{}, conditional+"parallelism: 3"); err != nil {
		t.Fatal(err)
	}
	v := c.evaluatedStudy("m", "s")
	c.awaitSettled("m")
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	var got []string
	for _, trial := range v.Trials {
		value := "-"
		if trial.Value != nil {
			value = fmt.Sprint(*trial.Value)
		}
		got = append(got, fmt.Sprintf("%d %s %s %q", trial.Number, trial.State, value, trial.Error))
	}
	want := "0 complete 1.5 \"\"\n1 failed - \"exit status 1: oh dear\"\n2 failed - \"the metric loss is NaN\""
	if strings.Join(got, "\n") != want {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	for _, line := range []string{"[trial 0] trial 0 got --momentum=0.1 --opt=sgd\n", "[trial 1] trial 1 got --opt=adam\n", "[trial 1] oh dear\n"} {
		if !strings.Contains(a.out.String(), line) {
			t.Errorf("no %q in\n%s", line, a.out)
		}
	}
	for _, line := range []string{`"loss":1.5,`, `"error":"exit status 1: oh dear"`, `"error":"loss is NaN"`, `"message":"trial complete"`} {
		if !strings.Contains(a.log.String(), line) {
			t.Errorf("no %q in\n%s", line, a.log)
		}
	}
	if got := c.reports(`"trial":0}`); len(got) != 4 || !strings.Contains(got[0], `"running"`) || !strings.Contains(got[1], `"step":1,`) || strings.Contains(got[3], "step") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// reports are the bodies of stored inputs with the part.
func (c *commandBundle) reports(part string) (bodies []string) {
	c.t.Helper()
	for _, m := range c.inputs() {
		if strings.Contains(string(m.Data), part) {
			bodies = append(bodies, string(m.Data))
		}
	}
	return bodies
}

func TestAStoppedTrialIsNotReportedAsFailed(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	a := c.agent("m", `trap 'echo told; exit 1' TERM; echo "up $RETUNE_STUDY"; while :; do sleep 0.1; done`, 1)
	if _, err := c.start(StartOptions{}, conditional); err != nil {
		t.Fatal(err)
	}
	a.out.await(t, "up s")
	if err := StopStudy(t.Context(), c.bus, "m", "s", 10*time.Second, false, new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	a.out.await(t, "told")
	if line := a.log.await(t, "trial stopped"); !strings.Contains(line, `"reason":"study_ended"`) {
		t.Error(line)
	}
	c.awaitSettled("m")
	if failed := c.reports("failed"); failed != nil {
		t.Error(failed)
	}
	// The agent is free for the next study.
	if _, err := c.start(StartOptions{}, strings.Replace(conditional, "name: s", "name: next", 1)); err != nil {
		t.Fatal(err)
	}
	a.out.await(t, "up next")
}

func TestAnInterruptedAgentHandsItsTrialBack(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	first := c.agent("m", `trap 'exit 3' TERM; echo step=1 loss=9; echo up; while :; do sleep 0.1; done`, 1)
	if _, err := c.start(StartOptions{}, strings.Replace(conditional, "strategy: grid", "max_trials: 1", 1)); err != nil {
		t.Fatal(err)
	}
	first.out.await(t, "up")
	start := time.Now()
	if err := first.stop(); err != nil {
		t.Error(err)
	}
	second := c.agent("m", `echo "attempt $RETUNE_ATTEMPT"; echo loss=2`, 1)
	second.out.await(t, "attempt 1")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the other agent got it after %s", took)
	}
	v := c.evaluatedStudy("m", "s")
	if v.Counts[study.Complete] != 1 || *v.Trials[0].Value != 2 || v.Trials[0].Attempt != 1 {
		t.Errorf("%+v", v.Trials)
	}
	if failed := c.reports("failed"); failed != nil {
		t.Error(failed)
	}
	c.awaitSettled("m")
}

func TestTrialsThatAreOverAreNotRun(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	a := c.agent("m", "echo ran; echo loss=1", 1)
	if _, err := c.start(StartOptions{}, conditional); err != nil {
		t.Fatal(err)
	}
	c.evaluatedStudy("m", "s")
	c.awaitSettled("m")
	ran := strings.Count(a.out.String(), "ran")
	// As if none had been settled: all come again.
	if err := errors.Join(c.bus.RemoveAgents(t.Context(), "m"), c.bus.EnsureAgents(t.Context(), "m")); err != nil {
		t.Fatal(err)
	}
	if c.unsettled("m") == 0 {
		t.Fatal("none came again")
	}
	c.awaitSettled("m")
	if again := strings.Count(a.out.String(), "ran"); ran != 3 || again != ran {
		t.Errorf("%d trials ran, %d again", ran, again-ran)
	}
	if n := len(c.reports(`"complete"`)); n != 3 {
		t.Errorf("%d results of 3 trials", n)
	}
}

func TestATrialInHandIsNotRunTwice(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	const ackWait = 500 * time.Millisecond
	_, err := c.js.CreateConsumer(t.Context(), "KV_retune", jetstream.ConsumerConfig{
		Durable: bus.AgentsConsumer("m"), FilterSubject: "retune.config.m.*.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.worker()
	done := filepath.Join(t.TempDir(), "done")
	a := c.agent("m", "echo up; until [ -e "+done+" ]; do sleep 0.1; done; echo loss=1", 3)
	if _, err := c.start(StartOptions{}, strings.Replace(conditional, "strategy: grid", "max_trials: 1", 1)); err != nil {
		t.Fatal(err)
	}
	a.out.await(t, "up")
	select { // a slot is free, but the trial is being worked on
	case line := <-a.out.line:
		t.Error(line)
	case <-time.After(4 * ackWait):
	}
	if consumer, err := c.js.Consumer(t.Context(), "KV_retune", bus.AgentsConsumer("m")); err != nil || consumer.CachedInfo().NumRedelivered > 0 {
		t.Errorf("%v: it came again", err)
	}
	// As if the server had not heard of it for long: it comes again, to the same agent.
	if err := errors.Join(c.bus.RemoveAgents(t.Context(), "m"), c.bus.EnsureAgents(t.Context(), "m")); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, 10*time.Second, "it comes again", func() bool {
		consumer, err := c.js.Consumer(t.Context(), "KV_retune", bus.AgentsConsumer("m"))
		return err == nil && consumer.CachedInfo().NumAckPending == 1
	})
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if v := c.evaluatedStudy("m", "s"); v.Counts[study.Complete] != 1 {
		t.Errorf("%+v", v.Counts)
	}
	if n := strings.Count(a.out.String(), "up"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

func TestAParameterIsNeverPassedOnAsItsPlaceholder(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	b := bustest.Open(t, c.url, bustest.Settings())
	out := newListener()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- RunAgent(ctx, b, AgentOptions{
			Model: "m", Command: []string{"echo", "loss=1", "momentum={momentum}", "{other}"}, Parallel: 1, Out: out, Err: out, Log: zerolog.Nop(),
		})
	}()
	if _, err := c.start(StartOptions{}, conditional); err != nil {
		t.Fatal(err)
	}
	v := c.evaluatedStudy("m", "s")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if v.Counts[study.Complete] != 2 || v.Counts[study.Failed] != 1 || !strings.Contains(v.Trials[1].Error, "the parameter momentum is inactive") {
		t.Errorf("%+v", v.Trials)
	}
	if out.String() != "loss=1 momentum=0.1 {other}\nloss=1 momentum=0.2 {other}\n" {
		t.Error(out)
	}
}

func TestWhatAnAgentRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    AgentOptions
		want string
	}{
		{AgentOptions{Model: "a b", Parallel: 1, Command: []string{"true"}}, `--model: "a b" is not a name`},
		{AgentOptions{Model: "m", Parallel: 0, Command: []string{"true"}}, "--parallel: 0 is out of range"},
		{AgentOptions{Model: "m", Parallel: 1000, Command: []string{"true"}}, "give 1 to 256"},
		{AgentOptions{Model: "m", Parallel: 1}, "no command: give one after --"},
		{AgentOptions{Model: "m", Parallel: 1, Command: []string{"no-such-program"}}, "cannot be run"},
	} {
		var misuse *Misuse
		if err := RunAgent(t.Context(), nil, c.o); !errors.As(err, &misuse) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, wanted %s", err, c.want)
		}
	}
}

func TestLingering(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	longer, release := lingering(ctx, 20*time.Millisecond)
	defer release()
	start := time.Now()
	cancel()
	<-longer.Done()
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Error(took)
	}
	idle, release := lingering(context.Background(), time.Hour)
	release()
	<-idle.Done()
}
