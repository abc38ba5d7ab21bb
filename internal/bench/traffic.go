package bench

import (
	"context"
	"errors"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// publish sends n reports and waits until the stream has them all.
func publish(ctx context.Context, g *bus.Bus, n int, message func(i int) (subject string, body []byte)) error {
	var refused error
	p := g.NewPublisher(func(_ int, err error) { refused = errors.Join(refused, err) })
	for i := range n {
		subject, body := message(i)
		if err := p.Publish(ctx, i, subject, wire.Msgpack.ContentType(), body); err != nil {
			p.Close()
			return err
		}
	}
	p.Close()
	return refused
}

// report is what trainers send: three metrics, and a config if it wants a new
// one.
func report(i int, tuned bool) []byte {
	report := map[string]any{"metrics": map[string]any{"loss": 0.5 + float64(i%7)/1000, "accuracy": 0.9, "f1_score": 0.88}, "run_id": "bench"}
	if tuned {
		report["config"] = map[string]any{"learning_rate": 0.01, "batch_size": 64}
	}
	body, err := wire.MarshalState(report)
	if err != nil {
		panic(err)
	}
	return body
}

func config(tuned bool) (coordinator.Config, error) {
	monitor, err := observer.Parse([]any{map[string]any{"metric": "loss", "detector": "rolling_mean", "window": 20, "threshold": 0.05}})
	if err != nil {
		return coordinator.Config{}, err
	}
	policy := coordinator.Policy{Match: "*", Monitor: monitor}
	if tuned {
		s, err := strategy.New("explore", map[string]any{"rate": 0.1, "relative": true}, nil)
		if err != nil {
			return coordinator.Config{}, err
		}
		policy.Tuner = &coordinator.Tuner{Name: "explore", Strategy: s}
	}
	return coordinator.Config{
		Policies: []coordinator.Policy{policy}, Encoding: map[string]wire.Encoding{}, TTL: map[string]time.Duration{},
		MaxModels: 1_000_000, CachedModels: 1_000_000, Version: "bench", Hash: "bench",
	}, nil
}
