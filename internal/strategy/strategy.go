// Package strategy proposes hyper-parameter configs: the search space, and the algorithms that pick points of it.
package strategy

import "errors"

// Config values are float64, int64, string or bool throughout the package.

// ErrExhausted says that a finite strategy has proposed all it had.
var ErrExhausted = errors.New("strategy: every config was proposed")

// Strategy is an algorithm that proposes configs.
//
// Suggest is pure: it depends on its Request alone, changes nothing in it, and may be called concurrently.
// It returns ErrExhausted when there is nothing left to propose; any other error is a fault of the
// strategy or of its caller, and repeating the call does not help.
type Strategy interface {
	Suggest(Request) (map[string]any, error)
}

// Request is what a strategy may know when it proposes a config.
type Request struct {
	Number  int            // of the trial in its study; for live configs how many the model got before
	Index   int            // how many configs the strategy proposed before in this study, enqueued ones aside; a large number where it completes one of these
	Seed    uint64         // of the study; for live configs derived from the model and the input's sequence
	Goal    Goal           // whether small or large values are better
	Base    map[string]any // where step and explore start from: the live report's config, or that of the latest complete trial; nil: none
	History []Trial        // all trials so far by number, pending ones too

	MaxTrials   int     // bound of the study; 0: none
	Parallelism int     // trials at once; 0 counts as 1
	Prior       []Trial // complete trials of earlier studies, best first; their configs may lie outside the space
	Memory      *Memory // of a live tuner that learns; nil: it knows nothing yet
}

// Trial is one evaluation of a config, as strategies see it.
type Trial struct {
	Number int
	Config map[string]any
	Value  float64 // of the objective when Complete; when Pruned the last intermediate one, NaN if there was none
	State  TrialState
	Step   int64 // of the last intermediate value, when Pruned
}

// TrialState says what came of a trial.
type TrialState int8

// The states of a trial. Failed includes timed out and stopped ones.
const (
	Pending TrialState = iota
	Complete
	Failed
	Pruned
)

// Memory is what a strategy that learns from live reports remembers of one model. It is stored with the
// model; the strategy local says what it is for.
type Memory struct {
	Metric  string         `msgpack:"metric"` // what the values are of
	Goal    Goal           `msgpack:"goal"`
	Best    map[string]any `msgpack:"best"`
	Value   float64        `msgpack:"value"`             // of Best; NaN: it diverged
	Weight  float64        `msgpack:"weight"`            // measurements that Value rests on
	Noise   float64        `msgpack:"noise"`             // variance of a measurement
	Repeats int            `msgpack:"repeats"`           // measurements that Noise rests on
	Sigma   float64        `msgpack:"sigma"`             // step, as the option
	Silence int            `msgpack:"silence,omitempty"` // reports since one of Best
}

// Learner is a strategy that learns from the results of live configs. Learn is pure: it returns what to
// remember after a live report of config with value, and leaves m, which may be nil, as it was.
type Learner interface {
	Strategy
	Learn(m *Memory, goal Goal, config map[string]any, value float64) *Memory
}

// Slow reports whether a suggestion of s may take longer than a report should wait for it.
func Slow(s Strategy) bool {
	slow, ok := s.(interface{ slow() bool })
	return ok && slow.slow()
}

// Explain says in one line what a strategy that chooses among others does in the situation of r and
// why; "" for a strategy that has nothing to choose.
func Explain(s Strategy, r Request) string {
	if chooser, ok := s.(interface{ explain(Request) string }); ok {
		return chooser.explain(r)
	}
	return ""
}
