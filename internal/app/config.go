package app

import (
	"time"

	"github.com/visutility/retune/internal/duration"
	"github.com/visutility/retune/internal/wire"
)

// Config is worker.yaml. Sizes are whole or broken numbers with a unit (10GiB,
// 500MB; a bare number is bytes), durations as of Go with days added (90s, 1h30m,
// 7d). What is absent has its default.
//
// In strings, ${NAME} stands for an environment variable, which must be set, and
// $${ for a plain ${. Within {…} and […] such a string needs quotes.
type Config struct {
	NATS       NATS      `yaml:"nats"`       // which to join; default: an embedded server
	Encoding   Encodings `yaml:"encoding"`   // of outputs, msgpack or json, for all or by kind; default msgpack
	Replicas   int       `yaml:"replicas"`   // of both streams, 1 to 5; default 1
	Partitions int       `yaml:"partitions"` // of the inputs, 1 to 1024, fixed when their stream is created; default 32
	Lease      *Duration `yaml:"lease"`      // a worker silent for so long counts as dead, 1s to 1h; default 5s
	Models     []Model   `yaml:"models"`     // the first that matches holds; default: DefaultModels. An empty list treats none
	Sinks      []Sink    `yaml:"sinks"`      // of retrain events; default: the log. An empty list has none
	Limits     Limits    `yaml:"limits"`
	TTL        TTL       `yaml:"ttl"`
	HTTP       string    `yaml:"http"` // host:port of /healthz, /readyz, /metrics and, for this machine, /debug/pprof; default: not served
	OTLP       OTLP      `yaml:"otlp"`
}

// OTLP says where traces go.
type OTLP struct {
	Endpoint string `yaml:"endpoint"` // of a collector, over HTTP; default: the variable OTEL_EXPORTER_OTLP_ENDPOINT, without it none are made
}

// NATS says which NATS to join and as whom; flags and environment go before it.
type NATS struct {
	URL     string `yaml:"url"`     // several with commas between them
	Context string `yaml:"context"` // of the nats CLI, instead of a url
	Creds   string `yaml:"creds"`   // file with JWT and seed
	NKey    string `yaml:"nkey"`    // file with an NKey seed
	TLS     TLS    `yaml:"tls"`
}

// TLS names the files of a connection over TLS.
type TLS struct {
	CA   string `yaml:"ca"`   // certificates to trust; default: the system's
	Cert string `yaml:"cert"` // to show, with its key
	Key  string `yaml:"key"`
}

// Model says how the models whose id matches are treated.
type Model struct {
	Match   string `yaml:"match"`   // pattern of path.Match: * ? [a-z]; required
	Tuner   *Tuner `yaml:"tuner"`   // answers live reports; default: none does
	Monitor any    `yaml:"monitor"` // as of observer.Parse: a list of rules, or a mapping with rules and when they are told; default: none

	OnRetrain *OnRetrain `yaml:"on_retrain"` // what a retrain event starts; default: nothing
}

// OnRetrain says what a retrain event starts.
type OnRetrain struct {
	// Study is a Study without a name. Its first trial is the config in force. It is not started while
	// another runs.
	Study map[string]any `yaml:"study"` // required
}

// Tuner answers live reports with configs.
type Tuner struct {
	Strategy string         `yaml:"strategy"` // required
	Options  map[string]any `yaml:"options"`  // of the strategy
	Space    map[string]any `yaml:"space"`    // types and bounds of parameters; default: as reported, unbounded
}

// Sink takes retrain events.
type Sink struct {
	Type    string            `yaml:"type"`    // log or webhook; required
	Name    string            `yaml:"name"`    // ends that of its consumer, retune-sink-<name>; default: the type
	URL     Secret            `yaml:"url"`     // of a webhook; required there
	Secret  *Secret           `yaml:"secret"`  // of a webhook, signs what it sends; default: not signed
	Headers map[string]Secret `yaml:"headers"` // of a webhook, sent along; default: none
}

// Limits bound what is stored and kept in memory.
type Limits struct {
	Models       int       `yaml:"models"`        // known to all workers together; default 1000000
	CachedModels int       `yaml:"cached_models"` // in the memory of each worker; default 100000
	InputBytes   Size      `yaml:"input_bytes"`   // of the input stream, the oldest go first, at least 16MiB; default 10GiB
	InputAge     *Duration `yaml:"input_age"`     // after which inputs go, at least 1m; default 7d
	BucketBytes  Size      `yaml:"bucket_bytes"`  // of state and outputs; when full, workers stall; at least 16MiB; default 10GiB
}

// TTL is how long outputs are kept, by kind, at least 1s; 0 keeps them for good.
// Live configs are always kept.
type TTL struct {
	Config  *Duration `yaml:"config"`  // of trials; default 24h
	Stop    *Duration `yaml:"stop"`    // default 24h
	Dead    *Duration `yaml:"dead"`    // default 7d
	Retrain *Duration `yaml:"retrain"` // default 30d
	Summary *Duration `yaml:"summary"` // default 30d
}

const day = duration.Day

// WithDefaults fills in what is absent: what is nil, 0 or empty.
func (c Config) WithDefaults() Config {
	setDefault(&c.Replicas, 1)
	setDefault(&c.Partitions, 32)
	setDefault(&c.Limits.Models, 1_000_000)
	setDefault(&c.Limits.CachedModels, 100_000)
	setDefault(&c.Limits.InputBytes, 10<<30)
	setDefault(&c.Limits.BucketBytes, 10<<30)
	return c.withoutNil()
}

// withoutNil fills in what is nil.
func (c Config) withoutNil() Config {
	if c.Encoding == nil {
		c.Encoding = Encodings{}
	}
	if c.Models == nil {
		c.Models = DefaultModels()
	}
	if c.Sinks == nil {
		c.Sinks = []Sink{{Type: "log"}}
	}
	setDefault(&c.Lease, after(5*time.Second))
	setDefault(&c.Limits.InputAge, after(7*day))
	setDefault(&c.TTL.Config, after(day))
	setDefault(&c.TTL.Stop, after(day))
	setDefault(&c.TTL.Dead, after(7*day))
	setDefault(&c.TTL.Retrain, after(30*day))
	setDefault(&c.TTL.Summary, after(30*day))
	return c
}

// DefaultModels tunes the config of every live report for a small loss, and watches
// the main metric.
func DefaultModels() []Model {
	return []Model{{
		Match:   "*",
		Tuner:   &Tuner{Strategy: "local"},
		Monitor: []any{map[string]any{"detector": "auto"}},
	}}
}

func setDefault[T comparable](field *T, standard T) {
	var absent T
	if *field == absent {
		*field = standard
	}
}

func after(d time.Duration) *Duration { return (*Duration)(&d) }

// Encodings are how outputs are written, by kind: config, stop, retrain, summary.
// A kind that is absent is written as msgpack.
type Encodings map[string]wire.Encoding
