package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// Layout is how the input stream, as it is, shares models out among partitions.
type Layout struct {
	Partitions int
	bus        *Bus
	transform  server.SubjectTransformer
}

var partitionCall = regexp.MustCompile(`\{\{\s*partition\((\d+),`)

// Layout asks the server, since a client's settings may differ from what a worker
// once created.
func (b *Bus) Layout(ctx context.Context) (Layout, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	name := b.set.Subjects.InputStream()
	stream, err := b.js.Stream(rctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Layout{}, fmt.Errorf("stream %s is not there yet: start a worker first, or give its --prefix", name)
	}
	if err != nil {
		return Layout{}, fmt.Errorf("stream %s: %w", name, err)
	}
	t := stream.CachedInfo().Config.SubjectTransform
	if t == nil {
		return Layout{}, fmt.Errorf("%w: stream %s has no subject transform", ErrAltered, name)
	}
	if partitionsOf(stream.CachedInfo().Config) == 0 {
		return Layout{}, fmt.Errorf("%w: stream %s transforms subjects to %q, which has no partition", ErrAltered, name, t.Destination)
	}
	l := Layout{bus: b, Partitions: partitionsOf(stream.CachedInfo().Config)}
	if l.transform, err = server.NewSubjectTransform(t.Source, t.Destination); err != nil {
		return Layout{}, fmt.Errorf("%w: stream %s: %w", ErrAltered, name, err)
	}
	return l, nil
}

// Partition is where the stream puts the model's inputs.
func (l Layout) Partition(model string) int {
	s := l.bus.set.Subjects
	_, partition, _, _ := s.ParseInput(l.transform.TransformSubject(s.Metrics(model)))
	return partition
}

// KeyNames lists the keys of the bucket that match the pattern, deleted ones among
// them until their markers expire, sorted.
func (b *Bus) KeyNames(ctx context.Context, pattern string) ([]string, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	name := b.set.Subjects.BucketStream()
	stream, err := b.js.Stream(rctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s is not there yet: start a worker first, or give its --prefix", name)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(b.set.Subjects.KeySubject(pattern)))
	if err != nil {
		return nil, fmt.Errorf("list keys %s: %w", pattern, err)
	}
	keys := slices.Collect(maps.Keys(info.State.Subjects))
	for i := range keys {
		keys[i] = strings.TrimPrefix(keys[i], b.set.Subjects.KeySubject(""))
	}
	slices.Sort(keys)
	return keys, nil
}
