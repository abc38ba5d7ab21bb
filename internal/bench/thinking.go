package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// thinking is a study whose trials end the moment they are suggested, so that its
// strategy always thinks.
type thinking struct {
	trials atomic.Int64
	close  func()
}

const thinkingStudy = `{"op":"start","study":{"name":"thinking","objective":{"metric":"loss","goal":"minimize"},
"strategy":"gp","seed":1,"max_duration":"1h","parallelism":4,"space":{%s"z":{"type":"int","low":1,"high":9}}}}`

// startThinking starts it on a model in the partition of the one that is pinged, and
// waits until the strategy has its first results.
func startThinking(ctx context.Context, g *bus.Bus) (*thinking, error) {
	model, err := neighbour(ctx, g, pinged)
	if err != nil {
		return nil, err
	}
	names := g.Settings().Subjects
	t := &thinking{}
	begun := make(chan struct{})
	t.close, err = g.Listen(names.TrialConfigs(model), func(_ string, body []byte) {
		var c wire.Config
		if wire.Decode(body, wire.Msgpack.ContentType(), &c) != nil || c.Trial == nil {
			return
		}
		if t.trials.Add(1) == 50 {
			close(begun)
		}
		go func() {
			result := fmt.Appendf(nil, `{"study":"thinking","trial":%d,"metrics":{"loss":%v}}`, *c.Trial, bowl(c.Config))
			_, _ = g.Publish(ctx, names.Metrics(model), wire.JSON.ContentType(), result)
		}()
	})
	if err != nil {
		return nil, err
	}
	axes := ""
	for i := range 9 {
		axes += fmt.Sprintf(`"x%d":{"type":"float","low":0,"high":1},`, i)
	}
	if _, err := g.Publish(ctx, names.StudyCommand(model), wire.JSON.ContentType(), fmt.Appendf(nil, thinkingStudy, axes)); err != nil {
		t.close()
		return nil, err
	}
	select {
	case <-begun:
		return t, nil
	case <-ctx.Done():
		t.close()
		return nil, ctx.Err()
	}
}

// bowl is a sum of squares.
func bowl(config map[string]any) (loss float64) {
	for _, v := range config {
		if x, ok := v.(float64); ok {
			loss += (x - 0.3) * (x - 0.3)
		}
	}
	return loss
}
