package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// byKind counts messages by the second token of their subjects, stops by reason.
func byKind(messages []*nats.Msg) map[string]int {
	n := map[string]int{}
	for _, m := range messages {
		kind := strings.Split(m.Subject, ".")[1]
		if kind == "stop" {
			_, reason, _ := strings.Cut(string(m.Data), `"reason":"`)
			reason, _, _ = strings.Cut(reason, `"`)
			kind += " " + reason
		}
		n[kind]++
	}
	return n
}

// expect collects until as many messages of each kind have come, and no others.
func (b *testBundle) expect(sub *nats.Subscription, want map[string]int) (all []*nats.Msg) {
	b.t.Helper()
	total := 0
	for _, n := range want {
		total += n
	}
	for range total {
		m, err := sub.NextMsg(15 * time.Second)
		if err != nil {
			b.t.Fatalf("%v: got %v, wanted %v", err, byKind(all), want)
		}
		all = append(all, m)
	}
	if got := byKind(append(all, b.drain(sub)...)); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Fatalf("got %v, wanted %v", got, want)
	}
	return all
}

// TestLargestSteps takes a study of as many trials at once as are allowed through
// its largest steps.
func TestLargestSteps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	b.worker()
	b.command("m", startStudy, "s", `"max_duration":"1h","parallelism":256,"trial_timeout":"1s","seed":1`)
	b.expect(all, map[string]int{"config": 256})
	for i := range 256 {
		must(b.js.PublishAsync("retune.metrics.m", []byte(fmt.Sprintf(`{"study":"s","trial":%d,"state":"running"}`, i)), jetstream.WithStallWait(20*time.Second)))
	}
	<-b.js.PublishAsyncComplete()
	b.expect(all, map[string]int{"stop timed_out": 256, "config": 256})
	b.command("m", `{"op":"stop","name":"s"}`)
	b.expect(all, map[string]int{"stop study_ended": 256, "summary": 1})
	b.command("m", startStudy, "limited", `"max_duration":"1s","parallelism":256`)
	b.expect(all, map[string]int{"config": 256, "stop study_ended": 256, "summary": 1})
}

// TestManyStudiesInOneChunk: together they are far beyond one batch.
func TestManyStudiesInOneChunk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	others := b.subscribe("retune.*.*.other.>")
	const studies = 8
	for i := range studies {
		b.command("m", startStudy, fmt.Sprintf("s%d", i), `"max_trials":300,"parallelism":256`)
		b.command(fmt.Sprintf("m%d", i), startStudy, "other", `"max_trials":300,"parallelism":200`)
		b.command("m", `{"op":"stop","name":"s%d"}`, i)
	}
	b.worker()
	b.expect(all, map[string]int{"config": 256 * studies, "stop study_ended": 256 * studies, "summary": studies})
	b.expect(others, map[string]int{"config": 200 * studies})
	b.settle()
	if n := len(b.keys("$KV.retune.trial.0.m.>")); n != 256*studies {
		t.Errorf("%d trials of m are stored", n)
	}
}

