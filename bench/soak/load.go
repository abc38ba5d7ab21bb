package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	studyModels   = 20
	trials        = 20
	studiesToKeep = 5 // of a model, before it is forgotten: a finished study stays for good
)

// load is what trainers and operators do.
type load struct {
	js        jetstream.JetStream
	wg        sync.WaitGroup
	published atomic.Int64
	studies   atomic.Int64
	failed    atomic.Int64
	why       atomic.Pointer[error]
}

func startLoad(ctx context.Context, s *site, o options) (*load, error) {
	l := &load{js: s.js}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		l.report(ctx, o)
	}()
	for i := range studyModels {
		if err := l.study(ctx, fmt.Sprintf("study-%d", i)); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *load) wait() { l.wg.Wait() }

// trouble is the first failure of the load itself.
func (l *load) trouble() error {
	if err := l.why.Load(); err != nil {
		return fmt.Errorf("%d reports were not stored: %w", l.failed.Load(), *err)
	}
	return nil
}

// report publishes at the rate, in portions of a hundredth of a second. Where the server does
// not keep up the rate is lower, and published says so.
func (l *load) report(ctx context.Context, o options) {
	r := rand.New(rand.NewPCG(1, 1))
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := int64(time.Since(began).Seconds() * float64(o.rate))
		for ; n < due && ctx.Err() == nil; n++ {
			subject, body := live(r, n, o.models)
			l.send(subject, body)
		}
	}
}

// live is the n-th report. Each model's loss jumps for 20 of 1,000 reports.
func live(r *rand.Rand, n int64, models int) (subject string, body []byte) {
	model, round := n%int64(models), n/int64(models)
	loss := 1 + 0.01*r.NormFloat64()
	if (round+model)%1000 >= 980 {
		loss += 0.5
	}
	if model%2 == 0 {
		return fmt.Sprintf("retune.metrics.tuned-%d", model), fmt.Appendf(nil, `{"metrics":{"loss":%g,"accuracy":0.9},"config":{"lr":0.01,"batch":64}}`, loss)
	}
	return fmt.Sprintf("retune.metrics.seen-%d", model), fmt.Appendf(nil, `{"metrics":{"loss":%g,"accuracy":0.9}}`, loss)
}

func (l *load) send(subject string, body []byte) {
	if _, err := l.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: body}, jetstream.WithStallWait(10*time.Second)); err != nil {
		l.failed.Add(1)
		l.why.CompareAndSwap(nil, &err)
		return
	}
	l.published.Add(1)
}

// study runs studies on the model one after the other, and has it forgotten now and then.
func (l *load) study(ctx context.Context, model string) error {
	heard := make(chan *nats.Msg, 1024)
	nc := l.js.Conn()
	for _, subject := range []string{"retune.config." + model + ".*.*", "retune.summary." + model + ".*"} {
		if _, err := nc.ChanSubscribe(subject, heard); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	if err := nc.Flush(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		for n := 0; ctx.Err() == nil; n++ {
			if n%studiesToKeep == 0 {
				l.send("retune.study."+model, []byte(`{"op":"forget"}`))
			}
			l.evaluate(ctx, model, fmt.Sprintf("s%d", n%studiesToKeep), heard)
		}
	}()
	return nil
}

// evaluate starts a study and answers its trials until it has ended.
func (l *load) evaluate(ctx context.Context, model, name string, heard <-chan *nats.Msg) {
	l.send("retune.study."+model, fmt.Appendf(nil, `{"op":"start","study":{"name":%q,"objective":{"metric":"loss","goal":"minimize"},"strategy":"tpe","space":{"x":{"type":"float","low":-1,"high":1},"y":{"type":"float","low":-1,"high":1}},"max_trials":%d,"parallelism":2,"pruner":{"type":"median"}}}`, name, trials))
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-heard:
			if m.Subject == "retune.summary."+model+"."+name {
				l.studies.Add(1)
				return
			}
			l.answer(ctx, model, m)
		}
	}
}

// answer trains for a while.
func (l *load) answer(ctx context.Context, model string, m *nats.Msg) {
	var c struct {
		Study  string             `json:"study"`
		Trial  int                `json:"trial"`
		Config map[string]float64 `json:"config"`
	}
	if err := json.Unmarshal(m.Data, &c); err != nil {
		err = errors.Join(errors.New("a config is not as expected"), err)
		l.why.CompareAndSwap(nil, &err)
		return
	}
	loss := c.Config["x"]*c.Config["x"] + c.Config["y"]*c.Config["y"]
	for step := range 5 {
		l.send("retune.metrics."+model, fmt.Appendf(nil, `{"study":%q,"trial":%d,"step":%d,"metrics":{"loss":%g}}`, c.Study, c.Trial, step, loss+1/float64(step+1)))
	}
	select {
	case <-time.After(50 * time.Millisecond):
	case <-ctx.Done():
	}
	l.send("retune.metrics."+model, fmt.Appendf(nil, `{"study":%q,"trial":%d,"metrics":{"loss":%g}}`, c.Study, c.Trial, loss))
}
