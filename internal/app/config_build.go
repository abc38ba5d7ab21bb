package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/duration"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// validate refuses what cannot work. Its errors begin with the path of the field,
// which `located` relies on.
func (c Config) validate() error {
	_, err := c.policies()
	return cmp.Or(
		c.NATS.validate(),
		within("replicas", c.Replicas, 1, 5),
		within("partitions", c.Partitions, 1, 1024),
		within("lease", *c.Lease, Duration(time.Second), Duration(time.Hour)),
		err,
		c.validateSinks(),
		c.Limits.validate(),
		c.TTL.validate(),
		validateHTTP(c.HTTP),
		c.OTLP.validate(),
	)
}

func (n NATS) validate() error {
	if n.URL != "" && n.Context != "" {
		return errors.New("nats.context: there is a url too: give one of them")
	}
	if err := bus.CheckAddresses(n.URL); err != nil {
		return fmt.Errorf("nats.url: %w", err)
	}
	if (n.TLS.Cert == "") != (n.TLS.Key == "") {
		return errors.New("nats.tls: cert and key go together: give both or neither")
	}
	return nil
}

func (l Limits) validate() error {
	const smallest, largest = 16 << 20, 1 << 60
	return cmp.Or(
		within("limits.models", l.Models, 1, 1_000_000_000),
		within("limits.cached_models", l.CachedModels, 1, 1_000_000_000),
		within("limits.input_bytes", l.InputBytes, smallest, largest),
		within("limits.input_age", *l.InputAge, Duration(time.Minute), Duration(duration.Longest)),
		within("limits.bucket_bytes", l.BucketBytes, smallest, largest),
	)
}

func (t TTL) validate() error {
	kinds := t.byKind()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if ttl := kinds[kind]; ttl > 0 && ttl < time.Second {
			return fmt.Errorf("ttl.%s: %s is too short: give at least 1s, or 0 to keep them for good", kind, ttl)
		}
	}
	return nil
}

func (c Config) validateSinks() error {
	for i, s := range c.Sinks {
		at := fmt.Sprintf("sinks[%d].", i)
		if err := s.validate(); err != nil {
			return fmt.Errorf("%s%w", at, err)
		}
		same := func(other Sink) bool { return other.name() == s.name() }
		if first := slices.IndexFunc(c.Sinks[:i], same); first >= 0 {
			return fmt.Errorf("%sname: %q is that of sinks[%d] already: give it another", at, s.name(), first)
		}
	}
	return nil
}

func validateHTTP(address string) error {
	if address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("http: %q is not an address: give host:port, such as 127.0.0.1:9090", address)
	}
	return nil
}

func within[T cmp.Ordered](field string, value, low, high T) error {
	if value < low || value > high {
		return fmt.Errorf("%s: %v is out of range: give %v to %v", field, value, low, high)
	}
	return nil
}

// policies compiles what is done for which models.
func (c Config) policies() ([]coordinator.Policy, error) {
	policies := make([]coordinator.Policy, len(c.Models))
	for i, m := range c.Models {
		at := fmt.Sprintf("models[%d].", i)
		if err := m.validateMatch(at, c.Models[:i]); err != nil {
			return nil, err
		}
		policy, err := m.policy(at)
		if err != nil {
			return nil, err
		}
		policies[i] = policy
	}
	return policies, nil
}

// validateMatch also finds a pattern that comes too late to match anything.
func (m Model) validateMatch(at string, before []Model) error {
	if m.Match == "" {
		return fmt.Errorf(`%smatch: is missing: give a pattern of model ids, such as "fraud-*", or "*" for all`, at)
	}
	if _, err := path.Match(m.Match, ""); err != nil {
		return fmt.Errorf("%smatch: %q is not a pattern: use * for any characters, ? for one, [a-z] for one of some", at, m.Match)
	}
	for i, earlier := range before {
		if earlier.Match == "*" || earlier.Match == m.Match {
			return fmt.Errorf("%smatch: %q never comes into play, as models[%d] matches first: move it before that", at, m.Match, i)
		}
	}
	return nil
}

