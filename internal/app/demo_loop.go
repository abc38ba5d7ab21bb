package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/demo"
	"github.com/visutility/retune/internal/wire"
)

// demoLoop plays the trainers of all models, in rounds of one report each. It
// waits for the worker's answers before the next round, so that the same seed
// tells the same story at any pace.
type demoLoop struct {
	bus      *bus.Bus
	models   []*demoModel
	board    *demo.Board
	view     demo.View
	pace     time.Duration
	received <-chan bus.Output
	failed   <-chan error // what ended the worker
}

// demoModel is a trainer and what it is waiting for.
type demoModel struct {
	name     string
	trainer  *demo.Trainer
	track    *demo.Track
	driftAt  int // report; 0: never
	seed     uint64
	sent     map[uint64]int // number of a report, by its sequence
	alarms   []wire.Retrain // not yet heeded
	awaited  uint64         // sequence of the report that is to be answered; 0: none
	searchAt int            // report after which a study starts; 0: none
	search   *demoSearch    // the study that runs; nil: none
}

// demoSearch is a study as its trainer sees it.
type demoSearch struct {
	name      string
	rehearsal demo.Rehearsal
	baseline  float64
	held      []wire.Config // trials to be evaluated
	told      int           // trials reported
}

const (
	searchTrials   = 12
	searchParallel = 2
	answerTimeout  = 10 * time.Second
	// Training takes as long as one report. By then the answer to that report is
	// here, so that events of the one before it are too, at whatever pace.
	trainingTakes = 1
)

func (d *demoLoop) run(ctx context.Context) error {
	for n := 1; n <= d.board.Reports; n++ {
		next := time.After(d.pace)
		if err := d.round(ctx, n); err != nil {
			return err
		}
		if err := d.follow(ctx, next, func() bool { return false }); err != nil {
			return err
		}
	}
	return nil
}

// round makes one report of each model and does what studies ask for.
func (d *demoLoop) round(ctx context.Context, n int) error {
	for _, m := range d.models {
		if err := d.report(ctx, m, n); err != nil {
			return err
		}
	}
	for _, m := range d.models {
		if err := d.study(ctx, m, n); err != nil {
			return err
		}
	}
	timeout := time.NewTimer(answerTimeout)
	defer timeout.Stop()
	if err := d.follow(ctx, timeout.C, d.answered); err != nil {
		return err
	}
	if !d.answered() {
		return fmt.Errorf("the worker did not answer report %d within %s", n, answerTimeout)
	}
	return nil
}

// follow handles outputs until done or the time is up.
func (d *demoLoop) follow(ctx context.Context, end <-chan time.Time, done func() bool) error {
	for !done() {
		if err := d.view.Show(d.board); err != nil {
			return err
		}
		select {
		case output := <-d.received:
			if err := d.handle(output); err != nil {
				return err
			}
		case err := <-d.failed:
			return errors.Join(ctx.Err(), err)
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return nil
		}
	}
	return nil
}

func (d *demoLoop) answered() bool {
	for _, m := range d.models {
		if m.awaited != 0 || m.search != nil && m.search.waits() {
			return false
		}
	}
	return true
}

// waits tells whether the worker has still to give trials, or the summary.
func (s *demoSearch) waits() bool {
	return len(s.held) == 0 || len(s.held) < min(searchParallel, searchTrials-s.told)
}

// demoReport is a report as any trainer would write it.
type demoReport struct {
	Metrics    map[string]float64 `json:"metrics"`
	Config     map[string]any     `json:"config,omitempty"`
	Version    string             `json:"version,omitempty"`
	Study      string             `json:"study,omitempty"`
	Trial      *int               `json:"trial,omitempty"`
	Attempt    int                `json:"attempt,omitempty"`
	DurationMS int64              `json:"duration_ms,omitempty"`
}

// report trains on the next batch and reports it live.
func (d *demoLoop) report(ctx context.Context, m *demoModel, n int) error {
	if n == m.driftAt {
		m.trainer.Drift()
		m.track.Drifts()
	}
	for len(m.alarms) > 0 && m.sent[m.alarms[0].Sequence]+trainingTakes < n {
		d.retrain(m, n)
	}
	measure := m.trainer.Step()
	m.track.Measured(measure, m.trainer.Config(), m.trainer.Version())
	sequence, err := d.publish(ctx, demoSettings.Subjects.Metrics(m.name), demoReport{
		Metrics: map[string]float64{demoMetric: measure.Error, "loss": measure.Loss, "accuracy": 1 - measure.BatchError},
		Config:  m.trainer.Config().Map(), Version: m.version(),
	})
	if err != nil {
		return err
	}
	m.sent[sequence] = n
	if m.search == nil {
		m.awaited = sequence
	}
	return nil
}

func (d *demoLoop) publish(ctx context.Context, subject string, message any) (sequence uint64, err error) {
	body, err := json.Marshal(message)
	if err != nil {
		return 0, err
	}
	return d.bus.Publish(ctx, subject, "application/json", body)
}

