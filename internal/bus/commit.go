package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/visutility/retune/internal/wire"
)

// Most messages that the server takes in one atomic batch (its default limit).
const maxBatch = 1000

// commitTimeout bounds the wait for the server's word on a commit. A batch that
// the server hears nothing more of is dropped by it after 10 s.
const commitTimeout = 5 * time.Second

// Write is one message of a commit.
type Write struct {
	subject string
	body    []byte
	header  nats.Header
}

// State is a write of a key of the bucket; ttl 0 keeps it for good.
func (b *Bus) State(key string, value []byte, ttl time.Duration) Write {
	w := Write{subject: b.set.Subjects.KeySubject(key), body: value, header: nats.Header{}}
	w.expire(ttl)
	return w
}

// Delete is a write that marks a key of the bucket as deleted. The marker itself
// goes after a day.
func (b *Bus) Delete(key string) Write {
	w := Write{subject: b.set.Subjects.KeySubject(key), header: nats.Header{"KV-Operation": {"DEL"}}}
	w.expire(24 * time.Hour)
	return w
}

// Output is a message for subscribers, stored and seen under the public subject
// once its commit is. ttl 0 keeps it for good.
func (b *Bus) Output(subject string, body []byte, header map[string]string, ttl time.Duration) Write {
	w := Write{subject: b.set.Subjects.Private(subject), body: body, header: make(nats.Header, len(header)+4)}
	for k, v := range header {
		w.header[k] = []string{v}
	}
	w.expire(ttl)
	return w
}

func (w *Write) expire(ttl time.Duration) {
	if ttl > 0 {
		w.header["Nats-TTL"] = []string{strconv.FormatInt(int64(max(ttl, time.Second)/time.Second), 10) + "s"}
	}
}

// Commit is what one partition wants stored together.
type Commit struct {
	Partition int
	Fence     uint64  // the revision of offset.<p> that is held
	Offset    []byte  // its new value
	Writes    []Write // fewer than MaxWrites
}

// MaxWrites is how many writes fit one commit beside the offset.
const MaxWrites = maxBatch - 1

// Committer stores commits of many partitions, several in one atomic batch where
// they come together (group commit), and several batches at once (lanes).
type Committer struct {
	bus     *Bus
	queue   chan *member
	sub     *nats.Subscription
	inbox   string
	observe func(took time.Duration, messages, bytes int)

	mu      sync.Mutex
	waiting map[string]chan *nats.Msg
	lanes   int
	busy    int
	freed   chan struct{}
}

type member struct {
	Commit
	ctx  context.Context
	done chan outcome
}

type outcome struct {
	revision uint64
	err      error
}

