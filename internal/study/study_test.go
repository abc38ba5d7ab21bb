package study

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

type tree = map[string]any

// definition is a random search bounded by 100 trials, with fields replaced.
func definition(replaced tree) tree {
	d := tree{
		"objective":  tree{"metric": "loss", "goal": "minimize"},
		"space":      tree{"lr": tree{"type": "float", "low": 0.0, "high": 1.0}, "layers": tree{"type": "int", "low": int64(1), "high": int64(8)}},
		"max_trials": int64(100), "strategy": "random",
	}
	for field, value := range replaced {
		d[field] = value
	}
	return d
}

// grid is a definition that is bounded by its six grid points.
func grid(replaced tree) tree {
	d := definition(tree{
		"strategy": "grid", "max_trials": nil,
		"space": tree{"lr": tree{"values": []any{0.1, 0.2, 0.4}}, "kind": tree{"type": "categorical", "choices": []any{"a", "b"}}},
	})
	for field, value := range replaced {
		d[field] = value
	}
	return d
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newStudy(t fataler, d tree) *Study {
	t.Helper()
	parsed, err := Parse(d)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	s, err := New(parsed, "s1", 42, 7, nil, start)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return s
}

func metrics(values map[string]float64) func(string) (float64, bool) {
	return func(name string) (float64, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func loss(value float64) func(string) (float64, bool) {
	return metrics(map[string]float64{"loss": value})
}

func step(n int64) *int64 { return &n }

func completed(trial int, value float64) Report {
	return Report{Trial: trial, State: Complete, Metrics: loss(value)}
}

func failed(trial int) Report { return Report{Trial: trial, State: Failed, Error: "boom"} }

func heartbeat(trial int) Report { return Report{Trial: trial, State: Running} }

// stored takes a study through storage.
func stored(t fataler, s *Study) *Study {
	t.Helper()
	state := recoded(t, s.State())
	var trials []Trial
	for _, trial := range s.Trials() {
		trials = append(trials, recoded(t, *trial))
	}
	restored, err := Restore(state, trials, s.prior)
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	restored.slow, restored.strategy = s.slow, s.strategy
	return restored
}

func recoded[T any](t fataler, v T) T {
	t.Helper()
	var decoded T
	if err := wire.UnmarshalState([]byte(encoded(t, v)), &decoded); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	return decoded
}

func encoded(t fataler, v any) string {
	t.Helper()
	b, err := wire.MarshalState(v)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return string(b)
}

// fault is a strategy that misbehaves after its first configs.
type fault struct {
	after int
	cause error // nil: panic
}

func (f fault) Suggest(r strategy.Request) (map[string]any, error) {
	if r.Index < f.after {
		return map[string]any{"lr": 0.5, "layers": int64(1)}, nil
	}
	if f.cause == nil {
		panic("index out of range")
	}
	return nil, f.cause
}

func TestStrategyFaultEndsTheStudy(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{
		"error":       {0, errors.New("singular matrix")},
		"panic":       {0, nil},
		"error later": {2, errors.New("singular matrix")},
		"panic later": {2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudy(t, definition(tree{"parallelism": int64(4)}))
			s.strategy = f
			effects := s.Fill(start)
			if f.after > 0 {
				if len(effects) != 2 || s.Ended() || !s.Due().Equal(start) {
					t.Fatalf("effects %v, due %v: want two suggestions, and the end in another step", effects, s.Due())
				}
				effects = s.Tick(start)
			}
			last := effects[len(effects)-1]
			if len(effects) != f.after+1 || last.Kind != EffectFinished || last.Reason != EndFailing {
				t.Fatalf("effects %v", effects)
			}
			if s.State().Error == "" || len(s.State().Open) != 0 {
				t.Fatalf("state %+v", s.State())
			}
		})
	}
}

func TestExpiredRecords(t *testing.T) {
	t.Parallel()
	s := newStudy(t, grid(tree{"parallelism": int64(2)}))
	s.Fill(start)
	s.Report(completed(0, 0.5), at(time.Second)) // 1 and 2 are open
	s.Report(heartbeat(2), at(2*time.Second))
	kept := []Trial{*s.Trial(2)}
	r, err := Restore(recoded(t, s.State()), kept, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.State().Counts; got[TimedOut] != 1 || got[Running] != 1 || got[Complete] != 1 || got[Waiting] != 0 {
		t.Fatalf("counts %v", got)
	}
	if due := r.Due(); due.IsZero() || due.After(at(2*time.Second)) {
		t.Fatalf("due %v: the lost place is not filled", due)
	}
	if _, reason := r.Report(completed(0, 0.1), at(time.Minute)); reason != TrialEnded {
		t.Fatalf("report of an expired trial: %s", reason)
	}
	if effects := r.Tick(at(time.Hour)); len(effects) != 1 || effects[0].Trial != 3 {
		t.Fatalf("effects %v", effects)
	}
	r.Report(completed(2, 0.7), at(time.Hour))
	if best := r.Summary(at(time.Hour), nil).Best; best.Number != 0 || best.Config["lr"] != 0.1 {
		t.Fatalf("best %+v", best)
	}
}

func TestRestoreRefusesAStrangeTrial(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(nil))
	s.Fill(start)
	if _, err := Restore(s.State(), []Trial{{Number: 1, State: Waiting}}, nil); err == nil {
		t.Fatal("a trial beyond the next number was accepted")
	}
}

func TestNameAndSeed(t *testing.T) {
	t.Parallel()
	given := newStudy(t, definition(tree{"name": "mine", "seed": int64(5)}))
	if given.Name() != "mine" || given.State().Seed != 5 {
		t.Fatalf("name %s, seed %d", given.Name(), given.State().Seed)
	}
	absent := newStudy(t, definition(nil))
	if absent.Name() != "s1" || absent.State().Seed != 42 || absent.State().Sequence != 7 {
		t.Fatalf("state %+v", absent.State())
	}
}

func TestStateIsTheCallers(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"parallelism": int64(3)}))
	s.Fill(start)
	if _, err := s.Enqueue(tree{"lr": 0.25}, start); err != nil {
		t.Fatal(err)
	}
	before := s.State()
	want := encoded(t, before)
	s.Report(completed(1, 0.5), at(time.Second))
	s.Stop(at(time.Minute))
	if encoded(t, before) != want {
		t.Fatal("a state changed after it was handed out")
	}
}

