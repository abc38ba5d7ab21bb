package bus

import (
	"context"
	"fmt"
)

// BucketSize is how many bytes the bucket's stream holds and how many it takes; most is -1 without a bound.
func (b *Bus) BucketSize(ctx context.Context) (used uint64, most int64, err error) {
	rctx, cancel := request(ctx)
	defer cancel()
	stream, err := b.js.Stream(rctx, b.set.Subjects.BucketStream())
	if err != nil {
		return 0, 0, fmt.Errorf("size of the bucket: %w", err)
	}
	info := stream.CachedInfo()
	return info.State.Bytes, info.Config.MaxBytes, nil
}

// Reconnects counts how often the connection was lost and came back.
func (b *Bus) Reconnects() uint64 { return b.nc.Stats().Reconnects }

// StoreSize is how many bytes the embedded server stores and how many it may.
func (e *Embedded) StoreSize() (used uint64, most int64, err error) {
	info, err := e.srv.Jsz(nil)
	if err != nil {
		return 0, 0, fmt.Errorf("size of the embedded store: %w", err)
	}
	return info.Store, info.Config.MaxStore, nil
}
