package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/wire"
)

// said is what a worker, or several, stored for subscribers: per model, in order,
// without ids and times.
type said struct {
	outputs map[string][]string
	ids     map[string]int // ce-id of every stored output
	live    map[string]int // number of the newest live config
	reports map[string]int // live reports that the model's state says it has seen
}

// collect reads the bucket once all inputs are applied and written.
func collect(t *testing.T, js jetstream.JetStream, partitions int) said {
	t.Helper()
	waitApplied(t, js, partitions)
	s := said{map[string][]string{}, map[string]int{}, map[string]int{}, map[string]int{}}
	for _, m := range stored(t, js, "KV_retune", "retune.>") {
		s.add(t, m)
	}
	for _, m := range stored(t, js, "KV_retune", "$KV.retune.model.>") {
		var r struct {
			Reports int `msgpack:"reports"`
		}
		if err := wire.UnmarshalState(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		s.reports[m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]] = r.Reports
	}
	return s
}

func (s said) add(t *testing.T, m *nats.Msg) {
	t.Helper()
	tokens := strings.Split(m.Subject, ".")
	s.ids[m.Header.Get("ce-id")]++
	model, text := tokens[2], ""
	switch tokens[1] {
	case "dead":
		model = "dead " + tokens[2]
		text = fmt.Sprintf("%s %s %s %s %q", tokens[3], m.Header.Get("Retune-Model"), m.Header.Get("Retune-Sequence"), m.Header.Get("Retune-Error"), m.Data)
	case "retrain":
		text = "retrain " + canonical(t, m.Data)
	default:
		text = strings.Join(append([]string{tokens[1]}, tokens[3:]...), " ") + " " + canonical(t, m.Data)
	}
	if tokens[1] == "config" && tokens[3] == "live" {
		var live struct{ Number int }
		if err := json.Unmarshal(m.Data, &live); err != nil {
			t.Fatal(err)
		}
		s.live[model] = live.Number
		model = "newest config of " + model // overwritten, so its place in the order means nothing
	}
	s.outputs[model] = append(s.outputs[model], text)
}

// canonical drops ids and times of an output.
func canonical(t *testing.T, body []byte) string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for _, name := range []string{"id", "time", "issued_at", "started_at", "finished_at"} {
		delete(fields, name)
	}
	out, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// waitApplied waits until each partition's offset says that its last input is
// applied and written.
func waitApplied(t *testing.T, js jetstream.JetStream, partitions int) {
	t.Helper()
	last := map[string]uint64{}
	for _, m := range stored(t, js, "RETUNE_METRICS", ">") {
		last[strings.Split(m.Subject, ".")[2]] = sequence(m)
	}
	deadline := time.Now().Add(90 * time.Second)
	for p, want := range last {
		for {
			var o struct {
				Sequence uint64 `msgpack:"seq"`
			}
			if m := lastMessage(js, "KV_retune", "$KV.retune.offset."+p); m != nil {
				if err := wire.UnmarshalState(m.Data, &o); err != nil {
					t.Fatal(err)
				}
			}
			if o.Sequence >= want {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("partition %s: applied up to %d, its last input is %d", p, o.Sequence, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func lastMessage(js jetstream.JetStream, stream, subject string) *jetstream.RawStreamMsg {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return nil
	}
	return m
}

// stored reads what a stream holds under a filter, in order. The reply subject
// keeps the metadata. A consumer may sit on a replica that has yet to catch up or
// that has just lost its leader: what it gives counts when it is as much as the
// stream's leader says there is.
func stored(t *testing.T, js jetstream.JetStream, stream, filter string) []*nats.Msg {
	t.Helper()
	var problem error
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		messages, err := readAll(js, stream, filter)
		if err == nil {
			return messages
		}
		problem = err
	}
	t.Fatalf("%s: %v", stream, problem)
	return nil
}

func readAll(js jetstream.JetStream, stream, filter string) ([]*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	consumer, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1})
	if err != nil {
		return nil, err
	}
	defer func() { _ = js.DeleteConsumer(ctx, stream, consumer.CachedInfo().Name) }()
	var all []*nats.Msg
	for left := consumer.CachedInfo().NumPending; left > 0; {
		batch, err := consumer.Fetch(int(min(left, 1000)), jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			return nil, err
		}
		got := len(all)
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return nil, err
			}
			left = meta.NumPending
			all = append(all, &nats.Msg{Subject: m.Subject(), Data: m.Data(), Header: m.Headers(), Reply: m.Reply()})
		}
		if got == len(all) {
			break
		}
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	want := 0
	for _, n := range info.State.Subjects {
		want += int(n)
	}
	if len(all) != want {
		return nil, fmt.Errorf("%d messages came, the stream's leader has %d", len(all), want)
	}
	return all, nil
}

func sequence(m *nats.Msg) uint64 {
	tokens := strings.Split(m.Reply, ".")
	var seq uint64
	_, _ = fmt.Sscan(tokens[len(tokens)-4], &seq)
	return seq
}

// same fails where the two said different things.
func same(t *testing.T, what string, got, want map[string][]string) {
	t.Helper()
	for model, w := range want {
		g := got[model]
		for i := range max(len(g), len(w)) {
			switch {
			case i >= len(g):
				t.Errorf("%s of %s: %d is missing: %s", what, model, i, w[i])
			case i >= len(w):
				t.Errorf("%s of %s: %d is one too many: %s", what, model, i, g[i])
			case g[i] != w[i]:
				t.Errorf("%s of %s: %d is\n%s\nan undisturbed worker says\n%s", what, model, i, g[i], w[i])
			default:
				continue
			}
			break
		}
	}
	for model := range got {
		if want[model] == nil {
			t.Errorf("%s of %s: an undisturbed worker says nothing of it", what, model)
		}
	}
}