// study starts the study that is due, or evaluates the trials at hand.
func (d *demoLoop) study(ctx context.Context, m *demoModel, n int) error {
	if m.search != nil {
		return d.evaluate(ctx, m)
	}
	if n != m.searchAt {
		return nil
	}
	rehearsal, name := m.trainer.Rehearse(), "after-"+m.version()
	m.search = &demoSearch{name: name, rehearsal: rehearsal, baseline: rehearsal.Error(m.trainer.Config())}
	m.track.Studying(name, searchTrials, m.search.baseline)
	_, err := d.publish(ctx, demoSettings.Subjects.StudyCommand(m.name), map[string]any{"op": "start", "study": map[string]any{
		"name": name, "objective": map[string]any{"metric": demoMetric, "goal": "minimize"},
		"space": demo.Space(), "strategy": "random", "seed": m.seed,
		"max_trials": searchTrials, "parallelism": searchParallel, "baseline": m.search.baseline,
	}})
	return err
}

func (d *demoLoop) evaluate(ctx context.Context, m *demoModel) error {
	held := m.search.held
	m.search.held = nil
	for _, trial := range held {
		config, err := demo.ParseConfig(trial.Config)
		if err != nil {
			return err
		}
		start := time.Now()
		wrong := m.search.rehearsal.Error(config)
		m.search.told++
		m.track.Tried(wrong)
		if _, err := d.publish(ctx, demoSettings.Subjects.Metrics(m.name), demoReport{
			Metrics: map[string]float64{demoMetric: wrong}, Study: trial.Study, Trial: trial.Trial, Attempt: trial.Attempt,
			DurationMS: time.Since(start).Milliseconds(),
		}); err != nil {
			return err
		}
	}
	return nil
}

// handle deals with an output as a subscriber would.
func (d *demoLoop) handle(output bus.Output) error {
	for _, m := range d.models {
		if output.Header["ce-subject"] == m.name {
			return d.deal(m, output)
		}
	}
	return nil
}

func (d *demoLoop) deal(m *demoModel, output bus.Output) error {
	decode := func(v any) error { return wire.Decode(output.Body, output.Header["Content-Type"], v) }
	switch output.Header["ce-type"] {
	case "retune.config.v1":
		var c wire.Config
		if err := decode(&c); err != nil {
			return err
		}
		return m.configured(c)
	case "retune.retrain.v1":
		var e wire.Retrain
		if err := decode(&e); err != nil {
			return err
		}
		return m.event(e)
	case "retune.summary.v1":
		var s wire.Summary
		if err := decode(&s); err != nil {
			return err
		}
		m.finished(s)
	case "retune.dead.v1":
		return fmt.Errorf("the worker could not use what model %s sent: %s", m.name, output.Header["Retune-Error"])
	}
	return nil
}

// configured keeps the config of a trial, and considers a live one.
func (m *demoModel) configured(c wire.Config) error {
	if c.Study != "" {
		m.search.held = append(m.search.held, c)
		return nil
	}
	proposed, err := demo.ParseConfig(c.Config)
	if err != nil || c.Sequence != m.awaited {
		return err
	}
	m.awaited = 0
	m.track.Considered(m.trainer.Consider(proposed))
	return nil
}

// event keeps an alarm for later, and puts a better config in force.
func (m *demoModel) event(e wire.Retrain) error {
	if e.Trigger != "improved" {
		m.alarms = append(m.alarms, e)
		return nil
	}
	best, err := demo.ParseConfig(e.BestTrial.Config)
	if err != nil {
		return err
	}
	m.trainer.Tune(best)
	m.track.Tuned(*e.Value, best, m.trainer.Version())
	m.search = nil
	return nil
}

// retrain heeds the first alarm before report n, unless it speaks of a version
// that was replaced meanwhile. A study follows when the window holds nothing older.
func (d *demoLoop) retrain(m *demoModel, n int) {
	alarm := m.alarms[0]
	m.alarms = m.alarms[1:]
	report := m.sent[alarm.Sequence]
	if alarm.Version != m.version() {
		m.track.Alarmed(report, alarm.Reason, m.version()+" has replaced that model already")
		return
	}
	m.trainer.Retrain()
	m.track.Alarmed(report, alarm.Reason, "retrained as "+m.version())
	if at := n + demo.WindowBatches - 1; m.search == nil && at+searchTrials <= d.board.Reports {
		m.searchAt = at
	}
}

func (m *demoModel) version() string { return fmt.Sprintf("v%d", m.trainer.Version()) }

// finished ends the study, unless an improved event is to follow.
func (m *demoModel) finished(s wire.Summary) {
	if s.BestTrial != nil && s.BestTrial.Value < m.search.baseline {
		return
	}
	m.track.Kept(s.BestTrial.Value)
	m.search = nil
}
