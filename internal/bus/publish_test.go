package bus_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

// TestPublisherSurvivesARestart: an input counts as stored only if it is, and
// inputs sent after the connection is back go on.
func TestPublisherSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := bustest.Server(t, func(o *server.Options) { o.StoreDir = dir })
	port := first.Addr().String()[strings.LastIndex(first.Addr().String(), ":")+1:]
	b := bustest.Open(t, first.ClientURL(), bustest.Settings())
	stored := map[int]bool{}
	var last []int
	p := b.NewPublisher(func(tag int, err error) {
		last = append(last, tag)
		stored[tag] = err == nil
	})
	const half = 2000
	send := func(from int) {
		for tag := from; tag < from+half; tag++ {
			if err := p.Publish(t.Context(), tag, "retune.metrics.m", "application/json", []byte(`{"metrics":{"loss":1}}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(0)
	first.Shutdown()
	first.WaitForShutdown()
	bustest.Server(t, func(o *server.Options) {
		o.StoreDir = dir
		_, _ = fmt.Sscan(port, &o.Port)
	})
	send(half)
	p.Close()
	count := uint64(0)
	for i, tag := range last {
		if i != tag {
			t.Fatalf("answer %d is for %d", i, tag)
		}
		if stored[tag] {
			count++
		} else if tag >= half {
			t.Errorf("%d is not stored, though it was sent when the server was back", tag)
		}
	}
	end, err := b.StoredBy(t.Context(), time.Now().Add(time.Hour))
	if err != nil || len(last) != 2*half || end < count {
		t.Errorf("%d answers, %d stored, the stream ends at %d: %v", len(last), count, end, err)
	}
}

func TestPublishWithoutAStream(t *testing.T) {
	t.Parallel()
	b, err := bus.Open(bus.Connection{URL: bustest.Server(t).ClientURL()}, bustest.Settings(), bustest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, published := b.Publish(t.Context(), "retune.metrics.m", "application/json", nil)
	_, layout := b.Layout(t.Context())
	_, keys := b.KeyNames(t.Context(), ">")
	for _, err := range []error{published, layout, keys} {
		if err == nil || !strings.Contains(err.Error(), "start a worker") {
			t.Error(err)
		}
	}
}

// TestLayoutIsTheServers compares with where the stream puts inputs, for another
// number of partitions than the client was set to.
func TestLayoutIsTheServers(t *testing.T) {
	t.Parallel()
	url := bustest.Server(t).ClientURL()
	b := bustest.Open(t, url, bustest.Settings())
	set := bustest.Settings()
	set.Partitions = 32
	other, err := bus.Open(bus.Connection{URL: url}, set, bustest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	layout, err := other.Layout(t.Context())
	if err != nil || layout.Partitions != 4 {
		t.Fatalf("%+v %v", layout, err)
	}
	_, js := bustest.Client(t, url)
	stream, err := js.Stream(t.Context(), "RETUNE_METRICS")
	if err != nil {
		t.Fatal(err)
	}
	used := map[int]bool{}
	for i := range 50 {
		model := fmt.Sprintf("model-%d", i)
		sequence, err := b.Publish(t.Context(), "retune.metrics."+model, "application/json", []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		p := layout.Partition(model)
		used[p] = true
		if want := fmt.Sprintf("retune.metrics.%d.%s", p, model); m.Subject != want {
			t.Errorf("%s, wanted %s", m.Subject, want)
		}
	}
	if len(used) != 4 {
		t.Errorf("partitions used: %v", used)
	}
}
