package app

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

func environment(name string) (string, bool) {
	value, set := map[string]string{"URL": "nats://user:secret@host", "EMPTY": "", "REPLICAS": "3"}[name]
	return value, set
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	t.Parallel()
	const model = "models:\n  - match: \"*\"\n"
	for _, c := range []struct{ name, yaml, want string }{
		{"mistyped field", "replicas: 1\npartitons: 8", "f:2: partitons: unknown field: did you mean partitions?"},
		{"swapped letters", "limits:\n  bucket_btyes: 1GiB", "f:2: limits.bucket_btyes: unknown field: did you mean bucket_bytes?"},
		{"capitals", "Lease: 5s", "f:1: Lease: unknown field: did you mean lease?"},
		{"field of another version", model + "    on_drift: x", "f:3: models[0].on_drift: unknown field: known here are match, monitor, on_retrain, tuner"},
		{"a named study on retrain", model + "    on_retrain:\n      study: {name: again}", "f:4: models[0].on_retrain.study.name: again cannot be used more than once: leave it out"},
		{"a warm start on retrain", model + "    on_retrain:\n      study: {warm_start: [a]}", "f:4: models[0].on_retrain.study.warm_start: is not for studies that start by themselves: leave it out"},
		{"a study on retrain without an objective", model + "    on_retrain:\n      study: {max_trials: 3}", "f:4: models[0].on_retrain.study.objective.metric: missing: give the name of the metric to optimise"},
		{"fields of nats", "nats: {urls: x}", "f:1: nats.urls: unknown field: did you mean url?"},
		{"not a mapping", "- a", "f:1: a list is not a mapping: give one with encoding, http, lease, limits, models, nats, otlp, partitions, replicas, sinks, ttl"},
		{"text alone", "hello", `f:1: "hello" is not a mapping: give one with encoding, http, lease, limits, models, nats, otlp, partitions, replicas, sinks, ttl`},
		{"two documents", "lease: 5s\n---\nlease: 6s", "f:3: a second document: give one only"},
		{"twice", "lease: 5s\nreplicas: 1\nlease: 6s", `f:3: mapping key "lease" already defined at [1:1]`},
		{"open list", "sinks: [", "f:1: sequence end token ']' not found"},
		{"unknown alias", "lease: *x", `f:1: could not find alias "x"`},

		{"word for number", "replicas: three", `f:1: replicas: "three" is not a whole number: give one`},
		{"broken number", "replicas: 1.5", `f:1: replicas: "1.5" is not a whole number: give one`},
		{"list for number", "replicas: [1]", `f:1: replicas: a list is not a whole number: give one`},
		{"too many replicas", "\nreplicas: 7", "f:2: replicas: 7 is out of range: give 1 to 5"},
		{"partitions", "partitions: -1", "f:1: partitions: -1 is out of range: give 1 to 1024"},
		{"no partitions", "lease: 5s\npartitions: 0", "f:2: partitions: 0 is out of range: give 1 to 1024"},
		{"no replicas", "replicas: 0", "f:1: replicas: 0 is out of range: give 1 to 5"},
		{"no models", "limits:\n  models: 0", "f:2: limits.models: 0 is out of range: give 1 to 1000000000"},
		{"no models in memory", "limits: {cached_models: 0}", "f:1: limits.cached_models: 0 is out of range: give 1 to 1000000000"},
		{"no inputs", "limits:\n  models: 5\n  input_bytes: 0", "f:3: limits.input_bytes: 0 is out of range: give 16MiB to 1048576TiB"},
		{"no bucket", "limits: {bucket_bytes: 0}", "f:1: limits.bucket_bytes: 0 is out of range: give 16MiB to 1048576TiB"},
		{"no lease", "lease: 0s", "f:1: lease: 0s is out of range: give 1s to 1h"},
		{"list for string", "http: [a]", "f:1: http: a list is not a string: give one"},
		{"address", "http: localhost", `f:1: http: "localhost" is not an address: give host:port, such as 127.0.0.1:9090`},
		{"duration without unit", "lease: 5", `f:1: lease: "5" is not a duration: give one such as 90s, 36h or 7d`},
		{"short lease", "lease: 10ms", "f:1: lease: 10ms is out of range: give 1s to 1h"},
		{"no duration", "ttl:\n  dead: soon", `f:2: ttl.dead: "soon" is not a duration: give one such as 90s, 36h or 7d`},
		{"short ttl", "ttl:\n  stop: 1h\n  dead: 10ms", "f:3: ttl.dead: 10ms is too short: give at least 1s, or 0 to keep them for good"},
		{"negative ttl", "ttl: {dead: -1h}", `f:1: ttl.dead: "-1h" is not a duration: give one such as 90s, 36h or 7d`},
		{"kind of ttl", "ttl: {retrains: 1h}", "f:1: ttl.retrains: unknown field: did you mean retrain?"},
		{"no size", "limits:\n  models: 5\n  input_bytes: lots", `f:3: limits.input_bytes: "lots" is not a size: give one such as 512MiB or 10GiB`},
		{"list for size", "limits: {input_bytes: [1]}", `f:1: limits.input_bytes: "[1]" is not a size: give one such as 512MiB or 10GiB`},
		{"small bucket", "limits:\n  bucket_bytes: 1MiB", "f:2: limits.bucket_bytes: 1MiB is out of range: give 16MiB to 1048576TiB"},
		{"short age", "limits: {input_age: 1s}", "f:1: limits.input_age: 1s is out of range: give 1m to 36500d"},

		{"encoding", "encoding: xml", `f:1: encoding: "xml" is not an encoding: give msgpack or json`},
		{"encoding list", "encoding: [json]", "f:1: encoding: a list is not an encoding: give msgpack or json"},
		{"encoding of a kind", "encoding:\n  config: json\n  stop: yaml", `f:3: encoding.stop: "yaml" is not an encoding: give msgpack or json`},
		{"kind of encoding", "encoding: {retrains: json}", "f:1: encoding.retrains: unknown kind of output: did you mean retrain?"},
		{"encoding of dead letters", "encoding: {dead: json}", "f:1: encoding.dead: unknown kind of output: known here are config, retrain, stop, summary"},

		{"url and context", "nats:\n  url: x\n  context: y", "f:3: nats.context: there is a url too: give one of them"},
		{"cert alone", "nats:\n  url: x\n  tls:\n    cert: y", "f:4: nats.tls: cert and key go together: give both or neither"},
		{"unset variable", "nats:\n  url: ${NOT_SET}", "f:2: nats.url: the environment variable NOT_SET is not set: set it, or write $${ for a plain ${"},
		{"no variable", "nats:\n  url: x${a b}", `f:2: nats.url: "${a b}" is not a variable: write ${NAME}, or $${ for a plain ${`},
		{"open variable", "nats: {url: 'x${URL'}", `f:1: nats.url: "${URL" is not a variable: write ${NAME}, or $${ for a plain ${`},

		{"models not a list", "models: {match: x}", "f:1: models: a mapping is not a list: give one, as in [a, b] or on lines that begin with -"},
		{"no match", "models:\n  - monitor: []", `f:2: models[0].match: is missing: give a pattern of model ids, such as "fraud-*", or "*" for all`},
		{"pattern", "models: [{match: 'a['}]", `f:1: models[0].match: "a[" is not a pattern: use * for any characters, ? for one, [a-z] for one of some`},
		{"unreachable", model + "  - match: fraud-*", `f:3: models[1].match: "fraud-*" never comes into play, as models[0] matches first: move it before that`},
		{"no strategy", model + "    tuner: {}", "f:3: models[0].tuner.strategy: is missing: give one of " + strings.Join(strategy.Names(), ", ")},
		{"unknown strategy", model + "    tuner:\n      options: {}\n      strategy: magic", `f:5: models[0].tuner.strategy: "magic" is not a strategy: give one of ` + strings.Join(strategy.Names(), ", ")},
		{"unknown option", model + "    tuner:\n      strategy: explore\n      options:\n        rat: 1", "f:6: models[0].tuner.options.rat: is not an option of the strategy: use rate, relative"},
		{"option's value", model + "    tuner:\n      strategy: explore\n      options: {rate: fast}", `f:5: models[0].tuner.options.rate: "fast" is not a finite number: give one such as 0.1`},
		{"space", model + "    tuner:\n      strategy: random\n      space:\n        lr: {type: float, low: abc, high: 1}", `f:6: models[0].tuner.space.lr.low: "abc" is not a number: give the smallest value`},
		{"mistyped in a parameter", model + "    tuner:\n      strategy: random\n      space:\n        lr: {type: float, low: 0, hihg: 1}", "f:6: models[0].tuner.space.lr.hihg: unknown field: did you mean high?"},
		{"mistyped in a study on retrain", model + "    on_retrain:\n      study: {max_trails: 3}", "f:4: models[0].on_retrain.study.max_trails: unknown field: did you mean max_trials?"},
		{"space needed", model + "    tuner: {strategy: random}", "f:3: models[0].tuner.space: is missing: give one: strategy random searches it"},
		{"monitor not a list", model + "    monitor: loss", `f:3: models[0].monitor: "loss" is not a list of rules or a mapping: give - {metric: loss, detector: auto}`},
		{"unknown detector", model + "    monitor:\n      - metric: loss\n        detector: magic", `f:5: models[0].monitor[0].detector: "magic" is not a known detector: give one of ` + strings.Join(observer.Detectors(), ", ")},
		{"detector's option", model + "    monitor:\n      - {metric: loss, detector: rolling_mean}\n      - metric: f1\n        detector: rolling_mean\n        window: 0", `f:7: models[0].monitor[1].window: 0 is not an integer from 2 to 10000: give one, or leave it out for 20`},
		{"sink", "sinks:\n  - type: lgo", `f:2: sinks[0].type: "lgo" is unknown: did you mean log?`},
		{"sink twice", "sinks: [{type: log},\n  {type: log}]", `f:2: sinks[1].name: "log" is that of sinks[0] already: give it another`},
		{"two webhooks", "sinks:\n  - {type: webhook, url: http://a}\n  - type: webhook\n    url: http://b", `f:3: sinks[1].name: "webhook" is that of sinks[0] already: give it another`},
		{"named like another", "sinks:\n  - type: webhook\n    url: http://a\n    name: log\n  - type: log", `f:5: sinks[1].name: "log" is that of sinks[0] already: give it another`},
		{"no type of a sink", "sinks:\n  - url: http://a", "f:2: sinks[0].type: is missing: give one of log, webhook"},
		{"name of a sink", "sinks:\n  - {type: log}\n  - type: webhook\n    name: a b", `f:4: sinks[1].name: "a b" is not a name: use 1 to 128 of the characters A-Z a-z 0-9 _ -`},
		{"sink's field", "sinks: [{type: log, color: x}]", "f:1: sinks[0].color: unknown field: known here are headers, name, secret, type, url"},
		{"field of another sink", "sinks: [{type: log,\n  url: x}]", "f:2: sinks[0].url: is nothing that a sink of type log has: remove it, or give type: webhook"},
		{"webhook to nowhere", "sinks: [{type: webhook}]", "f:1: sinks[0].url: is missing: give one such as https://example.com/retrain"},
		{"webhook's url", "sinks:\n  - type: webhook\n    url: ${URL}", `f:3: sinks[0].url: "nats" with host "host" is not of the web: give one such as https://example.com/retrain`},
		{"webhook's secret", "sinks:\n  - type: webhook\n    url: http://a\n    secret: 'whsec_${URL}'", "f:4: sinks[0].secret: what follows whsec_ is not base 64: give the secret as the receiver has it"},
		{"empty secret", "sinks: [{type: webhook, url: 'http://a', secret: '${EMPTY}'}]", "f:1: sinks[0].secret: is empty: give one, or leave it out to sign nothing"},
		{"list for secret", "sinks:\n  - type: webhook\n    secret: ['${URL}']", "f:3: sinks[0].secret: is not a string: give one"},
		{"secret for headers", "sinks:\n  - type: webhook\n    headers: ${URL}", `f:3: sinks[0].headers: "${URL}" is not a mapping: give name: value`},
		{"list for header", "sinks:\n  - type: webhook\n    headers:\n      A: ['${URL}']", "f:4: sinks[0].headers.A: is not a string: give one"},
		{"header", "sinks:\n  - type: webhook\n    url: http://a\n    headers:\n      A: x\n      Host: b", "f:6: sinks[0].headers.Host: is set by the sink: remove it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseConfig([]byte(c.yaml), environment)
			if err == nil {
				t.Fatal("no error")
			}
			if got := inFile("f", err).Error(); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

const everything = `
nats:
  url: ${URL}
  creds: a.creds
  nkey: ""
  tls: {ca: ca.pem, cert: c.pem, key: "k$${x}.pem"}
encoding: {retrain: json}
replicas: ${REPLICAS}
partitions: 64
lease: &five 5s
models:
  - match: "fraud-*"
    tuner:
      strategy: random
      space: {lr: {type: float, low: 1e-5, high: 1E-1, log: true}, note: {type: categorical, choices: ["$${HOME}", "${URL}"]}}
    monitor:
      - {metric: loss, detector: rolling_mean, window: 4, threshold: 0.05}
sinks: []
limits: {models: 1_000, cached_models: 10, input_bytes: 1.5GiB, input_age: 7d12h, bucket_bytes: 100000000}
ttl: {config: 1h30m, stop: *five, dead: 0s, retrain: 2d, summary: 24h}
http: 127.0.0.1:9090
`

func TestEveryFieldIsRead(t *testing.T) {
	t.Parallel()
	got, err := parseConfig([]byte(everything), environment)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		NATS:       NATS{URL: "nats://user:secret@host", Creds: "a.creds", TLS: TLS{"ca.pem", "c.pem", "k${x}.pem"}},
		Encoding:   Encodings{"retrain": wire.JSON},
		Replicas:   3,
		Partitions: 64,
		Lease:      after(5 * time.Second),
		Models: []Model{{
			Match: "fraud-*",
			Tuner: &Tuner{Strategy: "random", Space: map[string]any{
				"lr":   map[string]any{"type": "float", "low": 1e-5, "high": 0.1, "log": true},
				"note": map[string]any{"type": "categorical", "choices": []any{"${HOME}", "nats://user:secret@host"}},
			}},
			Monitor: []any{map[string]any{"metric": "loss", "detector": "rolling_mean", "window": uint64(4), "threshold": 0.05}},
		}},
		Sinks: []Sink{},
		Limits: Limits{
			Models: 1000, CachedModels: 10, InputBytes: 3 << 29, InputAge: after(7*day + 12*time.Hour), BucketBytes: 100_000_000,
		},
		TTL:  TTL{after(90 * time.Minute), after(5 * time.Second), after(0), after(2 * day), after(day)},
		HTTP: "127.0.0.1:9090",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestAnEmptyFileMeansTheDefaults(t *testing.T) {
	t.Parallel()
	want := Config{}.WithDefaults()
	for _, text := range []string{"", "# nothing\n", "---\n", "null", "models:\nsinks:\nlease: ~\n", "partitions: ~\nlimits: {models: ~, input_age: ~, input_bytes: ~}\nttl: {dead: ~}\nencoding: ~\n", "limits: ~\nttl: ~\n", "limits: {}\nttl: {}\n"} {
		got, err := parseConfig([]byte(text), environment)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if err := want.validate(); err != nil {
		t.Error(err)
	}
	none, err := parseConfig([]byte("models: []"), environment)
	if err != nil || none.Models == nil || len(none.Models) != 0 {
		t.Errorf("an empty list of models: %+v, %v", none.Models, err)
	}
}

func TestEncodingForAllKinds(t *testing.T) {
	t.Parallel()
	config, err := parseConfig([]byte("encoding: json"), environment)
	want := Encodings{"config": wire.JSON, "stop": wire.JSON, "retrain": wire.JSON, "summary": wire.JSON}
	if err != nil || !reflect.DeepEqual(config.Encoding, want) {
		t.Errorf("%v, %v", config.Encoding, err)
	}
}

func TestTheHashSpeaksOfTreatmentOnly(t *testing.T) {
	t.Parallel()
	hash := func(text string) string {
		config, err := parseConfig([]byte(text), environment)
		if err != nil {
			t.Fatal(err)
		}
		h, err := config.hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	standard := hash("")
	for _, same := range []string{"http: :1", "nats: {url: x}", "limits: {cached_models: 5, input_bytes: 1GiB}", "sinks: []", "ttl: {dead: 168h}", "encoding: msgpack"} {
		if hash(same) != standard {
			t.Errorf("%s changes the hash", same)
		}
	}
	for _, other := range []string{"encoding: json", "limits: {models: 5}", "ttl: {dead: 1h}", "models: []"} {
		if hash(other) == standard {
			t.Errorf("%s does not change the hash", other)
		}
	}
}

func TestFlagsGoBeforeTheFile(t *testing.T) {
	t.Parallel()
	file := Config{NATS: NATS{URL: "file", Creds: "file.creds", TLS: TLS{CA: "file.pem"}}}
	g := Globals{}
	if c := g.connection(file); c.URL != "file" || c.Creds != "file.creds" || c.TLSCA != "file.pem" {
		t.Errorf("%+v", c)
	}
	g.NATS.Context, g.NATS.Creds = "flag", "flag.creds"
	if c := g.connection(file); c.URL != "" || c.Context != "flag" || c.Creds != "flag.creds" || c.TLSCA != "file.pem" {
		t.Errorf("%+v", c)
	}
}

func TestLoadConfigMarksMisuse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "worker.yaml")
	var misuse *Misuse
	if _, err := LoadConfig(file); !errors.As(err, &misuse) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte("\nlease: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := file + `:2: lease: "1" is not a duration: give one such as 90s, 36h or 7d`
	if _, err := (Globals{ConfigFile: file}).Config(); !errors.As(err, &misuse) || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestEveryStrategyCanBeNamed(t *testing.T) {
	t.Parallel()
	for _, name := range strategy.Names() {
		text := "models: [{match: '*', tuner: {strategy: " + name + ", space: {x: {type: int, low: 1, high: 3}}}}]"
		if _, err := parseConfig([]byte(text), environment); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseConfig: whatever a file holds, reading it gives a config or an error.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte("models: [{match: a, monitor: [1]}]"))
	f.Add([]byte("a: &x {<<: *x}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parseConfig(text, environment); err != nil {
			_ = inFile("f", err).Error()
		}
	})
}
