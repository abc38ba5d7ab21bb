package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Provision creates the input stream, the bucket and the bucket of workers, or
// checks those that are there. It alters nothing: where one differs in what the
// protocol stands on it fails and says what differs, where it differs in size,
// age or replicas it warns. A cluster that has no leader yet is waited for.
func (b *Bus) Provision(ctx context.Context) error {
	for _, want := range []jetstream.StreamConfig{b.inputConfig(), b.bucketConfig()} {
		if err := b.provisionStream(ctx, want); err != nil {
			return err
		}
	}
	return retry(ctx, func() error { return b.createWorkersBucket(ctx) })
}

func (b *Bus) inputConfig() jetstream.StreamConfig {
	s := b.set.Subjects
	return jetstream.StreamConfig{
		Name:     s.InputStream(),
		Subjects: []string{s.Metrics("*"), s.StudyCommand("*")},
		SubjectTransform: &jetstream.SubjectTransformConfig{
			Source:      s.Prefix + ".*.*",
			Destination: fmt.Sprintf("%s.{{wildcard(1)}}.{{partition(%d,2)}}.{{wildcard(2)}}", s.Prefix, b.set.Partitions),
		},
		Storage: jetstream.FileStorage, Replicas: b.set.Replicas,
		MaxAge: b.set.InputAge, MaxBytes: b.set.InputBytes, Discard: jetstream.DiscardOld,
		AllowDirect: true, Duplicates: min(2*time.Minute, b.set.InputAge),
	}
}

// bucketConfig keeps state and outputs in one stream, so that one atomic batch
// holds both. Outputs come in under a private subject and are stored, and
// republished, under the public one only when their batch is committed. Never
// set SubjectDeleteMarkerTTL: expired outputs would be delivered again, empty.
func (b *Bus) bucketConfig() jetstream.StreamConfig {
	s := b.set.Subjects
	public, private := s.Prefix+".>", s.Private(s.Prefix+".>")
	return jetstream.StreamConfig{
		Name:             s.BucketStream(),
		Subjects:         []string{s.KeySubject(">"), private},
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: private, Destination: public},
		RePublish:        &jetstream.RePublish{Source: public, Destination: public},
		Storage:          jetstream.FileStorage, Replicas: b.set.Replicas,
		MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxBytes: b.set.BucketBytes, Discard: jetstream.DiscardNew,
		AllowAtomicPublish: true, AllowMsgTTL: true, AllowDirect: true, AllowRollup: true, DenyDelete: true,
	}
}

func (b *Bus) provisionStream(ctx context.Context, want jetstream.StreamConfig) error {
	return retry(ctx, func() error {
		rctx, cancel := request(ctx)
		defer cancel()
		stream, err := b.js.Stream(rctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if err := b.checkRoom(rctx); err != nil {
				return err
			}
			stream, err = b.js.CreateStream(rctx, want)
		}
		if err != nil {
			return provisionError(want, err)
		}
		return b.compare(stream.CachedInfo().Config, want)
	})
}

// errPermanent marks what waiting does not mend.
type errPermanent struct{ error }

func (e errPermanent) Unwrap() error { return e.error }

func provisionError(want jetstream.StreamConfig, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	switch api.ErrorCode {
	case 10047, 10023, 10005:
		return errPermanent{fmt.Errorf("stream %s: the server has no room for %d MiB: lower limits.input_bytes and limits.bucket_bytes, or raise the server's max_file_store or the account's limit: %w", want.Name, want.MaxBytes>>20, err)}
	case 10074:
		return errPermanent{fmt.Errorf("stream %s: replicas: %d needs as many servers in the cluster: %w", want.Name, want.Replicas, err)}
	case 10065:
		return errPermanent{fmt.Errorf("stream %s: another stream listens on its subjects: choose another --prefix, or let that stream source from ours: %w", want.Name, err)}
	case 10039, 10076:
		return errPermanent{fmt.Errorf("JetStream is not enabled for this account: %w", err)}
	}
	if api.Code >= 400 && api.Code < 500 {
		return errPermanent{fmt.Errorf("stream %s: %w: nats-server 2.12 or newer is needed", want.Name, err)}
	}
	return fmt.Errorf("stream %s: %w", want.Name, err)
}

// checkRoom refuses limits that together pass the account's: a server that runs
// out of storage in the middle of a commit tears it.
func (b *Bus) checkRoom(ctx context.Context) error {
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	need, limit := (b.set.InputBytes+b.set.BucketBytes)*int64(b.set.Replicas), info.Limits.MaxStore
	if limit > 0 && need > limit {
		return errPermanent{fmt.Errorf("the account may store %d MiB, limits.input_bytes and limits.bucket_bytes come to %d MiB: lower them or raise the account's limit", limit>>20, need>>20)}
	}
	return nil
}

