package coordinator

import (
	"path"
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// Kinds of outputs, as they stand in subjects, in ce-type and in the encoding and
// ttl settings.
const (
	KindConfig  = "config"
	KindStop    = "stop"
	KindRetrain = "retrain"
	KindSummary = "summary"
	KindDead    = "dead"
)

// Config is what a worker has to know beside NATS.
type Config struct {
	Policies     []Policy                 // the first whose pattern matches the model holds
	Encoding     map[string]wire.Encoding // by kind; absent: msgpack
	TTL          map[string]time.Duration // by kind; 0: kept for good. Live configs are always kept
	MaxModels    int                      // known to all workers together; reports of further ones are dead letters
	CachedModels int                      // kept in memory by this worker, more only while unwritten
	Version      string                   // of the program, shown by `worker show`
	Hash         string                   // of the config, to find workers that differ
	// AdoptInputs accepts an input stream that is not the one read before: reading
	// starts over at its beginning, or at its end if it only lost its tail.
	AdoptInputs bool
	Tracer      Tracer // nil: no spans
}

// Policy says what is done for the models whose id matches a pattern.
type Policy struct {
	Match   string         // as path.Match
	Tuner   *Tuner         // nil: live reports are not answered
	Study   map[string]any // definition of the study that a retrain event starts; nil: none
	Monitor *observer.Monitor
}

// Tuner answers live reports.
type Tuner struct {
	Name     string
	Strategy strategy.Strategy
}

// policy returns the first that matches; without one, a model is neither tuned nor
// monitored, but can have studies.
func (c *Config) policy(model string) *Policy {
	for i := range c.Policies {
		if ok, _ := path.Match(c.Policies[i].Match, model); ok {
			return &c.Policies[i]
		}
	}
	return &unmatched
}

var unmatched = Policy{Monitor: must(observer.Parse(nil))}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