// TestNoStepOutgrowsItsBound makes the largest tick there is: trials time out and
// are replaced while all others have changed too.
func TestNoStepOutgrowsItsBound(t *testing.T) {
	t.Parallel()
	config := testConfig()
	m := newModel("m", config.policy("m"))
	now := time.Unix(1e9, 0)
	largest := 0
	do := func(at time.Time, f func(s *step)) {
		s := &step{cause: cause{model: "m", sequence: 1, now: at}, config: &config, names: wire.Subjects{Prefix: "retune"}, room: 1 << 20}
		f(s)
		if s.err != nil {
			t.Fatal(s.err)
		}
		largest = max(largest, len(s.outputs)+m.writes())
		if len(s.outputs) > 0 {
			m.written()
		}
	}
	command := func(format string, args ...any) wire.Command {
		return must(wire.DecodeCommand(fmt.Appendf(nil, format, args...), ""))
	}
	beat := func(trial int) *wire.Report {
		return pointer(must(wire.DecodeReport(fmt.Appendf(nil, `{"study":"s","trial":%d,"state":"running"}`, trial), "")))
	}
	start := command(startStudy, "s", `"max_duration":"1h","parallelism":256,"trial_timeout":"10s"`)
	do(now, func(s *step) { must(0, s.command(m, &start)) })
	for i := range 256 {
		at := now
		if i >= 128 {
			at = now.Add(9 * time.Second)
		}
		do(at, func(s *step) { must(0, s.report(m, beat(i))) })
	}
	do(now.Add(12*time.Second), func(s *step) { s.tick(m) })
	do(now.Add(2*time.Hour), func(s *step) { s.tick(m) })
	t.Logf("the largest step took %d messages", largest)
	if largest > largestStep {
		t.Errorf("a step took %d messages, room is made for %d", largest, largestStep)
	}
	if largestStep > bus.MaxWrites {
		t.Errorf("a step may take %d messages, a commit %d", largestStep, bus.MaxWrites)
	}
}

func pointer[T any](v T) *T { return &v }

// TestReportsThatWaitAreNotOvertaken: while no worker runs for longer than the
// timeout, trials keep reporting; the first tick must not expire them.
func TestReportsThatWaitAreNotOvertaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	w := b.worker()
	b.command("m", startStudy, "s", `"max_trials":1,"trial_timeout":"2s"`)
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"s","trial":0,"state":"running"}`)
	b.settle()
	w.stop()
	for range 8 {
		time.Sleep(500 * time.Millisecond) // the trainer's pace
		b.report("m", `{"study":"s","trial":0,"state":"running"}`)
	}
	// Many reports of others lie before the trial's last.
	for i := range 3000 {
		must(b.js.PublishAsync("retune.metrics.other", []byte(fmt.Sprintf(`{"metrics":{"x":%d}}`, i)), jetstream.WithStallWait(20*time.Second)))
	}
	<-b.js.PublishAsyncComplete()
	b.report("m", `{"study":"s","trial":0,"state":"running"}`)
	b.worker()
	b.settle()
	time.Sleep(200 * time.Millisecond)
	b.report("m", `{"study":"s","trial":0,"metrics":{"loss":1}}`)
	b.expect(all, map[string]int{"summary": 1, "retrain": 1})
}

func TestSilentTrialsTimeOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	b.worker()
	b.command("m", startStudy, "s", `"max_trials":1,"trial_timeout":"1s","retries":1`)
	b.expect(all, map[string]int{"config": 1})
	time.Sleep(1500 * time.Millisecond)
	b.none(all) // waiting in a queue is not being silent
	b.report("m", `{"study":"s","trial":0,"state":"running"}`)
	m := b.expect(all, map[string]int{"stop timed_out": 1, "config": 1})
	if !strings.Contains(string(m[0].Data), `"attempt":1`) || !strings.Contains(string(m[1].Data), `"attempt":2`) {
		t.Errorf("%s %s", m[0].Data, m[1].Data)
	}
	b.report("m", `{"study":"s","trial":0,"attempt":1,"metrics":{"loss":1}}`) // too late
	b.report("m", `{"study":"s","trial":0,"attempt":2,"state":"running"}`)
	m = b.expect(all, map[string]int{"stop timed_out": 1, "summary": 1})
	if !strings.Contains(string(m[1].Data), `"counts":{"timed_out":1}`) {
		t.Errorf("%s", m[1].Data)
	}
}

// TestTimePassesUnderLoad: a partition that is never idle still lets trials time out.
func TestTimePassesUnderLoad(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	b.worker()
	b.command("m", startStudy, "s", `"max_trials":1,"trial_timeout":"1s"`)
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"s","trial":0,"state":"running"}`)
	quiet := make(chan struct{})
	defer close(quiet)
	for range 4 {
		_, js := bustest.Client(t, b.srv.ClientURL())
		go func() {
			for {
				select {
				case <-quiet:
					return
				default:
					_, _ = js.Publish(context.Background(), "retune.metrics.other", []byte(`{"metrics":{"loss":1}}`))
				}
			}
		}()
	}
	start := time.Now()
	for range 2 {
		if _, err := all.NextMsg(15 * time.Second); err != nil {
			t.Fatalf("no stop within 15 s")
		}
	}
	t.Logf("stopped after %s", time.Since(start))
}

