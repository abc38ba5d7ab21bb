//go:build unix

package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// retrain stores an event as a commit does.
func (c *commandBundle) retrain(model, id string, change ...func(*wire.Retrain)) {
	c.t.Helper()
	value := 2.5
	event := wire.Retrain{ID: id, ModelID: model, Trigger: "degraded", Reason: "Loss degraded", Severity: "warning", Metric: "loss", Detector: "rolling_mean", Value: &value, Time: "2026-01-02T03:04:05Z"}
	for _, f := range change {
		f(&event)
	}
	body, err := wire.Encode(event, wire.Msgpack)
	if err != nil {
		c.t.Fatal(err)
	}
	m := nats.NewMsg("commit." + c.bus.Settings().Subjects.Retrain(model, id))
	m.Data = body
	for name, value := range map[string]string{"Content-Type": wire.Msgpack.ContentType(), "ce-id": id, "ce-subject": model} {
		m.Header[name] = []string{value}
	}
	if _, err := c.js.PublishMsg(c.t.Context(), m); err != nil {
		c.t.Fatal(err)
	}
}

// hook runs a shell script per event, as one of the name h unless that is changed, with delays of 50 ms.
func (c *commandBundle) hook(script string, change ...func(*HookOptions)) *agentRun {
	c.t.Helper()
	a := &agentRun{out: newListener(), log: newListener()}
	o := HookOptions{
		Name: "h", Command: []string{"sh", "-c", script}, Parallel: 1, Retries: 5, Out: a.out, Err: a.out,
		Log: zerolog.New(a.log).Level(zerolog.DebugLevel), backoff: func(int) time.Duration { return 50 * time.Millisecond },
	}
	for _, f := range change {
		f(&o)
	}
	b, err := bus.Open(bus.Connection{Name: "hook", URL: c.url}, bustest.Settings(), bustest.Logger(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- RunHook(ctx, b, o)
		b.Close()
	}()
	a.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	c.t.Cleanup(func() { _ = a.stop() })
	return a
}

// waitingHook is one whose consumer is there.
func (c *commandBundle) waitingHook(script string, change ...func(*HookOptions)) *agentRun {
	c.t.Helper()
	a := c.hook(script, change...)
	a.log.await(c.t, "retune-hook-")
	return a
}

func parallel(n int) func(*HookOptions) { return func(o *HookOptions) { o.Parallel = n } }

func (c *commandBundle) hookConsumer(name string) *jetstream.ConsumerInfo {
	c.t.Helper()
	consumer, err := c.js.Consumer(c.t.Context(), "KV_retune", bus.HookConsumer(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return consumer.CachedInfo()
}

// quickHook makes the consumer before a hook does, with an ack wait that suits a test.
func (c *commandBundle) quickHook(name string, ackWait time.Duration) {
	c.t.Helper()
	_, err := c.js.CreateConsumer(c.t.Context(), "KV_retune", jetstream.ConsumerConfig{
		Durable: bus.HookConsumer(name), FilterSubject: "retune.retrain.*.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *commandBundle) awaitHooked(name string) {
	c.t.Helper()
	bustest.Eventually(c.t, 15*time.Second, "all events are settled", func() bool {
		info := c.hookConsumer(name)
		return info.NumPending == 0 && info.NumAckPending == 0
	})
}

func TestAHookRunsPerEvent(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	a := c.waitingHook(`cat; echo; env | grep ^RETUNE_ | sort; echo oh dear >&2`)
	config, err := wire.MarshalState(map[string]any{"lr": 0.1})
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	c.retrain("fraud-eu", "01A", func(e *wire.Retrain) {
		e.Value, e.Reference, e.Config, e.Version, e.Severity, e.Reason = &nan, e.Value, config, "v1\x00", "critical", "Loss is\nbad"
	})
	a.log.await(t, "run done")
	c.awaitHooked("h")
	event := `{"id":"01A","model_id":"fraud-eu","trigger":"degraded","reason":"Loss is\nbad","severity":"critical","metric":"loss","detector":"rolling_mean","value":"NaN","reference":2.5,"config":{"lr":0.1},"version":"v1\u0000","time":"2026-01-02T03:04:05Z"}`
	for _, line := range []string{
		event, "oh dear", "RETUNE_EVENT=" + event, "RETUNE_ID=01A", "RETUNE_MODEL=fraud-eu", "RETUNE_TRIGGER=degraded",
		"RETUNE_REASON=Loss is", "RETUNE_SEVERITY=critical", "RETUNE_METRIC=loss", "RETUNE_DETECTOR=rolling_mean", "RETUNE_VALUE=NaN",
		"RETUNE_REFERENCE=2.5", `RETUNE_CONFIG={"lr":0.1}`, "RETUNE_VERSION=v1", "RETUNE_STUDY=", "RETUNE_BEST_TRIAL=",
		"RETUNE_RUN_ID=", "RETUNE_TIME=2026-01-02T03:04:05Z", "RETUNE_ATTEMPT=1",
	} {
		if !strings.Contains(a.out.String(), "[fraud-eu] "+line+"\n") {
			t.Errorf("no %q in\n%s", line, a.out)
		}
	}
	if err := a.stop(); err != nil {
		t.Error(err)
	}
}

func TestAnEventTooLongForTheEnvironmentIsRun(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	a := c.waitingHook(`wc -c; echo "event=$RETUNE_EVENT."`)
	c.retrain("m", "01A", func(e *wire.Retrain) { e.RunID = strings.Repeat("x", 300_000) })
	a.log.await(t, "run done")
	if got := a.out.String(); !strings.Contains(got, "[m] event=.\n") || !strings.Contains(got, "300") {
		t.Error(got)
	}
}

func TestAFailedRunIsRepeated(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	a := c.waitingHook(`echo "$RETUNE_ID $RETUNE_ATTEMPT"; echo broken >&2; [ $RETUNE_ATTEMPT = 3 ]`)
	c.retrain("m", "01A")
	c.retrain("m", "01B")
	a.log.await(t, "run done")
	a.log.await(t, "run done")
	c.awaitHooked("h")
	if got := strings.ReplaceAll(a.out.String(), "[m] broken\n", ""); got != "[m] 01A 1\n[m] 01A 2\n[m] 01A 3\n[m] 01B 1\n[m] 01B 2\n[m] 01B 3\n" {
		t.Error(got)
	}
	if !strings.Contains(a.log.String(), `"error":"exit status 1: broken","retry_in":`) {
		t.Error(a.log)
	}
	if info := c.hookConsumer("h"); info.NumRedelivered != 0 {
		t.Errorf("%+v", info)
	}
}

func TestAnEventIsGivenUp(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	a := c.waitingHook(`echo "$RETUNE_ID $RETUNE_ATTEMPT"; [ $RETUNE_ID != 01A ]`, func(o *HookOptions) { o.Retries = 2 })
	c.retrain("m", "01A")
	c.retrain("m", "01B")
	if line := a.log.await(t, "given up"); !strings.Contains(line, `"level":"error"`) || !strings.Contains(line, `"id":"01A"`) || !strings.Contains(line, `"attempt":3`) {
		t.Error(line)
	}
	a.log.await(t, "run done")
	c.awaitHooked("h")
	if got := a.out.String(); got != "[m] 01A 1\n[m] 01A 2\n[m] 01A 3\n[m] 01B 1\n" {
		t.Error(got)
	}
}

// TestAModelHasOneRunAtATime has three slots, and a model whose runs take long enough for others to begin.
func TestAModelHasOneRunAtATime(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	folder := t.TempDir()
	a := c.waitingHook(`cd `+folder+`
mkdir run.$RETUNE_MODEL || echo TWICE
touch $RETUNE_ID
echo begin $RETUNE_ID.$RETUNE_ATTEMPT
[ $RETUNE_ID != m1 ] || until [ -e n1 ]; do sleep 0.01; done # so that they run at the same time
[ $RETUNE_ID != n1 ] || until [ -e m1 ]; do sleep 0.01; done
sleep 0.1
rmdir run.$RETUNE_MODEL
echo end $RETUNE_ID.$RETUNE_ATTEMPT
[ $RETUNE_ID.$RETUNE_ATTEMPT != m2.1 ]`, parallel(3))
	for _, id := range []string{"m1", "m2", "m3", "n1", "m4", "n2"} {
		c.retrain(id[:1], id)
	}
	for range 6 {
		a.log.await(t, "run done")
	}
	c.awaitHooked("h")
	var of [2][]string
	for line := range strings.Lines(a.out.String()) {
		model := strings.Index("mn", line[1:2])
		of[model] = append(of[model], strings.TrimSpace(line[4:]))
	}
	for i, want := range []string{
		"begin m1.1 end m1.1 begin m2.1 end m2.1 begin m2.2 end m2.2 begin m3.1 end m3.1 begin m4.1 end m4.1",
		"begin n1.1 end n1.1 begin n2.1 end n2.1",
	} {
		if got := strings.Join(of[i], " "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestAHookRunsSoManyAtOnce(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	open := filepath.Join(t.TempDir(), "open")
	a := c.waitingHook(`echo up; until [ -e `+open+` ]; do sleep 0.01; done`, parallel(2))
	for i := range 5 {
		c.retrain(fmt.Sprint("m", i), "01A")
	}
	a.out.await(t, "up")
	a.out.await(t, "up")
	select {
	case line := <-a.out.line:
		t.Error("a third one runs:", line)
	case <-time.After(500 * time.Millisecond):
	}
	if info := c.hookConsumer("h"); info.NumAckPending != 2 {
		t.Errorf("%d events in hand, though others could take them", info.NumAckPending)
	}
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.awaitHooked("h")
	if n := strings.Count(a.out.String(), "up"); n != 5 {
		t.Errorf("%d runs", n)
	}
}

func TestAFailedRunMakesRoomForOtherModels(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	a := c.waitingHook(`echo $RETUNE_ID; [ $RETUNE_MODEL = n ]`, func(o *HookOptions) { o.backoff = func(int) time.Duration { return time.Hour } })
	c.retrain("m", "m1")
	c.retrain("m", "m2")
	c.retrain("n", "n1")
	a.out.await(t, "n1")
	bustest.Eventually(t, 5*time.Second, "two of three are in hand", func() bool {
		info := c.hookConsumer("h")
		return info.NumAckPending == 2 && info.NumPending == 0
	})
	start := time.Now()
	if err := a.stop(); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if got := a.out.String(); got != "[m] m1\n[n] n1\n" {
		t.Error(got)
	}
	next := c.hook(`echo $RETUNE_ID`)
	next.log.await(t, "run done")
	next.log.await(t, "run done")
	if got := next.out.String(); got != "[m] m1\n[m] m2\n" {
		t.Errorf("%s\n%s\n%s", got, a.log, next.log)
	}
}

// TestAnEventThatFindsNoSlot has a run repeated while its hook waits for events.
func TestAnEventThatFindsNoSlot(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	open := filepath.Join(t.TempDir(), "open")
	first := c.waitingHook(`[ $RETUNE_ATTEMPT = 2 ] || exit 1; echo up; until [ -e `+open+` ]; do sleep 0.01; done`,
		func(o *HookOptions) { o.backoff = func(int) time.Duration { return 500 * time.Millisecond } })
	c.retrain("m", "m1")
	first.out.await(t, "up")
	second := c.waitingHook(`true`)
	start := time.Now()
	c.retrain("n", "n1")
	c.retrain("o", "o1")
	second.log.await(t, "run done")
	second.log.await(t, "run done")
	if took := time.Since(start); took > 15*time.Second { // the ack wait is 30 s
		t.Errorf("the other hook had them after %s", took)
	}
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.awaitHooked("h")
	if strings.Contains(first.log.String(), `"model":"n"`) || strings.Contains(first.log.String(), `"model":"o"`) {
		t.Error(first.log)
	}
}

func TestAnInterruptedHookHandsItsEventsBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		most         time.Duration
	}{
		{"whose program listens", `trap 'exit 3' TERM; `, 4 * time.Second},
		{"whose program does not listen", `trap '' TERM; `, 9500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newCommandBundle(t)
			pid := filepath.Join(t.TempDir(), "pid")
			first := b.waitingHook(c.script+`echo $$ > `+pid+`; echo up $RETUNE_ID; while :; do sleep 0.1; done`, parallel(2))
			b.retrain("m", "m1")
			b.retrain("m", "m2")
			first.out.await(t, "up m1")
			// It asks for another only when it has what it was sent, which is when it can hand that back at once.
			bustest.Eventually(t, 5*time.Second, "both are in hand", func() bool {
				info := b.hookConsumer("h")
				return info.NumAckPending == 2 && info.NumWaiting == 1
			})
			start := time.Now()
			if err := first.stop(); err != nil || time.Since(start) > c.most {
				t.Errorf("%v after %s", err, time.Since(start))
			}
			first.log.await(t, "run interrupted")
			if text, err := os.ReadFile(pid); err != nil || isRunning(strings.TrimSpace(string(text))) {
				t.Errorf("the program still runs: %s %v", text, err)
			}
			second := b.waitingHook(`echo "then $RETUNE_ID $RETUNE_ATTEMPT"`)
			second.log.await(t, "run done")
			second.log.await(t, "run done")
			if got := second.out.String(); got != "[m] then m1 1\n[m] then m2 1\n" {
				t.Error(got)
			}
			b.awaitHooked("h")
			if took := time.Since(start); took > 15*time.Second { // the ack wait is 30 s
				t.Errorf("the other hook had them after %s", took)
			}
		})
	}
}

func isRunning(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestAnEventInHandStaysThere(t *testing.T) {
	t.Parallel()
	const ackWait = 500 * time.Millisecond
	c := newCommandBundle(t)
	c.quickHook("h", ackWait)
	open := filepath.Join(t.TempDir(), "open")
	script := `echo up $RETUNE_ID; until [ -e ` + open + ` ]; do sleep 0.01; done`
	first, second := c.waitingHook(script, parallel(2)), c.waitingHook(script, parallel(2))
	c.retrain("m", "01A")
	time.Sleep(4 * ackWait)
	if info := c.hookConsumer("h"); info.NumRedelivered != 0 || info.NumAckPending != 1 {
		t.Errorf("%+v", info)
	}
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.awaitHooked("h")
	if runs := first.out.String() + second.out.String(); runs != "[m] up 01A\n" {
		t.Error(runs)
	}
}

func TestAnEventThatComesAgainIsRunOnce(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	folder := t.TempDir()
	a := c.waitingHook(`echo up $RETUNE_ID; until [ -e `+folder+`/$RETUNE_ID ]; do sleep 0.01; done`, parallel(2))
	c.retrain("m", "m1")
	a.out.await(t, "up m1")
	// As after an outage: the server has forgotten who has it.
	if err := c.js.DeleteConsumer(t.Context(), "KV_retune", bus.HookConsumer("h")); err != nil {
		t.Fatal(err)
	}
	_, err := c.js.CreateConsumer(t.Context(), "KV_retune", jetstream.ConsumerConfig{
		Durable: bus.HookConsumer("h"), FilterSubject: "retune.retrain.*.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, 15*time.Second, "it comes again", func() bool { return c.hookConsumer("h").NumAckPending == 1 })
	c.retrain("n", "n1")
	a.out.await(t, "up n1")
	for _, id := range []string{"m1", "n1"} {
		if err := os.WriteFile(filepath.Join(folder, id), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.awaitHooked("h")
	if got := a.out.String(); got != "[m] up m1\n[n] up n1\n" {
		t.Error(got)
	}
}

func TestAHookWithoutItsConsumerMissesNothing(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.retrain("m", "old")
	a := c.waitingHook(`echo $RETUNE_ID`)
	c.retrain("m", "01A")
	a.log.await(t, "run done")
	if err := c.js.DeleteConsumer(t.Context(), "KV_retune", bus.HookConsumer("h")); err != nil {
		t.Fatal(err)
	}
	c.retrain("m", "01B")
	a.log.await(t, "run done")
	if got := a.out.String(); got != "[m] 01A\n[m] 01B\n" {
		t.Error(got)
	}
}

func TestWhichEventsAHookTakes(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.retrain("m", "m-old")
	c.retrain("n", "n-old")
	improved := func(e *wire.Retrain) { e.Trigger = "improved" }
	hooks := map[string]*agentRun{}
	for name, change := range map[string]func(*HookOptions){
		"news":     func(*HookOptions) {},
		"stored":   func(o *HookOptions) { o.All = true },
		"of m":     func(o *HookOptions) { o.All, o.Model = true, "m" },
		"improved": func(o *HookOptions) { o.All, o.Triggers = true, []string{"stale", "improved"} },
	} {
		hooks[name] = c.waitingHook(`echo $RETUNE_ID`, func(o *HookOptions) { o.Name = strings.ReplaceAll(name, " ", "-"); change(o) })
	}
	c.retrain("m", "m-new")
	c.retrain("m", "m-better", improved)
	for name, want := range map[string]string{
		"news": "m-new m-better", "stored": "m-old n-old m-new m-better", "of m": "m-old m-new m-better", "improved": "m-better",
	} {
		c.awaitHooked(strings.ReplaceAll(name, " ", "-"))
		bustest.Eventually(t, 5*time.Second, "the last run of "+name, func() bool { return strings.Contains(hooks[name].out.String(), "m-better") })
		got := strings.Fields(strings.NewReplacer("[m] ", "", "[n] ", "").Replace(hooks[name].out.String()))
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, change := range []func(*HookOptions){
		func(o *HookOptions) { o.Name, o.Model = "news", "m" },
		func(o *HookOptions) { o.Name, o.Triggers = "news", []string{"stale"} },
	} {
		err := c.hook("true", change).ended()
		var misuse *Misuse
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), `--name: "news": a hook of this name takes other events`) || !strings.Contains(err.Error(), "remove the consumer retune-hook-news") {
			t.Error(err)
		}
	}
	if err := hooks["stored"].stop(); err != nil {
		t.Error(err)
	}
	again := c.hook("true", func(o *HookOptions) { o.Name, o.All = "stored", true })
	again.log.await(t, "in spite of --all")
}

// ended waits for the end that a hook finds by itself.
func (a *agentRun) ended() error {
	time.Sleep(time.Second)
	return a.stop()
}

func TestWhatIsNoEventIsLeftOut(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	a := c.waitingHook(`echo $RETUNE_ID`)
	if _, err := c.js.Publish(t.Context(), "commit.retune.retrain.m.01A", []byte("\xc1")); err != nil {
		t.Fatal(err)
	}
	c.retrain("m", "01B")
	a.out.await(t, "01B")
	if line := a.log.await(t, "not a retrain event"); !strings.Contains(line, `"level":"error"`) || !strings.Contains(line, "retune.retrain.m.01A") {
		t.Error(line)
	}
	c.awaitHooked("h")
}

func TestAHookWaitsForTheFirstWorker(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	_, js := bustest.Client(t, srv.ClientURL())
	c := &commandBundle{t: t, url: srv.ClientURL(), js: js}
	a := c.hook(`echo $RETUNE_ID`)
	a.log.await(t, "waiting for the first worker")
	c.bus = bustest.Open(t, c.url, bustest.Settings())
	c.retrain("m", "01A") // before or after the hook has seen the bucket
	a.out.await(t, "01A")
}

func TestARunThatTakesTooLong(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	a := c.waitingHook(`[ $RETUNE_ATTEMPT = 2 ] || sleep 100`, func(o *HookOptions) { o.Timeout = 300 * time.Millisecond })
	c.retrain("m", "01A")
	if line := a.log.await(t, "run failed"); !strings.Contains(line, "stopped after 300ms, its timeout") {
		t.Error(line)
	}
	a.log.await(t, "run done")
	c.awaitHooked("h")
}

func TestWhatAHookRefuses(t *testing.T) {
	t.Parallel()
	command := []string{"true"}
	for _, c := range []struct {
		o    HookOptions
		want string
	}{
		{HookOptions{Name: "a b", Parallel: 1, Command: command}, `--name: "a b" is not a name`},
		{HookOptions{Model: "m.*", Parallel: 1, Command: command}, `--model: "m.*" is not a name`},
		{HookOptions{Triggers: []string{"degrade"}, Parallel: 1, Command: command}, `--trigger: "degrade" is unknown: did you mean degraded?`},
		{HookOptions{Parallel: 0, Command: command}, "--parallel: 0 is out of range: give 1 to 256"},
		{HookOptions{Parallel: 1, Retries: -1, Command: command}, "--retries: -1 is out of range: give 0 to 1000"},
		{HookOptions{Parallel: 1, Timeout: -1, Command: command}, "--timeout: -1ns is negative"},
		{HookOptions{Parallel: 1}, "no command: give one after --, such as"},
		{HookOptions{Parallel: 1, Command: []string{"no-such-program"}}, "the command cannot be run"},
	} {
		var misuse *Misuse
		if err := RunHook(t.Context(), nil, c.o); !errors.As(err, &misuse) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestHooksOfOtherCommandsHaveOtherNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	all := []HookOptions{
		{Command: []string{"echo", "a"}}, {Command: []string{"echo", "b"}}, {Command: []string{"echo", "a", ""}},
		{Command: []string{"echo", "a"}, Model: "m"}, {Command: []string{"echo", "a"}, Triggers: []string{"stale"}},
	}
	for _, o := range all {
		o.Parallel = 1
		if err := o.complete(); err != nil {
			t.Fatal(err)
		}
		names[o.Name] = true
	}
	same := HookOptions{Command: []string{"echo", "a"}, Model: "*", Parallel: 3, Triggers: slices.Concat(HookTriggers, HookTriggers)}
	if err := same.complete(); err != nil || len(names) != len(all) || !names[same.Name] {
		t.Errorf("%v %v %s", err, names, same.Name)
	}
}
