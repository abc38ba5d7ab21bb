package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// AgentOptions say whose trials to evaluate, and how.
type AgentOptions struct {
	Model    string
	Command  []string  // run once per trial; see agent.FillIn
	Parallel int       // trials at once, 1 to study.MaxParallelism
	Out, Err io.Writer // for what the programs print
	Log      zerolog.Logger
}

// RunAgent takes trials of a model and evaluates them until ctx ends, which is no error. The trials it has in hand
// then go to other agents.
func RunAgent(ctx context.Context, b *bus.Bus, o AgentOptions) error {
	if err := cmp.Or(checkFlag("--model", o.Model), checkParallel(o.Parallel, 1), checkCommand(o.Command)); err != nil {
		return err
	}
	p := newPool(b, o.Model, o.Command, o.Parallel, newAgentLog(o), o.Log)
	return unlessDone(ctx, p.run(ctx))
}

func checkParallel(trials, least int) error {
	if err := within("--parallel", trials, least, study.MaxParallelism); err != nil {
		return &Misuse{err}
	}
	return nil
}

// checkCommand finds a misspelled program before it makes trials fail.
func checkCommand(command []string) error {
	if len(command) == 0 {
		return &Misuse{errors.New("no command: give one after --, such as -- python train.py {args}")}
	}
	if strings.Contains(command[0], "{") {
		return nil
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return &Misuse{fmt.Errorf("the command cannot be run: %w", err)}
	}
	return nil
}

// pool evaluates trials of a model, some at once.
type pool struct {
	bus     *bus.Bus
	model   string
	command []string
	view    agentView
	log     zerolog.Logger
	slots   chan struct{} // as many as may run at once
	working sync.WaitGroup

	mu    sync.Mutex
	turns map[attempt]*turn
}

// attempt identifies what is evaluated.
type attempt struct {
	study         string
	trial, number int
	sequence      uint64 // of its config in the bucket: after a forget the other names may come again
}

func newPool(b *bus.Bus, model string, command []string, parallel int, view agentView, log zerolog.Logger) *pool {
	return &pool{
		bus: b, model: model, command: command, view: view, log: log,
		slots: make(chan struct{}, parallel), turns: map[attempt]*turn{},
	}
}

// rejoinPause is between two looks for trials to share, and after a failure.
const rejoinPause = 500 * time.Millisecond

// run returns why ctx ended, when the programs have.
func (p *pool) run(ctx context.Context) error {
	defer p.working.Wait()
	trials, partition, err := p.join(ctx)
	if err != nil {
		return err
	}
	// What is missed while the connection is lost, turns see for themselves.
	deaf, err := p.bus.Committed(p.bus.Settings().Subjects.Prefix+".stop."+p.model+".*.*", p.heed)
	if err != nil {
		return err
	}
	defer deaf()
	for {
		err := p.share(ctx, trials, partition)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.log.Debug().Err(err).Msg("joining the agents again")
		pause(ctx, rejoinPause)
		if trials, partition, err = p.join(ctx); err != nil {
			return err
		}
	}
}

// join waits until the model's trials are shared out. An error is that of ctx.
func (p *pool) join(ctx context.Context) (trials *bus.Queue, partition int, err error) {
	for told := ""; ; pause(ctx, rejoinPause) {
		trials, partition, err = p.tryJoin(ctx)
		switch {
		case err == nil:
			return trials, partition, nil
		case ctx.Err() != nil:
			return nil, 0, ctx.Err()
		case err.Error() == told:
		case errors.Is(err, bus.ErrNoTrials):
			p.log.Info().Str("model", p.model).Msg("waiting for the model's first study: worker study start -f FILE starts one")
		default:
			p.log.Warn().Err(err).Msg("cannot join the agents yet: trying again")
		}
		told = err.Error()
	}
}

func (p *pool) tryJoin(ctx context.Context) (*bus.Queue, int, error) {
	trials, err := p.bus.Trials(ctx, p.model)
	if err != nil {
		return nil, 0, err
	}
	layout, err := p.bus.Layout(ctx)
	if err != nil {
		return nil, 0, err
	}
	return trials, layout.Partition(p.model), nil
}

// share asks for one trial at a time, so that none waits here while another agent is free.
func (p *pool) share(ctx context.Context, trials *bus.Queue, partition int) error {
	for {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		output, err := trials.Take(ctx)
		if err != nil {
			<-p.slots
			return err
		}
		p.working.Go(func() {
			defer func() { <-p.slots }()
			p.deal(ctx, output, partition, trials.AckWait())
		})
	}
}

func (p *pool) deal(ctx context.Context, output bus.Output, partition int, ackWait time.Duration) {
	t := &turn{pool: p, output: output, partition: partition, stopped: make(chan struct{})}
	err := wire.Decode(output.Body, output.Header["Content-Type"], &t.config)
	if err != nil || t.config.Trial == nil {
		p.log.Error().Err(err).Str("subject", output.Subject).Msg("not the config of a trial: it is left out")
		_ = output.Drop()
		return
	}
	id := attempt{t.config.Study, *t.config.Trial, t.config.Attempt, output.Sequence}
	if !p.begin(id, t) {
		return // it came again after an outage, while its first turn goes on: that one settles it
	}
	defer p.end(id)
	t.run(ctx, ackWait)
}

func (p *pool) begin(id attempt, t *turn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turns[id] != nil {
		return false
	}
	p.turns[id] = t
	return true
}

func (p *pool) end(id attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.turns, id)
}

// heed has a trial end at once that the study has given up.
func (p *pool) heed(output bus.Output) {
	var s wire.Stop
	if err := wire.Decode(output.Body, output.Header["Content-Type"], &s); err != nil {
		p.log.Error().Err(err).Str("subject", output.Subject).Msg("not a stop")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, t := range p.turns {
		if id.study == s.Study && id.trial == s.Trial && id.number == s.Attempt && id.sequence < output.Sequence {
			t.stop(s.Reason)
		}
	}
}

// pause waits, less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