func TestStudyCommands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all, dead := b.subscribe("retune.*.m.>"), b.subscribe("retune.dead.>")
	b.worker()
	refused := func(why string) {
		t.Helper()
		if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), why) || m.Header.Get("Retune-Subject") != "retune.study.m" {
			t.Errorf("wanted %q: %v", why, m.Header)
		}
	}
	b.command("m", `{"op":"enqueue","name":"s","config":{"x":0.5}}`)
	refused("does not run")
	b.command("m", `{"op":"stop","name":"s"}`)
	refused("is not known")
	b.command("m", startStudy, "s", `"max_trials":3`)
	b.expect(all, map[string]int{"config": 1})
	b.command("m", startStudy, "s", `"max_trials":3`) // the same again
	b.command("m", startStudy, "s", `"max_trials":4`)
	refused("another definition")
	b.command("m", startStudy, "t", `"max_trials":3`)
	refused("still runs")
	b.command("m", `{"op":"enqueue","name":"s","config":{"x":2}}`)
	refused("x")
	b.command("m", `{"op":"enqueue","name":"s","config":{"x":0.125}}`)
	b.report("m", `{"study":"s","trial":0,"metrics":{"loss":1}}`)
	if m := b.expect(all, map[string]int{"config": 1}); !strings.Contains(string(m[0].Data), `"x":0.125`) {
		t.Errorf("what was enqueued is not next: %s", m[0].Data)
	}
	b.command("m", `{"op":"stop","name":"s"}`)
	b.expect(all, map[string]int{"stop study_ended": 1, "summary": 1, "retrain": 1})
	b.command("m", `{"op":"stop","name":"s"}`)
	b.command("m", startStudy, "s", `"max_trials":3`) // it has ended: nothing
	b.command("m", startStudy, "s", `"max_trials":9`)
	refused("had another definition")
	b.command("m", `{"op":"start","study":{"name":"big","objective":{"metric":"loss","goal":"minimize"},"note":%q}}`, strings.Repeat("x", 600<<10))
	refused("at most")
	b.command("m", `{"op":"start","study":{"objective":{"metric":"loss","goal":"minimize"}}}`)
	refused("study.")
	b.settle()
	b.none(all)
	b.none(dead)
	if b.read(wire.StudyKey(0, "m"), new(studyRecord)) || !b.read(wire.FinishedKey(0, "m", "s"), new(finishedRecord)) {
		t.Error("the keys of the study are not those of one that has ended")
	}
}

func TestTrialReports(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all, dead := b.subscribe("retune.*.m.>"), b.subscribe("retune.dead.>")
	b.worker()
	b.report("m", `{"study":"s","trial":0,"metrics":{"loss":1}}`)
	if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), "not a study") {
		t.Errorf("unknown study: %v", m.Header)
	}
	b.command("m", startStudy, "s", `"max_trials":2,"parallelism":1`)
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"s","trial":7,"metrics":{"loss":1}}`)
	if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), "never suggested") {
		t.Errorf("unknown trial: %v", m.Header)
	}
	b.report("m", `{"study":"s","trial":0,"metrics":{"loss":1}}`)
	b.report("m", `{"study":"s","trial":0,"metrics":{"loss":0.1}}`) // twice: the first counts
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"s","trial":1,"metrics":{"loss":"NaN"}}`)
	m := b.expect(all, map[string]int{"summary": 1, "retrain": 1})
	if s := string(m[0].Data); !strings.Contains(s, `"counts":{"complete":1,"failed":1}`) || !strings.Contains(s, `"value":1`) {
		t.Errorf("%s", s)
	}
	b.report("m", `{"study":"s","trial":1,"metrics":{"loss":0}}`)
	b.report("m", `{"study":"s","trial":99,"metrics":{"loss":0}}`)
	b.settle()
	b.none(all)
	b.none(dead)
}