// NewCommitter starts a committer that ends with ctx. observe, which may be nil,
// is told how long each batch took, how many messages it had and the bytes of their bodies.
func (b *Bus) NewCommitter(ctx context.Context, lanes int, observe func(took time.Duration, messages, bytes int)) (*Committer, error) {
	if observe == nil {
		observe = func(time.Duration, int, int) {}
	}
	c := &Committer{
		bus: b, queue: make(chan *member, 1024), inbox: b.nc.NewInbox(), observe: observe,
		waiting: map[string]chan *nats.Msg{}, lanes: max(1, lanes), freed: make(chan struct{}, 1),
	}
	sub, err := b.nc.Subscribe(c.inbox+".*", c.reply)
	if err != nil {
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	c.sub = sub
	go c.run(ctx)
	return c, nil
}

// SetLanes bounds how many batches are under way at once. The server allows 50 a
// stream to all workers together.
func (c *Committer) SetLanes(n int) {
	c.mu.Lock()
	c.lanes = max(1, n)
	c.mu.Unlock()
	c.wake()
}

// Commit stores all of it or nothing and returns the new revision of the offset.
// The error is ErrConflict, ErrFull or ErrAltered where nothing was stored, else
// it wraps ErrUnknown: then the caller must read again.
func (c *Committer) Commit(ctx context.Context, commit Commit) (uint64, error) {
	if len(commit.Writes) > MaxWrites {
		return 0, fmt.Errorf("%d writes in one commit, at most %d fit: this is a fault of retune", len(commit.Writes), MaxWrites)
	}
	for _, w := range commit.Writes {
		if int64(len(w.body)) > c.bus.nc.MaxPayload() {
			return 0, fmt.Errorf("%s has %d bytes, the server takes %d: this is a fault of retune", w.subject, len(w.body), c.bus.nc.MaxPayload())
		}
	}
	r := &member{Commit: commit, ctx: ctx, done: make(chan outcome, 1)}
	select {
	case c.queue <- r:
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
	select {
	case o := <-r.done:
		return o.revision, o.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

func (c *Committer) run(ctx context.Context) {
	defer func() { _ = c.sub.Unsubscribe() }()
	var next *member
	for {
		if next == nil {
			select {
			case next = <-c.queue:
			case <-ctx.Done():
				return
			}
		}
		if !c.acquire(ctx) {
			return
		}
		group := []*member{next}
		group, next = c.gather(group)
		go func() {
			defer c.release()
			c.commitGroup(ctx, group)
		}()
	}
}

// gather takes what waits, as far as it fits one batch; the one that did not fit
// starts the next.
func (c *Committer) gather(group []*member) ([]*member, *member) {
	size := len(group[0].Writes) + 1
	for {
		select {
		case r := <-c.queue:
			if size += len(r.Writes) + 1; size > maxBatch {
				return group, r
			}
			group = append(group, r)
		default:
			return group, nil
		}
	}
}

func (c *Committer) acquire(ctx context.Context) bool {
	for {
		c.mu.Lock()
		if c.busy < c.lanes {
			c.busy++
			c.mu.Unlock()
			return true
		}
		c.mu.Unlock()
		select {
		case <-c.freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (c *Committer) release() {
	c.mu.Lock()
	c.busy--
	c.mu.Unlock()
	c.wake()
}

func (c *Committer) wake() {
	select {
	case c.freed <- struct{}{}:
	default:
	}
}

// commitGroup stores the group in one batch. Where a fence was lost nothing of it
// is stored and nobody is told whose fence it was, so each tries alone.
func (c *Committer) commitGroup(ctx context.Context, group []*member) {
	last, err := c.batch(ctx, group)
	if errors.Is(err, ErrConflict) && len(group) > 1 {
		for _, r := range group {
			c.commitGroup(ctx, []*member{r})
		}
		return
	}
	// A batch is stored without gaps; each partition's offset closes its part.
	for i := len(group) - 1; i >= 0; i-- {
		group[i].done <- outcome{last, err}
		last -= uint64(len(group[i].Writes) + 1)
	}
}

// batch publishes one atomic batch, again while the server has too many under
// way, and returns the sequence of its last message.
func (c *Committer) batch(ctx context.Context, group []*member) (uint64, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		start := time.Now()
		last, messages, err := c.attempt(ctx, group)
		if err == nil {
			c.observe(time.Since(start), messages, bodies(group))
		}
		if errors.Is(err, errNobody) {
			err = c.bus.explain(ctx, err)
		}
		if !errors.Is(err, errBusy) {
			return last, err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return 0, ErrConflict // refused as too many, so nothing was stored
		}
	}
}

// bodies is how many bytes the messages of a group have, headers aside.
func bodies(group []*member) (bytes int) {
	for _, r := range group {
		bytes += len(r.Offset)
		for _, w := range r.Writes {
			bytes += len(w.body)
		}
	}
	return bytes
}

var (
	errBusy   = errors.New("too many batches in flight")
	errNobody = errors.New("the bucket's stream has no leader, is gone or listens on other subjects")
)

func (c *Committer) attempt(ctx context.Context, group []*member) (last uint64, messages int, err error) {
	id := nuid.Next()
	replies := make(chan *nats.Msg, 8)
	c.mu.Lock()
	c.waiting[id] = replies
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	n, err := c.publish(id, group)
	if err != nil {
		return 0, n, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	timeout := time.NewTimer(commitTimeout)
	defer timeout.Stop()
	for {
		select {
		case m := <-replies:
			done, seq, err := verdict(m)
			if done {
				return seq, n, err
			}
		case <-timeout.C:
			return 0, n, fmt.Errorf("%w: no answer within %s", ErrUnknown, commitTimeout)
		case <-ctx.Done():
			return 0, n, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
		}
	}
}

// publish sends the messages of the group. The first asks for a reply too, or
// "too many in flight" would hide behind "incomplete".
func (c *Committer) publish(id string, group []*member) (int, error) {
	total := 0
	for _, r := range group {
		total += len(r.Writes) + 1
	}
	batchID, inbox := []string{id}, c.inbox+"."+id
	sequence := 0
	send := func(subject string, body []byte, header nats.Header) error {
		sequence++
		header["Nats-Batch-Id"] = batchID
		header["Nats-Batch-Sequence"] = []string{strconv.Itoa(sequence)}
		m := &nats.Msg{Subject: subject, Data: body, Header: header}
		if sequence == 1 || sequence == total {
			m.Reply = inbox
		}
		if sequence == total {
			header["Nats-Batch-Commit"] = []string{"1"}
		} else {
			delete(header, "Nats-Batch-Commit")
		}
		return c.bus.nc.PublishMsg(m)
	}
	for _, r := range group {
		for _, w := range r.Writes {
			if err := send(w.subject, w.body, w.header); err != nil {
				return sequence, err
			}
		}
		fence := nats.Header{"Nats-Expected-Last-Subject-Sequence": {strconv.FormatUint(r.Fence, 10)}}
		if err := send(c.bus.set.Subjects.KeySubject(wire.OffsetKey(r.Partition)), r.Offset, fence); err != nil {
			return sequence, err
		}
	}
	return sequence, nil
}

func (c *Committer) reply(m *nats.Msg) {
	id := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	c.mu.Lock()
	replies := c.waiting[id]
	c.mu.Unlock()
	if replies == nil {
		return
	}
	select {
	case replies <- m:
	default:
	}
}

// verdict reads a reply; done is false for the empty one to the first message.
func verdict(m *nats.Msg) (done bool, last uint64, err error) {
	if m.Header.Get("Status") == "503" {
		return true, 0, fmt.Errorf("%w: %w", ErrUnknown, errNobody)
	}
	if len(m.Data) == 0 {
		return false, 0, nil
	}
	var ack struct {
		Seq   uint64
		Error *struct {
			ErrCode     int `json:"err_code"`
			Code        int
			Description string
		}
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return true, 0, fmt.Errorf("%w: reply %.80q", ErrUnknown, m.Data)
	}
	if ack.Error == nil {
		return true, ack.Seq, nil
	}
	return true, 0, refusal(ack.Error.ErrCode, ack.Error.Description)
}

func refusal(code int, description string) error {
	switch code {
	case 10071, 10164:
		return ErrConflict
	case 10210:
		return errBusy
	case 10077, 10023, 10047:
		return fmt.Errorf("%w (%s)", ErrFull, description)
	case 10174:
		return fmt.Errorf("%w: %s: a client has overwritten its settings (CreateOrUpdateKeyValue?)", ErrAltered, description)
	}
	return fmt.Errorf("%w: %s (%d)", ErrUnknown, description, code)
}
