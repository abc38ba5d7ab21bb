package wire

import "time"

// Config is the config of a trial, or a live config; of a live one Study, Trial and Attempt are absent, of a
// trial's Number is.
type Config struct {
	ModelID  string         `msgpack:"model_id" json:"model_id"`
	Study    string         `msgpack:"study,omitempty" json:"study,omitempty"`
	Trial    *int           `msgpack:"trial,omitempty" json:"trial,omitempty"`
	Attempt  int            `msgpack:"attempt,omitempty" json:"attempt,omitempty"` // from 1
	Number   *uint64        `msgpack:"number,omitempty" json:"number,omitempty"`   // live configs this model got before
	Strategy string         `msgpack:"strategy" json:"strategy"`
	Config   map[string]any `msgpack:"config" json:"config"`
	IssuedAt string         `msgpack:"issued_at" json:"issued_at"`
	Sequence uint64         `msgpack:"sequence,omitempty" json:"sequence,omitempty"` // of the input that caused it; 0: time did
	RunID    string         `msgpack:"run_id,omitempty" json:"run_id,omitempty"`
}

// Stop tells an agent to stop an attempt.
type Stop struct {
	ModelID string `msgpack:"model_id" json:"model_id"`
	Study   string `msgpack:"study" json:"study"`
	Trial   int    `msgpack:"trial" json:"trial"`
	Attempt int    `msgpack:"attempt" json:"attempt"`
	Reason  string `msgpack:"reason" json:"reason"` // pruned, timed_out or study_ended
	Time    string `msgpack:"time" json:"time"`
}

// Retrain says that a model should be retrained, and why.
type Retrain struct {
	ID        string   `msgpack:"id" json:"id"`
	ModelID   string   `msgpack:"model_id" json:"model_id"`
	Trigger   string   `msgpack:"trigger" json:"trigger"` // degraded, improved or stale
	Reason    string   `msgpack:"reason" json:"reason"`
	Severity  string   `msgpack:"severity,omitempty" json:"severity,omitempty"` // warning or critical
	Metric    string   `msgpack:"metric,omitempty" json:"metric,omitempty"`
	Detector  string   `msgpack:"detector,omitempty" json:"detector,omitempty"`
	Value     *float64 `msgpack:"value,omitempty" json:"value,omitempty"`
	Reference *float64 `msgpack:"reference,omitempty" json:"reference,omitempty"`
	// Deviations is how many standard deviations the metric is worse than Reference.
	Deviations float64    `msgpack:"deviations,omitempty" json:"deviations,omitempty"`
	Reports    int        `msgpack:"reports,omitempty" json:"reports,omitempty"` // that the change lasts
	Since      string     `msgpack:"since,omitempty" json:"since,omitempty"`     // when it began
	Config     Raw        `msgpack:"config,omitempty" json:"config,omitempty"`   // in force
	BestTrial  *BestTrial `msgpack:"best_trial,omitempty" json:"best_trial,omitempty"`
	Study      string     `msgpack:"study,omitempty" json:"study,omitempty"`
	Version    string     `msgpack:"version,omitempty" json:"version,omitempty"`
	RunID      string     `msgpack:"run_id,omitempty" json:"run_id,omitempty"`
	Time       string     `msgpack:"time" json:"time"`
	Sequence   uint64     `msgpack:"sequence,omitempty" json:"sequence,omitempty"`
}

// Summary is the outcome of a finished study.
type Summary struct {
	ModelID    string        `msgpack:"model_id" json:"model_id"`
	Study      string        `msgpack:"study" json:"study"`
	Strategy   string        `msgpack:"strategy" json:"strategy"`
	Reason     string        `msgpack:"reason" json:"reason"` // max_trials, max_duration, exhausted, stopped or failing
	BestTrial  *BestTrial    `msgpack:"best_trial,omitempty" json:"best_trial,omitempty"`
	Counts     Counts        `msgpack:"counts" json:"counts"`
	Trials     []TrialResult `msgpack:"trials" json:"trials"`
	StartedAt  string        `msgpack:"started_at" json:"started_at"`
	FinishedAt string        `msgpack:"finished_at" json:"finished_at"`
	// Explanation says what a strategy that chooses among others chose, and why.
	Explanation string `msgpack:"explanation,omitempty" json:"explanation,omitempty"`
}

// BestTrial is the trial that won a study.
type BestTrial struct {
	Trial      int            `msgpack:"trial" json:"trial"`
	Config     map[string]any `msgpack:"config" json:"config"`
	Value      float64        `msgpack:"value" json:"value"`
	DurationMS int64          `msgpack:"duration_ms" json:"duration_ms"`
}

// TrialResult is one trial in a Summary; Value is absent unless the trial is complete.
type TrialResult struct {
	Trial      int            `msgpack:"trial" json:"trial"`
	Config     map[string]any `msgpack:"config" json:"config"`
	Value      *float64       `msgpack:"value,omitempty" json:"value,omitempty"`
	State      string         `msgpack:"state" json:"state"`
	DurationMS int64          `msgpack:"duration_ms" json:"duration_ms"`
	Attempts   int            `msgpack:"attempts" json:"attempts"`
}

// Counts is a number of trials by state.
type Counts map[string]int

// Time is t as the messages carry it: RFC 3339, UTC, with the nanoseconds it has.
func Time(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
