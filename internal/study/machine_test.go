package study

import (
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/visutility/retune/internal/strategy"
)

// A machine drives two studies by the same events: one is stored and restored
// at random, the other never. They must not differ.
type machine struct {
	definition tree
	slow       bool // the strategy answers later
	study      *Study
	stored     *Study
	now        time.Duration
	log        []event        // for a third study at the end
	came       []string       // what came of the log
	clocks     []time.Time    // the study's time after each
	records    map[int]string // encoded trials after the last step
	ended      map[int]bool
	finished   int         // EffectFinished seen
	attempts   map[int]int // the latest attempt suggested, by trial
}

func TestStudyStateMachine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{definition: anyDefinition(t), records: map[int]string{}, ended: map[int]bool{}, attempts: map[int]int{}}
		m.slow = rapid.Bool().Draw(t, "slow")
		m.study, m.stored = m.fresh(t), m.fresh(t)
		m.apply(t, fills(0))
		t.Repeat(map[string]func(*rapid.T){
			"report":  m.report,
			"final":   m.final,
			"tick":    m.tick,
			"enqueue": m.enqueue,
			"stop":    m.stop,
			"restore": m.restore,
			"answer":  m.answer,
			"":        m.check,
		})
		m.replay(t)
	})
}

func anyDefinition(t *rapid.T) tree {
	d := rapid.SampledFrom([]tree{
		definition(tree{"max_trials": int64(12)}),
		definition(tree{"max_duration": "10m"}),
		definition(tree{"max_duration": "5m", "max_trials": int64(6), "strategy": "explore"}),
		grid(nil),
		grid(tree{"enqueue": []any{tree{"lr": 0.4}, tree{}}}),
		definition(tree{"pruner": tree{"type": "median", "options": tree{"n_startup_trials": int64(1)}}}),
	}).Draw(t, "definition")
	d = recoded(t, d)
	d["parallelism"] = rapid.SampledFrom([]int64{1, 2, 3, 8}).Draw(t, "parallelism")
	d["retries"] = rapid.Int64Range(0, 2).Draw(t, "retries")
	d["objective"] = tree{"metric": "loss", "goal": rapid.SampledFrom([]string{"minimize", "maximize"}).Draw(t, "goal")}
	if rapid.Bool().Draw(t, "timeout") {
		d["trial_timeout"] = "1m"
	}
	return d
}

// number is mostly that of a trial that can change.
func (m *machine) number(t *rapid.T) int {
	if open := m.study.state.Open; len(open) > 0 && rapid.IntRange(0, 3).Draw(t, "which") > 0 {
		return rapid.SampledFrom(open).Draw(t, "open")
	}
	return rapid.IntRange(-1, m.study.state.Next).Draw(t, "any")
}

// later moves the time, sometimes backwards.
func (m *machine) later(t *rapid.T) time.Duration {
	m.now += time.Duration(rapid.Int64Range(-5, 30).Draw(t, "seconds")) * time.Second
	return m.now
}

func (m *machine) report(t *rapid.T) {
	r := Report{Trial: m.number(t), State: Running, Attempt: rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "attempt")}
	if rapid.Bool().Draw(t, "intermediate") {
		r.Step, r.Metrics = step(rapid.Int64Range(0, 6).Draw(t, "step")), loss(rapid.Float64Range(-1, 1).Draw(t, "value"))
	}
	m.apply(t, reports(r, m.later(t)))
}

func (m *machine) final(t *rapid.T) {
	r := Report{Trial: m.number(t), State: rapid.SampledFrom([]TrialState{Complete, Complete, Failed}).Draw(t, "state")}
	r.Attempt = rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "attempt")
	r.Metrics = loss(rapid.SampledFrom([]float64{-1, 0, 0.5, 0.5, 3, math.NaN()}).Draw(t, "value"))
	r.Error, r.RunID = rapid.SampledFrom([]string{"", "boom"}).Draw(t, "error"), rapid.SampledFrom([]string{"", "r"}).Draw(t, "run")
	m.apply(t, reports(r, m.later(t)))
}

func (m *machine) tick(t *rapid.T) {
	if due := m.study.Due(); !due.IsZero() && rapid.Bool().Draw(t, "at due") {
		m.now = max(m.now, due.Sub(start))
	}
	m.apply(t, ticks(m.later(t)))
}

func (m *machine) enqueue(t *rapid.T) {
	config := tree{}
	if rapid.Bool().Draw(t, "lr given") {
		config["lr"] = rapid.SampledFrom([]any{0.1, 0.4, 7.0, int64(1), "x"}).Draw(t, "lr")
	}
	if m.definition["strategy"] != "grid" && rapid.Bool().Draw(t, "layers given") {
		config["layers"] = int64(2)
	}
	m.apply(t, enqueues(config, m.later(t)))
}