func TestBaseIsTheLatestComplete(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{
		"strategy": "step", "options": tree{"step": 0.125}, "max_trials": int64(3), "parallelism": int64(1),
		"enqueue": []any{tree{"lr": 0.25, "layers": int64(2)}}}))
	s.Fill(start)
	s.Report(completed(0, 1), at(1))
	if lr := s.Trial(1).Config["lr"]; lr != 0.375 {
		t.Fatalf("lr %v after a trial with 0.25", lr)
	}
	if r := stored(t, s); r.state.Base["lr"] != 0.25 {
		t.Fatalf("base %v", r.state.Base)
	}
}

func TestHugeValuesStayFinite(t *testing.T) {
	t.Parallel()
	s := newStudy(t, definition(tree{"objective": tree{"metric": "loss", "goal": "maximize"}}))
	s.Fill(start)
	s.Report(completed(0, -math.MaxFloat64), at(1))
	s.Report(completed(1, math.MaxFloat64), at(2))
	if best := s.State().Best; best.Number != 1 {
		t.Fatalf("best %+v", best)
	}
}

func BenchmarkReport(b *testing.B) {
	parsed, _ := Parse(definition(tree{"max_trials": int64(1 << 30)}))
	s, _ := New(parsed, "s", 1, 1, nil, start)
	s.Fill(start)
	trial := 0
	next := func() {
		s.Report(Report{Trial: trial, State: Running, Step: step(1), Metrics: loss(1)}, start)
		s.Report(completed(trial, 1), start)
		s.ResetChanged()
		trial++
	}
	for range 10_000 {
		next()
	}
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
}
