package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/wire"
)

// Entry is a key of the bucket. Revision 0: there is none.
type Entry struct {
	Key      string
	Revision uint64
	Value    []byte // nil where the key was deleted
}

// ReadLatest returns those of the keys that exist, perhaps stale: for figures and
// people, not for deciding.
func (b *Bus) ReadLatest(ctx context.Context, keys []string) (map[string]Entry, error) {
	all := make(map[string]Entry, len(keys))
	for chunk := range slices.Chunk(keys, readChunk) {
		found, err := b.multiLast(ctx, chunk)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	return all, nil
}

// readChunk is how many keys are asked for at once; the server answers for at
// most 1,024.
const readChunk = 500

// readBytes is about how much the server may answer at once. Without a bound it
// sends what it may have pending for a client, and a little more cuts us off.
const readBytes = 512 << 10

// ReadOffset returns offset.<p>, perhaps a stale one. A stale one does no harm:
// it becomes the fence, and the first commit is refused.
func (b *Bus) ReadOffset(ctx context.Context, partition int) (Entry, error) {
	key := wire.OffsetKey(partition)
	found, err := b.multiLast(ctx, []string{key})
	if err != nil {
		return Entry{}, err
	}
	return found[key], nil
}

// ReadState returns those of the keys that exist, as they were at the very fence:
// the server is asked for offset.<p> in the same request, and an answer that
// bears another revision (a replica that lags, another worker's commit) is thrown
// away. ErrConflict after 5 s of that.
func (b *Bus) ReadState(ctx context.Context, partition int, fence uint64, keys []string) (map[string]Entry, error) {
	all := make(map[string]Entry, len(keys))
	for chunk := range slices.Chunk(keys, readChunk) {
		found, err := b.readFenced(ctx, partition, fence, chunk)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	return all, nil
}

func (b *Bus) readFenced(ctx context.Context, partition int, fence uint64, keys []string) (map[string]Entry, error) {
	offset := wire.OffsetKey(partition)
	ask := append([]string{offset}, keys...)
	deadline := time.Now().Add(5 * time.Second)
	for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		found, err := b.multiLast(ctx, ask)
		if err == nil && found[offset].Revision == fence {
			delete(found, offset)
			return found, nil
		}
		if err == nil && (found[offset].Revision > fence || time.Now().After(deadline)) {
			return nil, ErrConflict
		}
		if err != nil && time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// multiLast asks the server for the last value of each key, as of one moment
// (ADR-31). An answer too large for one reply is continued.
func (b *Bus) multiLast(ctx context.Context, keys []string) (map[string]Entry, error) {
	subjects := make([]string, len(keys))
	for i, k := range keys {
		subjects[i] = b.set.Subjects.KeySubject(k)
	}
	return b.lastOf(ctx, b.set.Subjects.Bucket(), subjects)
}

func (b *Bus) lastOf(ctx context.Context, bucket string, subjects []string) (map[string]Entry, error) {
	found := make(map[string]Entry, len(subjects))
	var next, upTo uint64
	for {
		pending, last, bound, err := b.lastPage(ctx, bucket, subjects, next, upTo, found)
		if err != nil || pending == 0 {
			return found, err
		}
		next, upTo = last+1, bound
	}
}

func (b *Bus) lastPage(ctx context.Context, bucket string, subjects []string, from, upTo uint64, found map[string]Entry) (pending, last, bound uint64, err error) {
	body, err := json.Marshal(map[string]any{"multi_last": subjects, "seq": from, "up_to_seq": upTo, "max_bytes": readBytes})
	if err != nil {
		return 0, 0, 0, err
	}
	inbox := b.nc.NewInbox()
	replies := make(chan *nats.Msg, max(len(subjects), 1024)+1) // a wildcard is good for 1,024
	sub, err := b.nc.ChanSubscribe(inbox, replies)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("read state: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.nc.PublishRequest("$JS.API.DIRECT.GET.KV_"+bucket, inbox, body); err != nil {
		return 0, 0, 0, fmt.Errorf("read state: %w", err)
	}
	timeout := time.NewTimer(5 * time.Second)
	defer timeout.Stop()
	for {
		select {
		case m := <-replies:
			status := m.Header.Get("Status")
			if status == "" {
				e := entry(bucket, m)
				found[e.Key] = e
				continue
			}
			return endOfRead(status, m)
		case <-timeout.C:
			return 0, 0, 0, errors.New("read state: no answer within 5 s")
		case <-ctx.Done():
			return 0, 0, 0, ctx.Err()
		}
	}
}

func endOfRead(status string, m *nats.Msg) (pending, last, bound uint64, err error) {
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(m.Header.Get(name), 10, 64)
		return n
	}
	switch {
	case status == "204":
		return number("Nats-Num-Pending"), number("Nats-Last-Sequence"), number("Nats-UpTo-Sequence"), nil
	case status == "404" && m.Header.Get("Description") == "No Results":
		return 0, 0, 0, nil
	}
	if status == "413" {
		return 0, 0, 0, errTooMany
	}
	return 0, 0, 0, fmt.Errorf("read state: %s %s", status, m.Header.Get("Description"))
}

func entry(bucket string, m *nats.Msg) Entry {
	e := Entry{Key: strings.TrimPrefix(m.Header.Get("Nats-Subject"), "$KV."+bucket+"."), Value: m.Data}
	e.Revision, _ = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if m.Header.Get("KV-Operation") != "" {
		e.Value = nil
	}
	return e
}

// Scan returns the keys that match the pattern as they were at the fence, however
// many they are, by the same rule as ReadState. ErrConflict if the fence is not
// (yet) the last.
func (b *Bus) Scan(ctx context.Context, partition int, fence uint64, pattern string) ([]Entry, error) {
	offset := wire.OffsetKey(partition)
	entries, err := b.few(ctx, offset, pattern)
	if errors.Is(err, errTooMany) {
		entries, err = b.lastPerKey(ctx, offset, pattern)
	}
	if err != nil {
		return nil, err
	}
	var seen uint64
	kept := entries[:0]
	for _, e := range entries {
		if e.Key == offset {
			seen = e.Revision
		} else if e.Value != nil {
			kept = append(kept, e)
		}
	}
	if seen != fence {
		return nil, ErrConflict
	}
	return kept, nil
}

// few returns what matches in one request, without a consumer, if that is not too
// much for one.
func (b *Bus) few(ctx context.Context, patterns ...string) ([]Entry, error) {
	found, err := b.multiLast(ctx, patterns)
	return slices.Collect(maps.Values(found)), err
}

// errTooMany: the server answers for 1,024 keys at most.
var errTooMany = errors.New("too many keys for one request")

// Keys returns the keys that match the pattern, for people: perhaps a little stale.
func (b *Bus) Keys(ctx context.Context, pattern string) ([]Entry, error) {
	entries, err := b.lastPerKey(ctx, pattern)
	kept := entries[:0]
	for _, e := range entries {
		if e.Value != nil {
			kept = append(kept, e)
		}
	}
	return kept, err
}

func (b *Bus) lastPerKey(ctx context.Context, patterns ...string) ([]Entry, error) {
	filters := make([]string, len(patterns))
	for i, p := range patterns {
		filters[i] = b.set.Subjects.KeySubject(p)
	}
	rctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	consumer, err := b.js.CreateConsumer(rctx, b.set.Subjects.BucketStream(), jetstream.ConsumerConfig{
		FilterSubjects: filters, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: 10 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("scan the bucket: %w", err)
	}
	defer b.drop(b.set.Subjects.BucketStream(), consumer.CachedInfo().Name)
	var entries []Entry
	left, progress := consumer.CachedInfo().NumPending, time.Now()
	for left > 0 {
		batch, err := consumer.Fetch(int(min(left, readChunk)), jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			return nil, fmt.Errorf("scan the bucket: %w", err)
		}
		got := uint64(0)
		for m := range batch.Messages() {
			entries = append(entries, b.scanned(m))
			got++
		}
		switch {
		case got > 0:
			progress = time.Now()
		case time.Since(progress) > 5*time.Second:
			return nil, fmt.Errorf("scan the bucket: the server stopped answering: %w", cmp.Or(batch.Error(), context.DeadlineExceeded))
		default: // a consumer of a cluster may not be up yet, which is answered at once
			select {
			case <-time.After(20 * time.Millisecond):
			case <-rctx.Done():
				return nil, fmt.Errorf("scan the bucket: %w", rctx.Err())
			}
		}
		left -= min(left, got)
	}
	return entries, nil
}

func (b *Bus) scanned(m jetstream.Msg) Entry {
	e := Entry{Key: strings.TrimPrefix(m.Subject(), b.set.Subjects.KeySubject("")), Value: m.Data()}
	if meta, err := m.Metadata(); err == nil {
		e.Revision = meta.Sequence.Stream
	}
	if m.Headers().Get("KV-Operation") != "" {
		e.Value = nil
	}
	return e
}

// drop deletes a consumer that is no longer used; if that fails it goes by itself.
func (b *Bus) drop(stream, consumer string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.js.DeleteConsumer(ctx, stream, consumer)
	}()
}

// PurgeStudies removes what is kept of a model's finished studies and its live
// config, up to and with the revision: what was written after it stays.
func (b *Bus) PurgeStudies(ctx context.Context, partition int, model string, revision uint64) error {
	return errors.Join(
		b.purge(ctx, b.set.Subjects.KeySubject(wire.FinishedKey(partition, model, "*")), revision),
		b.purge(ctx, b.set.Subjects.LiveConfig(model), revision))
}

// PurgeTrials removes a model's trials and their configs, up to and with the
// revision: agents to come would be given them.
func (b *Bus) PurgeTrials(ctx context.Context, partition int, model string, revision uint64) error {
	return errors.Join(
		b.purge(ctx, b.set.Subjects.KeySubject(wire.TrialKeys(partition, model)), revision),
		b.purge(ctx, b.set.Subjects.KeySubject(wire.PriorKeys(partition, model)), revision),
		b.purge(ctx, b.set.Subjects.TrialConfigs(model), revision))
}

func (b *Bus) purge(ctx context.Context, subject string, revision uint64) error {
	rctx, cancel := request(ctx)
	defer cancel()
	stream, err := b.js.Stream(rctx, b.set.Subjects.BucketStream())
	if err != nil {
		return fmt.Errorf("purge %s: %w", subject, err)
	}
	if err := stream.Purge(rctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(revision+1)); err != nil {
		return fmt.Errorf("purge %s: %w", subject, refused(err))
	}
	return nil
}

// refused marks what the server will not do however often it is asked.
func refused(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code >= 400 && api.Code < 500 && api.Code != 404 {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}
