package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publish sends one input and returns its sequence once the stream has stored it.
func (b *Bus) Publish(ctx context.Context, subject, contentType string, body []byte) (sequence uint64, err error) {
	rctx, cancel := request(ctx)
	defer cancel()
	ack, err := b.js.PublishMsg(rctx, inputMessage(subject, contentType, body))
	if err != nil {
		return 0, fmt.Errorf("publish to %s: %w", subject, b.publishError(err))
	}
	return ack.Sequence, nil
}

func inputMessage(subject, contentType string, body []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Data: body, Header: nats.Header{"Content-Type": {contentType}}}
}

func (b *Bus) publishError(err error) error {
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return fmt.Errorf("stream %s is not there: start a worker, which makes it: %w", b.set.Subjects.InputStream(), err)
	}
	return err
}

const (
	// publishWindow is how many inputs are on their way at once: enough to fill a
	// link, and below what the connection refuses to have open.
	publishWindow = 1024
	// ackWait bounds the wait for one acknowledgement.
	ackWait = 10 * time.Second
	// reconnectWait bounds the wait for a connection that was lost.
	reconnectWait = 30 * time.Second
)

// Publisher sends inputs without waiting for one before the next is sent. One
// goroutine may use it at a time.
type Publisher struct {
	bus          *Bus
	acknowledged func(tag int, err error)
	sent         chan sentInput
	done         chan struct{}
}

type sentInput struct {
	tag    int
	future jetstream.PubAckFuture
}

// NewPublisher calls acknowledged once for every input that was sent, in order and
// from one goroutine: with nil when the stream has stored it, otherwise with why
// that is not known to be so. Close has to be called.
func (b *Bus) NewPublisher(acknowledged func(tag int, err error)) *Publisher {
	p := &Publisher{bus: b, acknowledged: acknowledged, sent: make(chan sentInput, publishWindow), done: make(chan struct{})}
	go p.collect()
	return p
}

// Publish sends an input, whose body must not change any more. It waits while too
// many are unacknowledged, and up to 30 s for a connection that is lost. After an
// error the input was not sent and acknowledged is not called for it.
func (p *Publisher) Publish(ctx context.Context, tag int, subject, contentType string, body []byte) error {
	for {
		reconnected := p.bus.reconnects()
		future, err := p.bus.js.PublishMsgAsync(inputMessage(subject, contentType, body))
		if err == nil {
			p.sent <- sentInput{tag, future}
			return nil
		}
		if p.bus.Connected() {
			return p.bus.publishError(err)
		}
		select {
		case <-reconnected:
		case <-time.After(reconnectWait):
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close waits until all that was sent is acknowledged or given up, and for 10 s at
// the most after the last acknowledgement.
func (p *Publisher) Close() {
	close(p.sent)
	<-p.done
}

func (p *Publisher) collect() {
	defer close(p.done)
	// A server that is gone is waited for once, not once for every input.
	patience := time.NewTimer(ackWait)
	defer patience.Stop()
	for s := range p.sent {
		err := await(s.future, patience.C)
		if errors.Is(err, errNoAck) {
			patience.Reset(0)
		} else {
			patience.Reset(ackWait)
		}
		p.acknowledged(s.tag, p.bus.publishError(err))
	}
}

var errNoAck = fmt.Errorf("no acknowledgement within %s", ackWait)

func await(f jetstream.PubAckFuture, patience <-chan time.Time) error {
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-patience:
	}
	select { // an acknowledgement that came in time but was not looked at
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	default:
		return errNoAck
	}
}
