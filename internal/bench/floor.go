package bench

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/wire"
)

// floorReads takes what each partition holds and looks at nothing.
func floorReads(ctx context.Context, g *bus.Bus, last []uint64) error {
	return eachPartition(last, func(p int) error {
		return readAll(ctx, g, p, last[p], func([]bus.Input) error { return nil })
	})
}

// floorCommits answers what each partition holds with messages like a worker's: a
// config per report and one state per model and commit.
func floorCommits(ctx context.Context, g *bus.Bus, last []uint64) error {
	committer, err := g.NewCommitter(ctx, coordinator.Lanes(1), nil)
	if err != nil {
		return err
	}
	names := g.Settings().Subjects
	return eachPartition(last, func(p int) error {
		var fence uint64
		return readAll(ctx, g, p, last[p], func(inputs []bus.Input) error {
			seen := map[string]bool{}
			var writes []bus.Write
			for _, in := range inputs {
				_, _, model, _ := names.ParseInput(in.Subject)
				writes = append(writes, g.Output(names.LiveConfig(model), floorConfig, floorHeader, 0))
				if !seen[model] {
					seen[model] = true
					writes = append(writes, g.State(wire.ModelKey(p, model), floorState, 0))
				}
			}
			var err error
			fence, err = committer.Commit(ctx, bus.Commit{Partition: p, Fence: fence, Offset: floorState[:100], Writes: writes})
			return err
		})
	})
}

// As large as what a worker stores for a report of report.
var (
	floorConfig = make([]byte, 175)
	floorState  = make([]byte, 300)
	floorHeader = map[string]string{
		"Content-Type": "application/msgpack", "traceparent": strings.Repeat("0", 55), "ce-specversion": "1.0", "ce-id": strings.Repeat("0", 26),
		"ce-type": "retune.config.v1", "ce-source": "/retune", "ce-subject": "model-100", "ce-time": strings.Repeat("0", 30), "ce-datacontenttype": "application/msgpack",
	}
)

func eachPartition(last []uint64, f func(p int) error) error {
	errs := make([]error, len(last))
	var wg sync.WaitGroup
	for p := range last {
		wg.Go(func() { errs[p] = f(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func readAll(ctx context.Context, g *bus.Bus, p int, last uint64, f func([]bus.Input) error) error {
	if last == 0 {
		return nil
	}
	r, err := g.Read(ctx, p, 1)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		inputs, err := r.Take(coordinator.ChunkSize)
		if err != nil {
			return err
		}
		if len(inputs) == 0 {
			select {
			case <-r.Ready():
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := f(inputs); err != nil {
			return err
		}
		if inputs[len(inputs)-1].Sequence >= last {
			return nil
		}
	}
}