// compare fails on what the protocol stands on and warns of the rest.
func (b *Bus) compare(have, want jetstream.StreamConfig) error {
	var broken, other []string
	check := func(list *[]string, what string, have, want any) {
		if h, w := fmt.Sprint(have), fmt.Sprint(want); h != w {
			*list = append(*list, fmt.Sprintf("%s is %s, wanted %s", what, h, w))
		}
	}
	hs, ws := slices.Clone(have.Subjects), slices.Clone(want.Subjects)
	slices.Sort(hs)
	slices.Sort(ws)
	check(&broken, "subjects", hs, ws)
	check(&broken, "storage", have.Storage, want.Storage)
	check(&broken, "subject_transform", transform(have.SubjectTransform), transform(want.SubjectTransform))
	if n := partitionsOf(have); n != partitionsOf(want) && n > 0 {
		return errPermanent{fmt.Errorf("%w: stream %s has %d partitions, which is for good; worker.yaml says %d: set `partitions: %d`, or use another --prefix", ErrAltered, want.Name, n, b.set.Partitions, n)}
	}
	check(&broken, "republish", republish(have.RePublish), republish(want.RePublish))
	check(&broken, "discard", have.Discard, want.Discard)
	if want.AllowAtomicPublish {
		check(&broken, "allow_atomic", have.AllowAtomicPublish, true)
		check(&broken, "allow_msg_ttl", have.AllowMsgTTL, true)
		check(&broken, "max_age", have.MaxAge, want.MaxAge)
		check(&broken, "max_msgs", have.MaxMsgs, want.MaxMsgs)
		check(&broken, "max_msgs_per_subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
		check(&broken, "subject_delete_marker_ttl", have.SubjectDeleteMarkerTTL, time.Duration(0))
		if have.MaxBytes <= 0 {
			broken = append(broken, "max_bytes is unlimited: a full server would tear a commit")
		}
	} else {
		check(&other, "max_age", have.MaxAge, want.MaxAge)
	}
	check(&broken, "allow_direct", have.AllowDirect, true)
	check(&other, "max_bytes", have.MaxBytes, want.MaxBytes)
	check(&other, "num_replicas", have.Replicas, want.Replicas)
	if len(other) > 0 {
		b.log.Warn().Str("stream", want.Name).Strs("differs", other).Msg("the stream has other settings than the config; it is used as it is; docs/operations.md says how to change it")
	}
	if len(broken) > 0 {
		return errPermanent{fmt.Errorf("%w: stream %s: %s: set it so (docs/operations.md says how), or use another --prefix", ErrAltered, want.Name, strings.Join(broken, "; "))}
	}
	return nil
}

// explain looks whether nobody took a commit because the bucket no longer listens
// on the private subjects: a client that overwrites its settings takes them away.
func (b *Bus) explain(ctx context.Context, err error) error {
	rctx, cancel := request(ctx)
	defer cancel()
	want := b.bucketConfig()
	if stream, gone := b.js.Stream(rctx, want.Name); gone == nil {
		if altered := b.compare(stream.CachedInfo().Config, want); altered != nil {
			return altered
		}
	}
	return err
}

// partitionsOf is how many partitions the stream's transform has, 0 if it has none.
func partitionsOf(c jetstream.StreamConfig) int {
	if c.SubjectTransform == nil {
		return 0
	}
	call := partitionCall.FindStringSubmatch(c.SubjectTransform.Destination)
	if call == nil {
		return 0
	}
	n, _ := strconv.Atoi(call[1])
	return n
}

func transform(t *jetstream.SubjectTransformConfig) string {
	if t == nil {
		return "none"
	}
	return t.Source + " -> " + t.Destination
}

func republish(r *jetstream.RePublish) string {
	if r == nil {
		return "none"
	}
	return r.Source + " -> " + r.Destination
}

// createWorkersBucket makes the bucket of live workers: in memory, each key gone
// a lease after its last renewal, with a marker so that watchers see it go.
func (b *Bus) createWorkersBucket(ctx context.Context) error {
	rctx, cancel := request(ctx)
	defer cancel()
	_, err := b.js.CreateKeyValue(rctx, jetstream.KeyValueConfig{
		Bucket: b.set.Subjects.WorkersBucket(), Description: "live workers of retune",
		TTL: b.set.Lease, LimitMarkerTTL: time.Minute, Storage: jetstream.MemoryStorage, Replicas: b.set.Replicas,
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return b.checkLease(rctx)
	}
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.set.Subjects.WorkersBucket(), err)
	}
	return nil
}

func (b *Bus) checkLease(ctx context.Context) error {
	kv, err := b.js.KeyValue(ctx, b.set.Subjects.WorkersBucket())
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.set.Subjects.WorkersBucket(), err)
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.set.Subjects.WorkersBucket(), err)
	}
	if status.TTL() != b.set.Lease {
		return errPermanent{fmt.Errorf("lease: the workers that run have %s, this one %s: use the same, or stop all workers and delete the bucket %s", status.TTL(), b.set.Lease, b.set.Subjects.WorkersBucket())}
	}
	return nil
}

// retry repeats f until it succeeds, fails for good or ctx ends, and for 30 s at
// the most.
func retry(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := f()
		var permanent errPermanent
		if err == nil || errors.As(err, &permanent) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
