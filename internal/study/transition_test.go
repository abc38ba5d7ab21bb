package study

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// An event changes a study. It says what came of it, the effects included.
type event func(*Study) ([]Effect, string)

func show(effects []Effect) string {
	words := []string{}
	for _, e := range effects {
		switch e.Kind {
		case EffectSuggested:
			words = append(words, fmt.Sprintf("suggest %d.%d", e.Trial, e.Attempt))
		case EffectStopped:
			words = append(words, fmt.Sprintf("stop %d.%d %s", e.Trial, e.Attempt, e.Reason))
		case EffectFinished:
			words = append(words, "finish "+e.Reason)
		}
	}
	return strings.Join(words, ", ")
}

func shown(effects []Effect) ([]Effect, string) { return effects, show(effects) }

func fills(d time.Duration) event {
	return func(s *Study) ([]Effect, string) { return shown(s.Fill(at(d))) }
}

func ticks(d time.Duration) event {
	return func(s *Study) ([]Effect, string) { return shown(s.Tick(at(d))) }
}

func stops(d time.Duration) event {
	return func(s *Study) ([]Effect, string) { return shown(s.Stop(at(d))) }
}

func reports(r Report, d time.Duration) event {
	return func(s *Study) ([]Effect, string) {
		effects, reason := s.Report(r, at(d))
		return effects, strings.TrimSuffix(string(reason)+": "+show(effects), ": ")
	}
}

func answers(a Answer, d time.Duration) event {
	return func(s *Study) ([]Effect, string) { return shown(s.Answer(a, at(d))) }
}

func enqueues(config tree, d time.Duration) event {
	return func(s *Study) ([]Effect, string) {
		effects, err := s.Enqueue(config, at(d))
		if err != nil {
			return effects, "error: " + err.Error()
		}
		return shown(effects)
	}
}

type happening struct {
	event event
	want  string // its effects; of a report after the reason; of an error its beginning
}

func of(r Report, attempt int) Report { r.Attempt = attempt; return r }

func with(r Report, metrics map[string]float64) Report {
	r.Metrics = func(name string) (float64, bool) { v, ok := metrics[name]; return v, ok }
	return r
}