func (m *machine) stop(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
		m.apply(t, stops(m.later(t)))
	}
}

// answer gives the strategy's answer, sometimes one that is not waited for.
func (m *machine) answer(t *rapid.T) {
	q, ok := m.study.Question()
	if !ok {
		q = Question{Number: 0, strategy: m.study.strategy, request: m.study.request(0, 0, nil, nil)}
	}
	again, _ := m.stored.Question()
	if ok && !reflect.DeepEqual(q.Answer(), again.Answer()) {
		t.Fatalf("the study's answer is %+v, that of the stored one %+v", q.Answer(), again.Answer())
	}
	m.apply(t, answers(q.Answer(), m.now)) // at the time of the last input, as workers do
}

func (m *machine) fresh(t *rapid.T) *Study {
	s := newStudy(t, m.definition)
	if s.slow = m.slow; m.slow && s.state.Strategy == "random" {
		s.strategy = digest{}
	}
	return s
}

// digest is a strategy whose suggestion tells all that it was asked.
type digest struct{}

func (digest) Suggest(r strategy.Request) (map[string]any, error) {
	h := fnv.New64a()
	fmt.Fprint(h, r)
	sum := h.Sum64()
	return map[string]any{"lr": float64(sum>>11) / (1 << 53), "layers": int64(1 + sum%8)}, nil
}

func (m *machine) restore(t *rapid.T) {
	changed := m.stored.changed
	m.stored = stored(t, m.stored)
	m.stored.changed = changed
}

// apply gives an event to both studies and checks what only a step shows.
func (m *machine) apply(t *rapid.T, e event) {
	m.study.ResetChanged()
	m.stored.ResetChanged()
	effects, came := e(m.study)
	if _, again := e(m.stored); came != again {
		t.Fatalf("the study says %q, the stored one %q", came, again)
	}
	if a, b := m.study.Changed(), m.stored.Changed(); !slices.Equal(a, b) {
		t.Fatalf("the study changed %v, the stored one %v", a, b)
	}
	m.log, m.came, m.clocks = append(m.log, e), append(m.came, came), append(m.clocks, m.study.state.Now)
	m.checkEffects(t, effects)
	for _, trial := range m.study.Trials() {
		m.checkRecord(t, trial)
	}
}

// checkRecord compares a trial with what it was before the step.
func (m *machine) checkRecord(t *rapid.T, trial *Trial) {
	before, now := m.records[trial.Number], encoded(t, trial)
	if before != now && m.ended[trial.Number] {
		t.Fatalf("trial %d changed after it ended: %+v", trial.Number, trial)
	}
	if before != now && !slices.Contains(m.study.Changed(), trial.Number) {
		t.Fatalf("trial %d changed and is not to be stored: %+v", trial.Number, trial)
	}
	m.records[trial.Number], m.ended[trial.Number] = now, !trial.Open()
}

func (m *machine) checkEffects(t *rapid.T, effects []Effect) {
	if len(effects)+len(m.study.Changed()) >= 600 {
		t.Fatalf("a step of %d effects", len(effects))
	}
	for i, e := range effects {
		if m.finished > 0 {
			t.Fatalf("effect %+v after the end", e)
		}
		switch e.Kind {
		case EffectSuggested:
			if m.attempts[e.Trial]+1 != e.Attempt {
				t.Fatalf("attempt %d of trial %d after %d", e.Attempt, e.Trial, m.attempts[e.Trial])
			}
			m.attempts[e.Trial] = e.Attempt
			if got := m.study.Trial(e.Trial); got.State != Waiting || got.Attempt != e.Attempt {
				t.Fatalf("suggested %+v", got)
			}
		case EffectStopped:
			if m.attempts[e.Trial] < e.Attempt {
				t.Fatalf("stop of attempt %d, never suggested", e.Attempt)
			}
		case EffectFinished:
			m.finished++
			if i != len(effects)-1 {
				t.Fatalf("the end is not last: %v", effects)
			}
		}
	}
}

func (m *machine) check(t *rapid.T) {
	a, b := m.study, m.stored
	if encoded(t, a.State()) != encoded(t, b.State()) || !reflect.DeepEqual(a.Trials(), b.Trials()) ||
		!slices.EqualFunc(a.history, b.history, sameSeen) || !a.Due().Equal(b.Due()) {
		t.Fatalf("the study is\n%+v, the stored one\n%+v", a.State(), b.State())
	}
	m.checkCounts(t)
	m.checkBounds(t)
	m.checkBest(t)
}

