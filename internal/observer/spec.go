package observer

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"
)

// Goal says which values of a metric are better.
type Goal int8

const (
	// Minimize is for losses and errors. It is the default.
	Minimize Goal = iota
	// Maximize is for accuracies and scores.
	Maximize
)

// String returns the goal as worker.yaml writes it.
func (g Goal) String() string {
	if g == Maximize {
		return "maximize"
	}
	return "minimize"
}

// sign is 1 where larger values are worse, else −1.
func (g Goal) sign() float64 {
	if g == Maximize {
		return -1
	}
	return 1
}

// worse is half of how much worse value is than reference: the whole may overflow.
func (g Goal) worse(value, reference float64) float64 {
	return g.sign() * (value/2 - reference/2)
}

// Policy is what a monitor does: the rules, how many of them make an episode, and when it speaks of one.
type Policy struct {
	Rules []Spec
	// Need is how many rules must hold at once, from 1 (the default) to all. One episode runs at a time.
	Need int
	// CoolDown is how long after an event a new episode is not told; if it still runs then, it is. Default: 0.
	CoolDown time.Duration
	// Repeat is after how long an episode or a silence that goes on is told again; 0: never.
	Repeat time.Duration
	// StaleAfter is the silence after which a model that has reported is stale; 0: never.
	StaleAfter time.Duration
	// LateAfter is how much older than the newest a report may be and still be judged.
	LateAfter time.Duration
}

// DefaultLateAfter lets several servers of one model disagree on the time a little.
const DefaultLateAfter = time.Minute

// Spec is a rule: which detector watches which metric, and when its judgement holds.
type Spec struct {
	Metric   string         // empty: the main metric, the first that a model reports whose name tells which values are better
	Detector string         // a registered name, such as auto
	Goal     Goal           // not used for the main metric
	Options  map[string]any // of the detector; what is absent or nil has its default

	Severity Severity      // of what the rule finds; default: Warning
	For      time.Duration // how long the metric must be degraded, by the times of the reports; default: 0
	Confirm  Confirm       // how many of the latest reports must be degraded; default: 1 of 1
	Recover  int           // how many reports in a row must be healthy to end it; default: 1
}

// Confirm is Reports of the latest Of, at most 64.
type Confirm struct{ Reports, Of int }

func (s Spec) withDefaults() Spec {
	if s.Severity == "" {
		s.Severity = Warning
	}
	if s.Confirm == (Confirm{}) {
		s.Confirm = Confirm{1, 1}
	}
	s.Recover = max(s.Recover, 1)
	return s
}

// compile builds the rule that stands at path.
func (s Spec) compile(path string) (rule, error) {
	s = s.withDefaults()
	kind, ok := kinds[s.Detector]
	if !ok {
		return rule{}, unknownDetector(path, s.Detector)
	}
	if s.Confirm.Reports < 1 || s.Confirm.Reports > s.Confirm.Of || s.Confirm.Of > 64 {
		return rule{}, confirmMistake(path, fmt.Sprintf("%d of %d", s.Confirm.Reports, s.Confirm.Of))
	}
	given := &options{path: path, values: s.Options}
	r := rule{spec: s, against: kind.against, window: ^uint64(0) >> (64 - s.Confirm.Of), detector: kind.build(given, s.Goal)}
	if err := given.finish(); err != nil {
		return rule{}, err
	}
	r.base = s.hash(given.changed)
	r.hash = r.base
	if s.Metric == "" {
		r.detector = kind.build(&options{values: s.Options}, Minimize)
		r.mirrored = kind.build(&options{values: s.Options}, Maximize)
	}
	return r, nil
}

// indexSame finds a rule that says the same as r.
func indexSame(rules []rule, r rule) int {
	return slices.IndexFunc(rules, func(other rule) bool {
		return other.base == r.base && other.spec.Severity == r.spec.Severity && other.spec.For == r.spec.For &&
			other.spec.Confirm == r.spec.Confirm && other.spec.Recover == r.spec.Recover
	})
}

// hash identifies a rule in storage: readable as to what is watched, short as to how.
// Options count where they differ from their default. So writing a default out, or a release that adds an option,
// costs no model its memory; nor does a change of when the rule holds.
func (s Spec) hash(changed []string) string {
	h := fnv.New64a()
	fmt.Fprint(h, s.Goal, changed)
	return fmt.Sprintf("%s/%s/%016x", s.Metric, s.Detector, h.Sum64())
}

func unknownDetector(path string, value any) error {
	return mistake(path+".detector", value, "a known detector", "give one of "+strings.Join(Detectors(), ", "))
}

// Detectors are the names of all detectors, in the order of the alphabet.
func Detectors() []string { return slices.Sorted(maps.Keys(kinds)) }