func epoch(trial int, n int64) Report {
	return Report{Trial: trial, State: Running, Step: step(n), Metrics: loss(1)}
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	const s, m = time.Second, time.Minute
	timeout := tree{"trial_timeout": "1m"}
	retried := tree{"trial_timeout": "1m", "retries": int64(1)}
	for name, c := range map[string]struct {
		definition tree
		happenings []happening
		trials     string // states by number
	}{
		"waiting": {definition(nil), []happening{{fills(0), "suggest 0.1"}, {fills(s), ""}, {ticks(s), ""}}, "waiting"},
		"waiting to running by a heartbeat": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {reports(heartbeat(0), s), "heartbeat"}}, "running"},
		"waiting to running by a step": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {reports(epoch(0, 0), s), "applied"}}, "running"},
		"waiting to complete": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {reports(completed(0, 1), s), "applied: suggest 1.1"}}, "complete waiting"},
		"running to complete, its last step repeated": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {reports(epoch(0, 9), s), "applied"},
			{reports(Report{Trial: 0, State: Complete, Step: step(9), Metrics: loss(1)}, s), "applied: suggest 1.1"}}, "complete waiting"},
		"running to failed": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {reports(heartbeat(0), s), "heartbeat"}, {reports(failed(0), s), "applied: suggest 1.1"}}, "failed waiting"},
		"failed, retried, failed": {definition(retried), []happening{
			{fills(0), "suggest 0.1"}, {reports(failed(0), s), "applied: suggest 0.2"},
			{reports(of(completed(0, 1), 1), s), "old_attempt"}, {reports(of(completed(0, 1), 3), s), "old_attempt"},
			{reports(of(failed(0), 2), s), "applied: suggest 1.1"}}, "failed waiting"},
		"failed, retried, complete": {definition(retried), []happening{
			{fills(0), "suggest 0.1"}, {reports(failed(0), s), "applied: suggest 0.2"},
			{reports(completed(0, 1), s), "applied: suggest 1.1"}}, "complete waiting"},
		"a diverged training is not retried": {definition(retried), []happening{
			{fills(0), "suggest 0.1"}, {reports(completed(0, math.NaN()), s), "applied: suggest 1.1"},
			{reports(completed(1, math.Inf(-1)), s), "applied: suggest 2.1"}}, "failed failed waiting"},
		"a result without the objective is not retried": {definition(retried), []happening{
			{fills(0), "suggest 0.1"}, {reports(with(completed(0, 0), map[string]float64{"cost": 1}), s), "applied: suggest 1.1"},
			{reports(Report{Trial: 1, State: Complete}, s), "applied: suggest 2.1"}}, "failed failed waiting"},
		"no timeout before the first report": {definition(timeout), []happening{
			{fills(0), "suggest 0.1"}, {ticks(100 * time.Hour), ""}}, "waiting"},
		"timeout from the latest report": {definition(timeout), []happening{
			{fills(0), "suggest 0.1"}, {reports(heartbeat(0), 0), "heartbeat"}, {reports(heartbeat(0), 50*s), "heartbeat"},
			{ticks(m + 49*s), ""}, {ticks(m + 50*s), "stop 0.1 timed_out, suggest 1.1"}}, "timed_out waiting"},
		"a repeated step is no sign of life": {definition(timeout), []happening{
			{fills(0), "suggest 0.1"}, {reports(epoch(0, 3), 0), "applied"}, {reports(epoch(0, 3), 50*s), "repeated_step"},
			{reports(heartbeat(0), -s), "heartbeat"}, {ticks(m + 50*s), "stop 0.1 timed_out, suggest 1.1"}}, "timed_out waiting"},
		"a late report counts until the tick": {definition(timeout), []happening{
			{fills(0), "suggest 0.1"}, {reports(heartbeat(0), 0), "heartbeat"},
			{reports(completed(0, 1), 5*m), "applied: suggest 1.1"}, {ticks(5 * m), ""}}, "complete waiting"},
		"timed out, retried, steps anew, timed out": {definition(retried), []happening{
			{fills(0), "suggest 0.1"}, {reports(epoch(0, 3), 0), "applied"}, {ticks(m), "stop 0.1 timed_out, suggest 0.2"},
			{ticks(9 * m), ""}, {reports(epoch(0, 3), 9*m), "applied"},
			{ticks(10 * m), "stop 0.2 timed_out, suggest 1.1"}}, "timed_out waiting"},
		"ended trials ignore reports": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {reports(completed(0, 1), s), "applied: suggest 1.1"},
			{reports(completed(0, 0), s), "trial_ended"}, {reports(failed(0), s), "trial_ended"}, {reports(heartbeat(0), s), "trial_ended"}}, "complete waiting"},
		"unknown trials": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {reports(completed(1, 1), s), "unknown_trial"}, {reports(completed(-1, 1), s), "unknown_trial"}}, "waiting"},
		"stop": {definition(tree{"parallelism": int64(2)}), []happening{
			{fills(0), "suggest 0.1, suggest 1.1"}, {reports(heartbeat(1), s), "heartbeat"},
			{stops(m), "stop 0.1 study_ended, stop 1.1 study_ended, finish stopped"}, {stops(m), ""}, {fills(m), ""}, {ticks(m), ""},
			{reports(completed(0, 1), m), "study_ended"}, {reports(completed(2, 1), m), "unknown_trial"},
			{enqueues(tree{"lr": 0.5}, m), "error: study s1 has ended"}}, "stopped stopped"},
		"max_trials waits for running trials": {definition(tree{"max_trials": int64(2), "parallelism": int64(5)}), []happening{
			{fills(0), "suggest 0.1, suggest 1.1"}, {reports(completed(1, 1), s), "applied"},
			{enqueues(tree{"lr": 0.5}, m), "error: max_trials"},
			{reports(completed(0, 1), s), "applied: finish max_trials"}}, "complete complete"},
		"retries do not count for max_trials": {definition(tree{"max_trials": int64(1), "retries": int64(2)}), []happening{
			{fills(0), "suggest 0.1"}, {reports(failed(0), s), "applied: suggest 0.2"}, {reports(failed(0), s), "applied: suggest 0.3"},
			{reports(failed(0), s), "applied: finish max_trials"}}, "failed"},
		"max_duration stops running trials": {definition(tree{"max_duration": "1h", "parallelism": int64(2)}), []happening{
			{fills(0), "suggest 0.1, suggest 1.1"}, {reports(completed(0, 1), s), "applied: suggest 2.1"}, {ticks(time.Hour - 1), ""},
			{ticks(time.Hour), "stop 1.1 study_ended, stop 2.1 study_ended, finish max_duration"}}, "complete stopped stopped"},
		"what was measured as time ran out is kept": {definition(tree{"max_duration": "1h", "parallelism": int64(2)}), []happening{
			{fills(0), "suggest 0.1, suggest 1.1"},
			{reports(completed(0, 1), 2*time.Hour), "applied: stop 1.1 study_ended, finish max_duration"}}, "complete stopped"},
		"no retry after time ran out": {definition(tree{"max_duration": "1h", "retries": int64(5)}), []happening{
			{fills(0), "suggest 0.1"}, {reports(failed(0), 2*time.Hour), "applied: finish max_duration"}}, "failed"},
		"time runs out before a trial": {definition(tree{"max_duration": "1h"}), []happening{
			{fills(time.Hour), "finish max_duration"}}, ""},
		"time ran out before timeouts are seen": {definition(tree{"max_duration": "1h", "trial_timeout": "1m"}), []happening{
			{fills(0), "suggest 0.1"}, {reports(heartbeat(0), s), "heartbeat"},
			{ticks(2 * time.Hour), "stop 0.1 study_ended, finish max_duration"}}, "stopped"},
		"an exhausted grid waits for running trials": {grid(tree{"parallelism": int64(4)}), []happening{
			{fills(0), "suggest 0.1, suggest 1.1, suggest 2.1, suggest 3.1"}, {reports(completed(3, 1), s), "applied: suggest 4.1"},
			{reports(completed(4, 1), s), "applied: suggest 5.1"}, {reports(completed(5, 1), s), "applied"}, {reports(completed(0, 1), s), "applied"},
			{enqueues(tree{"lr": 0.4, "kind": "b"}, s), "suggest 6.1"},
			{reports(completed(1, 1), s), "applied"}, {reports(completed(6, 1), s), "applied"},
			{reports(completed(2, 1), s), "applied: finish exhausted"}}, "complete complete complete complete complete complete complete"},
		"enqueued configs come first": {grid(tree{"enqueue": []any{tree{"lr": 0.4}}}), []happening{
			{enqueues(tree{"kind": "b"}, 0), "suggest 0.1"}, {reports(completed(0, 1), s), "applied: suggest 1.1"}}, "complete waiting"},
		"an enqueued config outside the space": {definition(nil), []happening{
			{fills(0), "suggest 0.1"}, {enqueues(tree{"lr": 2.0}, 0), "error: config.lr: "}, {enqueues(tree{"x": 2.0}, 0), "error: config.x: "},
			{enqueues(tree{"lr": []any{}}, 0), "error: config.lr: "}, {reports(completed(0, 1), s), "applied: suggest 1.1"}}, "complete waiting"},
		"a clock that runs backwards": {definition(tree{"max_duration": "1h", "trial_timeout": "1m"}), []happening{
			{fills(0), "suggest 0.1"}, {ticks(30 * m), ""}, {reports(heartbeat(0), 0), "heartbeat"}, {ticks(30*m + 59*s), ""},
			{ticks(31 * m), "stop 0.1 timed_out, suggest 1.1"}, {ticks(0), ""}}, "timed_out waiting"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudy(t, c.definition)
			for i, h := range c.happenings {
				_, got := h.event(s)
				if got != h.want && (!strings.HasPrefix(h.want, "error") || !strings.HasPrefix(got, h.want)) {
					t.Fatalf("event %d: got %q, want %q", i, got, h.want)
				}
				s = stored(t, s)
			}
			states := []string{}
			for _, trial := range s.Trials() {
				states = append(states, string(trial.State))
			}
			if got := strings.Join(states, " "); got != c.trials {
				t.Fatalf("trials %s, want %s", got, c.trials)
			}
		})
	}
}

