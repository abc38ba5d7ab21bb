package app

import (
	"bytes"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats.go/jetstream"
)

// nackStream is a Stream of NACK, as far as ours use it. Durations are Go's.
type nackStream struct {
	Account            string        `yaml:"account"`
	PreventUpdate      bool          `yaml:"preventUpdate"`
	PreventDelete      bool          `yaml:"preventDelete"`
	Name               string        `yaml:"name"`
	Subjects           []string      `yaml:"subjects"`
	SubjectTransform   nackTransform `yaml:"subjectTransform"`
	Republish          nackRepublish `yaml:"republish"`
	Storage            string        `yaml:"storage"`
	Replicas           int           `yaml:"replicas"`
	MaxAge             string        `yaml:"maxAge"`
	MaxBytes           int64         `yaml:"maxBytes"`
	MaxMsgs            int64         `yaml:"maxMsgs"`
	MaxMsgsPerSubject  int64         `yaml:"maxMsgsPerSubject"`
	Discard            string        `yaml:"discard"`
	DuplicateWindow    string        `yaml:"duplicateWindow"`
	AllowDirect        bool          `yaml:"allowDirect"`
	AllowAtomicPublish bool          `yaml:"allowAtomicPublish"`
	AllowMsgTTL        bool          `yaml:"allowMsgTtl"`
	AllowRollup        bool          `yaml:"allowRollup"`
	DenyDelete         bool          `yaml:"denyDelete"`
}

type nackTransform struct {
	Source string `yaml:"source"`
	Dest   string `yaml:"dest"`
}

type nackRepublish struct {
	Source      string `yaml:"source"`
	Destination string `yaml:"destination"`
}

// nackBucket is a KeyValue of NACK.
type nackBucket struct {
	Account        string `yaml:"account"`
	PreventUpdate  bool   `yaml:"preventUpdate"`
	PreventDelete  bool   `yaml:"preventDelete"`
	Bucket         string `yaml:"bucket"`
	Description    string `yaml:"description"`
	Storage        string `yaml:"storage"`
	Replicas       int    `yaml:"replicas"`
	TTL            string `yaml:"ttl"`
	LimitMarkerTTL int64  `yaml:"limitMarkerTtl"` // nanoseconds
}

// manifests decodes each document of a file of components/nack; a field that is not known is a mistake.
func manifests[Spec any](t *testing.T, file, kind string) (specs []Spec) {
	t.Helper()
	for _, text := range bytes.Split(readDeployed(t, "kubernetes/components/nack/"+file), []byte("\n---\n")) {
		var m struct {
			APIVersion string            `yaml:"apiVersion"`
			Kind       string            `yaml:"kind"`
			Metadata   map[string]string `yaml:"metadata"`
			Spec       Spec              `yaml:"spec"`
		}
		if err := yaml.UnmarshalWithOptions(text, &m, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if m.APIVersion != "jetstream.nats.io/v1beta2" || m.Kind != kind {
			t.Fatalf("%s: %s %s, want %s", file, m.APIVersion, m.Kind, kind)
		}
		specs = append(specs, m.Spec)
	}
	return specs
}

// kept fails unless NACK leaves alone what is there: its user may neither change nor delete.
func kept(t *testing.T, name, account string, preventUpdate, preventDelete bool) {
	t.Helper()
	if account != "retune" || !preventUpdate || !preventDelete {
		t.Errorf("%s: account %q, preventUpdate %t, preventDelete %t", name, account, preventUpdate, preventDelete)
	}
}

func span(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func storage(t *testing.T, text string) (s jetstream.StorageType) {
	t.Helper()
	if err := s.UnmarshalJSON([]byte(`"` + text + `"`)); err != nil {
		t.Fatal(err)
	}
	return s
}

// config is what NACK asks the server for.
func (s nackStream) config(t *testing.T) jetstream.StreamConfig {
	t.Helper()
	kept(t, s.Name, s.Account, s.PreventUpdate, s.PreventDelete)
	c := jetstream.StreamConfig{
		Name: s.Name, Subjects: s.Subjects, Storage: storage(t, s.Storage), Replicas: s.Replicas,
		MaxAge: span(t, s.MaxAge), MaxBytes: s.MaxBytes, MaxMsgs: s.MaxMsgs, MaxMsgsPerSubject: s.MaxMsgsPerSubject,
		Duplicates: span(t, s.DuplicateWindow), AllowDirect: s.AllowDirect, AllowAtomicPublish: s.AllowAtomicPublish,
		AllowMsgTTL: s.AllowMsgTTL, AllowRollup: s.AllowRollup, DenyDelete: s.DenyDelete,
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: s.SubjectTransform.Source, Destination: s.SubjectTransform.Dest},
	}
	if err := c.Discard.UnmarshalJSON([]byte(`"` + s.Discard + `"`)); err != nil {
		t.Fatal(err)
	}
	if s.Republish != (nackRepublish{}) {
		c.RePublish = &jetstream.RePublish{Source: s.Republish.Source, Destination: s.Republish.Destination}
	}
	return c
}

func (b nackBucket) config(t *testing.T) jetstream.KeyValueConfig {
	t.Helper()
	kept(t, b.Bucket, b.Account, b.PreventUpdate, b.PreventDelete)
	return jetstream.KeyValueConfig{
		Bucket: b.Bucket, Description: b.Description, Storage: storage(t, b.Storage), Replicas: b.Replicas,
		TTL: span(t, b.TTL), LimitMarkerTTL: time.Duration(b.LimitMarkerTTL),
	}
}
