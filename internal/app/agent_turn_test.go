//go:build unix

package app

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// forget has the worker drop the model.
func (c *commandBundle) forget(model string) {
	c.t.Helper()
	body := []byte(`{"op": "forget"}`)
	if err := c.bus.PublishOnce(c.t.Context(), c.bus.Settings().Subjects.StudyCommand(model), wire.JSON.ContentType(), "forget", body); err != nil {
		c.t.Fatal(err)
	}
}

// take waits for a trial and takes it, without a look at it.
func (c *commandBundle) take(model string) *turn {
	c.t.Helper()
	var discarded bytes.Buffer
	p := newPool(c.bus, model, []string{"true"}, 1, newAgentLog(AgentOptions{Out: &discarded, Err: &discarded, Log: zerolog.Nop()}), zerolog.Nop())
	ctx, cancel := context.WithTimeout(c.t.Context(), 15*time.Second)
	defer cancel()
	trials, partition, err := p.join(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	output, err := trials.Take(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	t := &turn{pool: p, output: output, partition: partition, stopped: make(chan struct{})}
	if err := wire.Decode(output.Body, output.Header["Content-Type"], &t.config); err != nil {
		c.t.Fatal(err)
	}
	return t
}

func (c *commandBundle) standing(t *turn, want string) {
	c.t.Helper()
	if _, over, err := t.standing(c.t.Context()); over != want || err != nil {
		c.t.Errorf("%q %v, wanted %q", over, err, want)
	}
}

func TestAStopIsForConfigsBeforeIt(t *testing.T) {
	t.Parallel()
	p := newPool(nil, "m", nil, 2, nil, zerolog.Nop())
	before, after := &turn{stopped: make(chan struct{})}, &turn{stopped: make(chan struct{})}
	if !p.begin(attempt{"s", 0, 1, 10}, before) || !p.begin(attempt{"s", 0, 1, 30}, after) {
		t.Error("the attempt after the forget was taken for that before it")
	}
	if p.begin(attempt{"s", 0, 1, 30}, after) {
		t.Error("a config that came again began another turn")
	}
	p.heed(bus.Output{Sequence: 20, Body: []byte(`{"study": "s", "trial": 0, "attempt": 1, "reason": "study_ended"}`), Header: map[string]string{"Content-Type": wire.JSON.ContentType()}})
	if !before.isStopped() || after.isStopped() {
		t.Errorf("stopped: %t before, %t after", before.isStopped(), after.isStopped())
	}
}

func TestATrialDoesNotOutliveAForget(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	if _, err := c.start(StartOptions{}, conditional); err != nil {
		t.Fatal(err)
	}
	old := c.take("m")
	c.standing(old, "")
	c.forget("m")
	if _, err := c.start(StartOptions{}, conditional); err != nil {
		t.Fatal(err)
	}
	again := c.take("m")
	if again.config.Study != old.config.Study || *again.config.Trial != *old.config.Trial || again.config.Attempt != old.config.Attempt {
		t.Fatalf("%+v is not named like %+v", again.config, old.config)
	}
	c.standing(old, "study_ended")
	c.standing(again, "")
}

func TestAReplicaThatLagsDoesNotStrandATrial(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	c.worker()
	if _, err := c.start(StartOptions{}, conditional); err != nil {
		t.Fatal(err)
	}
	late := c.take("m")
	there := *late.config.Trial
	gone := there + 1000
	late.config.Trial = &gone
	c.standing(late, "it is forgotten")
	late.output.Sequence += 1_000_000 // as if what is read were older, so that the trial is not yet there
	start := time.Now()
	late.run(t.Context(), time.Minute)
	if late.isStopped() || c.unsettled("m") != 1 {
		t.Errorf("after %s the config is settled", time.Since(start))
	}
	bustest.Eventually(t, 2*behindTime, "it comes again", func() bool {
		again := c.take("m")
		return *again.config.Trial == there && again.output.Attempt == 2
	})
}