func (m *machine) checkCounts(t *rapid.T) {
	counts, open := map[TrialState]int{}, []int{}
	closed := 0
	for i, trial := range m.study.Trials() {
		counts[trial.State]++
		if m.study.Trial(trial.Number) != trial {
			t.Fatalf("trial %d is elsewhere", trial.Number)
		}
		if !trial.Open() {
			closed++
		}
		if !reflect.DeepEqual(m.study.curves[trial.Number], m.stored.curves[trial.Number]) {
			t.Fatalf("curve of trial %d: %+v, stored %+v", trial.Number, m.study.curves[trial.Number], m.stored.curves[trial.Number])
		}
		if trial.Open() {
			open = append(open, trial.Number)
		}
		if (trial.State == Complete) != (trial.Value != nil) || trial.Open() == !trial.EndedAt.IsZero() {
			t.Fatalf("trial %+v", trial)
		}
		if !sameSeen(m.study.history[i], trial.seen()) {
			t.Fatalf("history of trial %d is %+v", i, m.study.history[i])
		}
	}
	if st := m.study.state; closed != st.Closed || !reflect.DeepEqual(counts, st.Counts) || len(m.study.trials) != st.Next || !slices.Equal(open, st.Open) {
		t.Fatalf("counts %v, open %v of state %+v", counts, open, st)
	}
}

// sameSeen: a pruned trial without a value has NaN.
func sameSeen(a, b strategy.Trial) bool {
	if math.IsNaN(a.Value) && math.IsNaN(b.Value) {
		a.Value, b.Value = 0, 0
	}
	return reflect.DeepEqual(a, b)
}

func (m *machine) checkBounds(t *rapid.T) {
	st, d := m.study.state, m.study.definition
	if st.Proposed > st.Next {
		t.Fatalf("%d proposals made %d trials", st.Proposed, st.Next)
	}
	if len(st.Open)+len(st.Asks) > d.Parallelism || d.MaxTrials > 0 && st.Next > d.MaxTrials {
		t.Fatalf("open %v, next %d", st.Open, st.Next)
	}
	if (m.finished == 1) != m.study.Ended() || m.study.Ended() && len(st.Open)+len(st.Asks) > 0 {
		t.Fatalf("%d ends, state %+v", m.finished, st)
	}
	if m.study.Ended() {
		return
	}
	if m.study.room() || m.study.occupied() == 0 || m.study.bound(st.Now) != "" && m.study.Due().After(st.Now) {
		t.Fatalf("the study stands still: %+v", st)
	}
	for _, n := range st.Open {
		if m.study.Trial(n).Attempt > d.Retries+1 {
			t.Fatalf("trial %+v", m.study.Trial(n))
		}
	}
}

func (m *machine) checkBest(t *rapid.T) {
	best := -1
	for _, trial := range m.study.Trials() {
		if trial.State == Complete && (best < 0 || m.study.definition.Goal.Better(*trial.Value, *m.study.Trial(best).Value)) {
			best = trial.Number
		}
	}
	got := m.study.state.Best
	if (got == nil) != (best < 0) || got != nil && got.Number != best {
		t.Fatalf("best %+v, want trial %d", got, best)
	}
}

// replay gives the same events to a third study.
func (m *machine) replay(t *rapid.T) {
	third := m.fresh(t)
	for i, e := range m.log {
		if _, came := e(third); came != m.came[i] {
			t.Fatalf("event %d: %q, before %q", i, came, m.came[i])
		}
	}
	if encoded(t, third.State()) != encoded(t, m.study.State()) {
		t.Fatal("the same events lead to another state")
	}
	m.promptly(t)
}

// promptly gives the same events to a study that is answered at once: the
// configs must not depend on when the strategy answers.
func (m *machine) promptly(t *rapid.T) {
	if m.definition["strategy"] != "random" {
		return // a grid's end is found when it answers, and changes which numbers are used
	}
	prompt := m.fresh(t)
	for i, e := range m.log {
		if strings.HasPrefix(m.came[i], string(UnknownTrial)) {
			prompt.clock(m.clocks[i])
			continue // it may be known by now
		}
		e(prompt)
		prompt.clock(m.clocks[i])
		for q, ok := prompt.Question(); ok; q, ok = prompt.Question() {
			prompt.Answer(q.Answer(), prompt.state.Now)
		}
	}
	for _, trial := range m.study.Trials() {
		if other := prompt.Trial(trial.Number); other == nil || !reflect.DeepEqual(trial.Config, other.Config) {
			t.Fatalf("trial %+v, answered at once %+v", trial, other)
		}
	}
}