func TestTenFailuresInARow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before Report
		ends   int // after how many further failures
	}{
		"failures":  {failed(9), 0},
		"diverged":  {completed(9, math.NaN()), 0},
		"reset":     {completed(9, 1), 10},
		"timed out": {heartbeat(9), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudy(t, definition(tree{"parallelism": int64(2), "trial_timeout": "1m"}))
			s.Fill(start)
			for i := range 9 {
				if effects, _ := s.Report(failed(i), start); show(effects) != fmt.Sprintf("suggest %d.1", i+2) {
					t.Fatalf("failure %d: %s", i, show(effects))
				}
				s = stored(t, s)
			}
			effects, _ := s.Report(c.before, start)
			effects = append(effects, s.Tick(at(time.Minute))...)
			for i := range c.ends {
				if s.Ended() {
					t.Fatalf("ended after %d further failures", i)
				}
				effects, _ = s.Report(failed(10+i), at(time.Minute))
			}
			if got := show(effects); !s.Ended() || !strings.HasSuffix(got, "study_ended, finish failing") {
				t.Fatalf("effects %q", got)
			}
		})
	}
}

func TestEnqueuedConfigs(t *testing.T) {
	t.Parallel()
	s := newStudy(t, grid(tree{"parallelism": int64(4), "enqueue": []any{tree{"lr": 0.4}, tree{"kind": "b", "lr": 0.2}}}))
	if _, err := s.Enqueue(tree{"kind": "a"}, start); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, trial := range s.Trials() {
		got = append(got, fmt.Sprint(trial.Config))
	}
	// What is missing comes from the grid's first point, which is proposed all the same.
	want := []string{"map[kind:a lr:0.4]", "map[kind:b lr:0.2]", "map[kind:a lr:0.1]", "map[kind:a lr:0.1]"}
	if !slices.Equal(got, want) || s.State().Proposed != 1 {
		t.Fatalf("got %v, proposed %d", got, s.State().Proposed)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"max_trials": nil, "max_duration": "1h"}))
	s.Fill(start)
	accepted := 0
	for ; accepted < 100_000; accepted++ {
		if _, err := s.Enqueue(tree{"lr": 0.5, "layers": int64(1)}, start); err != nil {
			break
		}
		if accepted%1_000 == 0 && len(encoded(t, s.State())) > maxQueueBytes+4<<10 {
			t.Fatal("the state is too large")
		}
	}
	if accepted < 1_000 || accepted == 100_000 {
		t.Fatalf("%d configs accepted", accepted)
	}
}

