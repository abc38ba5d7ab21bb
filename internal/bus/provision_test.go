package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

// TestProvisionNamesWhatDiffers changes one setting after the other. Those that
// the server does not let be changed are set on a stream made anew.
func TestProvisionNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(in, bucket *jetstream.StreamConfig){
		"bucket.*subjects":                  func(_, b *jetstream.StreamConfig) { b.Subjects = append(b.Subjects, "more.>") },
		"bucket.*subject_transform":         func(_, b *jetstream.StreamConfig) { b.SubjectTransform = nil },
		"bucket.*republish":                 func(_, b *jetstream.StreamConfig) { b.RePublish = nil },
		"bucket.*discard":                   func(_, b *jetstream.StreamConfig) { b.Discard = jetstream.DiscardOld },
		"bucket.*allow_atomic":              func(_, b *jetstream.StreamConfig) { b.AllowAtomicPublish = false },
		"bucket.*allow_msg_ttl":             func(_, b *jetstream.StreamConfig) { b.AllowMsgTTL = false },
		"bucket.*max_age":                   func(_, b *jetstream.StreamConfig) { b.MaxAge = time.Hour },
		"bucket.*max_msgs":                  func(_, b *jetstream.StreamConfig) { b.MaxMsgs = 1000 },
		"bucket.*max_msgs_per_subject":      func(_, b *jetstream.StreamConfig) { b.MaxMsgsPerSubject = 2 },
		"bucket.*subject_delete_marker_ttl": func(_, b *jetstream.StreamConfig) { b.SubjectDeleteMarkerTTL = time.Minute },
		"bucket.*max_bytes":                 func(_, b *jetstream.StreamConfig) { b.MaxBytes = -1 },
		"bucket.*allow_direct":              func(_, b *jetstream.StreamConfig) { b.AllowDirect = false },
		"inputs.*subjects":                  func(in, _ *jetstream.StreamConfig) { in.Subjects = in.Subjects[:1] },
		"inputs.*discard":                   func(in, _ *jetstream.StreamConfig) { in.Discard = jetstream.DiscardNew },
		"inputs.*8 partitions": func(in, _ *jetstream.StreamConfig) {
			in.SubjectTransform.Destination = strings.Replace(in.SubjectTransform.Destination, "(4,", "(8,", 1)
		},
		"inputs.*subject_transform": func(in, _ *jetstream.StreamConfig) { in.SubjectTransform = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			which, field, _ := strings.Cut(name, ".*")
			in := must(b.js.Stream(t.Context(), b.set.Subjects.InputStream())).CachedInfo().Config
			bucket := b.bucket(t).CachedInfo().Config
			change(&in, &bucket)
			changed := map[string]jetstream.StreamConfig{"inputs": in, "bucket": bucket}[which]
			if err := b.js.DeleteStream(t.Context(), changed.Name); err != nil {
				t.Fatal(err)
			}
			made := must(b.js.CreateStream(t.Context(), changed))
			err := b.bus.Provision(t.Context())
			if !errors.Is(err, bus.ErrAltered) || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), changed.Name) {
				t.Errorf("wanted %s of %s named: %v", field, changed.Name, err)
			}
			if now := must(made.Info(t.Context())); !sameStream(now.Config, made.CachedInfo().Config) {
				t.Errorf("provisioning altered %+v", now.Config)
			}
		})
	}
}

func sameStream(a, b jetstream.StreamConfig) bool {
	return strings.Join(a.Subjects, " ") == strings.Join(b.Subjects, " ") && a.MaxAge == b.MaxAge && a.MaxBytes == b.MaxBytes && a.Discard == b.Discard &&
		(a.RePublish == nil) == (b.RePublish == nil) && (a.SubjectTransform == nil) == (b.SubjectTransform == nil) && a.AllowDirect == b.AllowDirect
}

// TestProvisionToleratesSizes: what differs in size or age is used as it is.
func TestProvisionToleratesSizes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set := b.set
	set.InputBytes, set.BucketBytes, set.InputAge = 1<<20, 2<<20, 2*time.Hour
	bustest.Open(t, b.url, set)
	if have := b.bucket(t).CachedInfo().Config.MaxBytes; have != b.set.BucketBytes {
		t.Errorf("the bucket's max_bytes became %d", have)
	}
}

func TestProvisionRefuses(t *testing.T) {
	t.Parallel()
	small := bustest.Server(t, func(o *server.Options) { o.JetStreamMaxStore = 64 << 20 })
	taken := setup(t)
	must(taken.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "MINE", Subjects: []string{"other.metrics.*"}}))
	for name, c := range map[string]struct {
		url    string
		change func(*bus.Settings)
		want   []string
	}{
		"no room":       {small.ClientURL(), func(*bus.Settings) {}, []string{"limits.input_bytes"}},
		"no replicas":   {taken.url, func(s *bus.Settings) { s.Subjects.Prefix, s.Replicas = "three", 3 }, []string{"replicas"}},
		"subject taken": {taken.url, func(s *bus.Settings) { s.Subjects.Prefix = "other" }, []string{"--prefix"}},
		"other lease":   {taken.url, func(s *bus.Settings) { s.Lease = 3 * time.Second }, []string{"lease", "2s", "3s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := bustest.Settings()
			c.change(&set)
			b := must(bus.Open(bus.Connection{URL: c.url}, set, bustest.Logger(t)))
			defer b.Close()
			start := time.Now()
			err := b.Provision(t.Context())
			if err == nil || time.Since(start) > 10*time.Second {
				t.Fatalf("after %s: %v", time.Since(start), err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %s in: %v", want, err)
				}
			}
		})
	}
}

func TestEmbeddedLocksItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := bus.StartEmbedded(dir, 0, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := bus.StartEmbedded(dir, 0, 64<<20); err == nil || !strings.Contains(err.Error(), "--nats "+e.URL()+", or") {
		t.Errorf("a second one in the folder: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "url")); err != nil {
		t.Error(err)
	}
	if _, err := bus.StartEmbedded(dir, 0, 64<<20); err == nil || !strings.Contains(err.Error(), "--nats, or") {
		t.Errorf("a second one, before the first listens: %v", err)
	}
	e.Close()
	again, err := bus.StartEmbedded(dir, 0, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
