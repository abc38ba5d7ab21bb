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
	Index   int            // how many configs the strategy proposed before in this study; enqueued ones do not count
	Seed    uint64         // of the study; for live configs derived from the model and the input's sequence
	Goal    Goal           // whether small or large values are better
	Base    map[string]any // where step and explore start from: the live report's config, or that of the latest complete trial; nil: none
	History []Trial        // all trials so far by number, pending ones too
}

// Trial is one evaluation of a config, as strategies see it.
type Trial struct {
	Number int
	Config map[string]any
	Value  float64 // of the objective; valid when State is Complete
	State  TrialState
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