// TestLiveReportsDuringAStudy are monitored, not answered.
func TestLiveReportsDuringAStudy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.subscribe("retune.*.m.>")
	b.worker()
	b.command("m", startStudy, "s", `"max_trials":2`)
	b.expect(all, map[string]int{"config": 1})
	for _, loss := range []int{1, 1, 1, 1, 5} {
		b.report("m", `{"metrics":{"loss":%d},"config":{"lr":0.5}}`, loss)
	}
	b.expect(all, map[string]int{"retrain": 1})
	b.command("m", `{"op":"stop","name":"s"}`)
	b.expect(all, map[string]int{"stop study_ended": 1, "summary": 1})
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	b.expect(all, map[string]int{"config": 1})
}

func TestForget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all, dead := b.subscribe("retune.*.m.>"), b.subscribe("retune.dead.>")
	w := b.worker()
	b.report("quiet", `{"metrics":{"loss":1}}`)
	b.settle()
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	b.expect(all, map[string]int{"config": 1})
	b.command("m", startStudy, "old", `"max_trials":1`)
	b.expect(all, map[string]int{"config": 1})
	b.report("m", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
	b.expect(all, map[string]int{"summary": 1, "retrain": 1})
	b.command("m", startStudy, "s", `"max_trials":9,"parallelism":3`)
	b.expect(all, map[string]int{"config": 3})
	b.report("quiet", `{"metrics":{"loss":1}}`) // holds the offset back
	b.command("m", `{"op":"forget"}`)
	b.expect(all, map[string]int{"stop study_ended": 3})
	w.crash()
	b.worker()
	b.report("m", `{"study":"old","trial":0,"metrics":{"loss":1}}`)
	if m, _ := b.next(dead); !strings.Contains(m.Header.Get("Retune-Error"), "not a study") {
		t.Errorf("%v", m.Header)
	}
	b.settle()
	b.none(all)
	if keys := append(b.keys("$KV.retune.trial.0.m.>"), b.keys("$KV.retune.study.0.m.*")...); len(keys) > 0 {
		t.Errorf("left: %v", keys)
	}
	if r := b.model("m"); !r.Forgotten || r.Reports > 0 || r.Config != nil {
		t.Errorf("left: %+v", r)
	}
	if n := b.offset().Models; n != 1 {
		t.Errorf("%d models are known, wanted quiet alone", n)
	}
	b.command("m", startStudy, "s", `"max_trials":1`) // the name again, another definition
	b.expect(all, map[string]int{"config": 1})
	// An agent gets the trial of the new study, none of the old ones.
	consumer := must(must(b.js.Stream(t.Context(), "KV_retune")).Consumer(t.Context(), bus.AgentsConsumer("m")))
	for m := range must(consumer.FetchNoWait(10)).Messages() {
		if m.Subject() != "retune.config.m.s.0" {
			t.Errorf("an agent gets %s", m.Subject())
		}
	}
	b.report("m", `{"study":"s","trial":0,"metrics":{"loss":1}}`)
	b.expect(all, map[string]int{"summary": 1, "retrain": 1})
	b.report("m", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	if m := b.expect(all, map[string]int{"config": 1}); !strings.Contains(string(m[0].Data), `"number":0`) {
		t.Errorf("%s", m[0].Data)
	}
	b.command("m", `{"op":"forget"}`)
	bustest.Eventually(t, 10*time.Second, "the agents' consumer is gone", func() bool {
		_, err := must(b.js.Stream(t.Context(), "KV_retune")).Consumer(t.Context(), bus.AgentsConsumer("m"))
		return errors.Is(err, jetstream.ErrConsumerNotFound)
	})
}