func TestManyTimeoutsTakeSeveralTicks(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"parallelism": int64(256), "max_trials": int64(1_000), "trial_timeout": "1m"}))
	if n := len(s.Fill(start)); n != 256 {
		t.Fatalf("%d suggestions", n)
	}
	for n := range 256 {
		s.Report(heartbeat(n), start)
	}
	for tick := range 2 {
		if due := s.Due(); !due.Equal(at(time.Minute)) {
			t.Fatalf("tick %d: due %v", tick, due)
		}
		s.ResetChanged()
		if messages := len(s.Tick(at(time.Hour))) + len(s.Changed()); messages != 4*maxTimeouts {
			t.Fatalf("tick %d: %d messages", tick, messages)
		}
	}
	if due := s.Due(); !due.IsZero() || s.State().Counts[TimedOut] != 256 {
		t.Fatalf("due %v, counts %v", due, s.State().Counts)
	}
}

func TestTrialRecord(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"retries": int64(1)}))
	s.Fill(start)
	s.Report(Report{Trial: 0, State: Running, Step: step(1), Metrics: loss(3), RunID: "r1", DurationMS: 5}, at(time.Second))
	s.Report(failed(0), at(2*time.Second))
	if got := s.Trial(0); got.Attempt != 2 || got.RunID != "" || got.DurationMS != 0 || got.Steps != nil ||
		!got.StartedAt.IsZero() || !got.ReportedAt.IsZero() || got.Error != "boom" || !got.CreatedAt.Equal(start) {
		t.Fatalf("retried %+v", got)
	}
	s.Report(epoch(0, 1), at(3*time.Second))
	s.Report(completed(0, 0.5), at(5*time.Second))
	if got := s.Trial(0); *got.Value != 0.5 || got.DurationMS != 2_000 || got.Steps != nil || got.Error != "" || !got.EndedAt.Equal(at(5*time.Second)) {
		t.Fatalf("complete %+v", got)
	}
	s.Report(Report{Trial: 1, State: Complete, Metrics: loss(math.NaN()), DurationMS: 77, RunID: "r2"}, at(time.Minute))
	if got := s.Trial(1); got.Value != nil || got.DurationMS != 77 || got.RunID != "r2" || got.Error != "the metric loss is NaN" {
		t.Fatalf("diverged %+v", got)
	}
}