func (m Model) policy(at string) (coordinator.Policy, error) {
	policy := coordinator.Policy{Match: m.Match}
	var err error
	if policy.Monitor, err = observer.Parse(m.Monitor); err != nil {
		return policy, fmt.Errorf("%s%w", at, err)
	}
	if m.OnRetrain != nil {
		if policy.Study, err = m.OnRetrain.build(); err != nil {
			return policy, fmt.Errorf("%son_retrain.%w", at, err)
		}
	}
	if m.Tuner == nil {
		return policy, nil
	}
	proposes, err := m.Tuner.build()
	if err != nil {
		return policy, fmt.Errorf("%stuner.%w", at, err)
	}
	policy.Tuner = &coordinator.Tuner{Name: m.Tuner.Strategy, Strategy: proposes}
	return policy, nil
}

// build checks the study as a start command would, and that it leaves the config in
// force a trial.
func (r OnRetrain) build() (map[string]any, error) {
	tree := maps.Clone(r.Study)
	if tree["name"] != nil {
		return nil, fmt.Errorf("study.name: %v cannot be used more than once: leave it out", tree["name"])
	}
	if tree["warm_start"] != nil {
		return nil, errors.New("study.warm_start: is not for studies that start by themselves: leave it out")
	}
	if err := unknownInStudy("study.", tree); err != nil {
		return nil, err
	}
	d, err := study.Parse(tree)
	if err != nil {
		return nil, err
	}
	if d.MaxTrials > 0 && len(d.Enqueue) >= d.MaxTrials {
		return nil, fmt.Errorf("study.max_trials: %d leaves no trial beside those of enqueue for the config in force: raise it", d.MaxTrials)
	}
	_, err = study.New(d, "check", 0, 0, nil, time.Time{})
	return tree, err
}

func (t Tuner) build() (strategy.Strategy, error) {
	if t.Strategy == "" {
		return nil, fmt.Errorf("strategy: is missing: give one of %s", strings.Join(strategy.Names(), ", "))
	}
	var space *strategy.Space
	if t.Space != nil {
		err := unknownInSpace("space.", t.Space)
		if err != nil {
			return nil, err
		}
		if space, err = strategy.ParseSpace(t.Space); err != nil {
			return nil, err
		}
	}
	return strategy.New(t.Strategy, t.Options, space)
}

func (t TTL) byKind() map[string]time.Duration {
	return map[string]time.Duration{
		coordinator.KindConfig:  time.Duration(*t.Config),
		coordinator.KindStop:    time.Duration(*t.Stop),
		coordinator.KindDead:    time.Duration(*t.Dead),
		coordinator.KindRetrain: time.Duration(*t.Retrain),
		coordinator.KindSummary: time.Duration(*t.Summary),
	}
}

func (c Config) settings(subjects wire.Subjects) bus.Settings {
	return bus.Settings{
		Subjects: subjects, Partitions: c.Partitions, Replicas: c.Replicas,
		InputAge: time.Duration(*c.Limits.InputAge), InputBytes: int64(c.Limits.InputBytes),
		BucketBytes: int64(c.Limits.BucketBytes), Lease: time.Duration(*c.Lease),
	}
}

func (c Config) coordinator(version string, adoptInputs bool) (coordinator.Config, error) {
	policies, err := c.policies()
	if err != nil {
		return coordinator.Config{}, err
	}
	hash, err := c.hash()
	return coordinator.Config{
		Policies: policies, Encoding: c.Encoding, TTL: c.TTL.byKind(),
		MaxModels: c.Limits.Models, CachedModels: c.Limits.CachedModels,
		Version: version, Hash: hash, AdoptInputs: adoptInputs,
	}, err
}

// hash identifies how models are treated, so that workers that differ in it find
// out.
func (c Config) hash() (string, error) {
	treatment, err := wire.MarshalState(map[string]any{
		"models": c.Models, "encoding": c.Encoding, "ttl": c.TTL.byKind(), "limits.models": c.Limits.Models,
	})
	if err != nil {
		return "", fmt.Errorf("hash of the config: %w", err)
	}
	sum := sha256.Sum256(treatment)
	return hex.EncodeToString(sum[:8]), nil
}
