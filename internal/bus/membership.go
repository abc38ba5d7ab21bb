package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Worker is what a live worker says of itself.
type Worker struct {
	ID         string         `json:"id"`
	Host       string         `json:"host"`
	PID        int            `json:"pid"`
	Version    string         `json:"version"`
	ConfigHash string         `json:"config_hash"`
	Started    time.Time      `json:"started"`
	Lag        map[int]uint64 `json:"lag"` // per owned partition: inputs not yet applied
}

// membership keeps one worker's key alive and tells who else lives.
type membership struct {
	bus     *Bus
	id      string
	self    func() Worker
	changed func([]Worker)

	members map[string]seenWorker
	echo    time.Time // when the watch last showed the own key
}

type seenWorker struct {
	Worker
	seen time.Time
}

// Join announces a worker and calls changed, from one goroutine, with all that
// live, sorted by id and itself among them, at first and whenever one comes or
// goes. self is asked before every renewal. It runs until ctx ends and then takes
// the key away, so that the others need not wait for the lease.
func (b *Bus) Join(ctx context.Context, self func() Worker, changed func([]Worker)) error {
	m := &membership{bus: b, id: self().ID, self: self, changed: changed, members: map[string]seenWorker{}}
	for ctx.Err() == nil {
		if err := m.follow(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn().Err(err).Msg("list of workers: starting over")
			select {
			case <-time.After(b.set.Lease / 10):
			case <-ctx.Done():
			}
		}
	}
	return m.leave()
}

// follow watches the bucket and renews the own key until something breaks. The
// first list is given once all present keys were seen. It renews first, which
// makes the bucket if it is gone.
func (m *membership) follow(ctx context.Context) error {
	if err := m.renew(ctx); err != nil {
		return err
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kv, err := m.bus.js.KeyValue(wctx, m.bus.set.Subjects.WorkersBucket())
	if err != nil {
		return fmt.Errorf("bucket of workers: %w", err)
	}
	watch, err := kv.WatchAll(wctx)
	if err != nil {
		return fmt.Errorf("watch workers: %w", err)
	}
	defer func() { _ = watch.Stop() }()
	ticker := time.NewTicker(m.bus.set.Lease / 50)
	defer ticker.Stop()
	complete, last, renewed := false, time.Now(), time.Now()
	m.echo = last
	for {
		changed := false
		select {
		case e, ok := <-watch.Updates():
			switch {
			case !ok:
				return errors.New("the watch ended")
			case e == nil:
				complete, changed = true, true
			default:
				changed = m.see(e)
			}
		case <-ticker.C:
			if time.Since(renewed) >= m.bus.set.Lease/5 {
				renewed = time.Now()
				if err := m.renew(ctx); err != nil {
					return err
				}
			}
			if time.Since(m.echo) > m.bus.set.Lease/2 && time.Since(last) < m.bus.set.Lease/2 {
				// The bucket was made anew, by another worker: a watch of the old
				// one waits for sequences that are far away.
				return errors.New("the watch does not show our own key")
			}
			if time.Since(renewed) >= m.bus.set.Lease/5 {
				renewed = time.Now()
				if err := m.renew(ctx); err != nil {
					return err
				}
			}
			if time.Since(last) > m.bus.set.Lease/2 {
				m.forgive() // we slept, not they
			}
			last = time.Now()
			changed = m.expire(last)
		case <-ctx.Done():
			return nil
		}
		if complete && changed {
			m.changed(m.list())
		}
	}
}

// renew writes the own key; a bucket that is gone (it lives in memory) is made anew.
func (m *membership) renew(ctx context.Context) error {
	w := m.self()
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	m.members[w.ID] = seenWorker{w, time.Now()}
	subject := "$KV." + m.bus.set.Subjects.WorkersBucket() + "." + w.ID
	err = m.publish(ctx, subject, body)
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if err = m.bus.createWorkersBucket(ctx); err == nil {
			err = m.publish(ctx, subject, body)
		}
	}
	if err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return nil
}

func (m *membership) publish(ctx context.Context, subject string, body []byte) error {
	rctx, cancel := context.WithTimeout(ctx, max(time.Second, m.bus.set.Lease/2))
	defer cancel()
	_, err := m.bus.js.Publish(rctx, subject, body)
	return err
}

func (m *membership) see(e jetstream.KeyValueEntry) (changed bool) {
	_, known := m.members[e.Key()]
	if e.Operation() != jetstream.KeyValuePut {
		if e.Key() == m.id {
			return false
		}
		delete(m.members, e.Key())
		return known
	}
	var w Worker
	if err := json.Unmarshal(e.Value(), &w); err != nil || w.ID != e.Key() {
		return false
	}
	if w.ID == m.id {
		m.echo = time.Now()
	}
	m.members[w.ID] = seenWorker{w, time.Now()}
	return !known
}

// expire drops those not heard of for a lease before now, even where the server,
// restarted, has forgotten them. now is from before any sleep of ours.
func (m *membership) expire(now time.Time) (changed bool) {
	for id, w := range m.members {
		if id != m.id && now.Sub(w.seen) > m.bus.set.Lease+m.bus.set.Lease/50 {
			delete(m.members, id)
			changed = true
		}
	}
	return changed
}

func (m *membership) forgive() {
	m.echo = time.Now()
	for id, w := range m.members {
		w.seen = time.Now()
		m.members[id] = w
	}
}

func (m *membership) list() []Worker {
	all := make([]Worker, 0, len(m.members))
	for _, w := range m.members {
		all = append(all, w.Worker)
	}
	slices.SortFunc(all, func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (m *membership) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	kv, err := m.bus.js.KeyValue(ctx, m.bus.set.Subjects.WorkersBucket())
	if err == nil {
		err = kv.Delete(ctx, m.id)
	}
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// Workers lists those that live now. It asks without a consumer: one of a KV watch sends to an inbox of the workers'
// account, which an operator in another one does not hear.
func (b *Bus) Workers(ctx context.Context) ([]Worker, error) {
	rctx, cancel := request(ctx)
	defer cancel()
	bucket := b.set.Subjects.WorkersBucket()
	_, err := b.js.Stream(rctx, "KV_"+bucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	found, err := b.lastOf(rctx, bucket, []string{"$KV." + bucket + ".>"})
	if err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	var all []Worker
	for _, e := range found {
		var w Worker
		if json.Unmarshal(e.Value, &w) == nil { // markers of those that went have no value
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}
