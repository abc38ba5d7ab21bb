package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

func TestStateIsReadAtTheFence(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.committer(t, 1, nil)
	key := wire.ModelKey(0, "m")
	write := func(fence uint64, value string) uint64 {
		return must(c.Commit(t.Context(), bus.Commit{Fence: fence, Offset: []byte(value), Writes: []bus.Write{b.bus.State(key, []byte(value), 0)}}))
	}
	first := write(0, "1")
	second := write(first, "2")
	keys := []string{key, wire.ModelKey(0, "unknown")}
	found, err := b.bus.ReadState(t.Context(), 0, second, keys)
	if err != nil || string(found[key].Value) != "2" || len(found) != 1 {
		t.Fatalf("%v %v", found, err)
	}
	start := time.Now()
	if found, err := b.bus.ReadState(t.Context(), 0, first, keys); !errors.Is(err, bus.ErrConflict) || time.Since(start) > 3*time.Second {
		t.Errorf("another has committed, yet there is an answer: %v %v", found, err)
	}
	if found, err := b.bus.Scan(t.Context(), 0, first, "model.0.*"); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("another has committed, yet there is a scan: %v %v", found, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if found, err := b.bus.ReadState(ctx, 0, second+1, keys); err == nil {
		t.Errorf("the server is behind the fence, yet there is an answer: %v", found)
	}
	write(second, "3")
	if found, err := b.bus.ReadState(t.Context(), 7, 0, keys); err != nil || string(found[key].Value) != "3" {
		t.Errorf("a partition without an offset is at fence 0: %v %v", found, err)
	}
}

// TestScan has few keys, as many as the server answers for at once, and more.
func TestScan(t *testing.T) {
	t.Parallel()
	for _, keys := range []int{500, 1000, 2500} {
		t.Run(strconv.Itoa(keys), func(t *testing.T) {
			t.Parallel()
			scan(t, keys)
		})
	}
}

func scan(t *testing.T, keys int) {
	b := setup(t)
	c := b.committer(t, 1, nil)
	fence, all := uint64(0), []string(nil)
	for start := 0; start < keys; start += 500 {
		var writes []bus.Write
		for i := start; i < start+500; i++ {
			key := wire.StudyKey(3, "m"+strconv.Itoa(i))
			all = append(all, key)
			writes = append(writes, b.bus.State(key, []byte(strconv.Itoa(i)), 0))
		}
		fence = must(c.Commit(t.Context(), bus.Commit{Partition: 3, Fence: fence, Offset: []byte("x"), Writes: writes}))
	}
	fence = must(c.Commit(t.Context(), bus.Commit{Partition: 3, Fence: fence, Offset: []byte("x"), Writes: []bus.Write{
		b.bus.Delete(all[0]), b.bus.State(all[1], []byte("new"), 0), b.bus.State(wire.StudyKey(4, "other"), []byte("x"), 0),
	}}))
	check := func(what string, found map[string]string, deleted bool) {
		t.Helper()
		if len(found) != keys-1 && !(deleted && len(found) == keys) {
			t.Errorf("%s: %d keys, wanted %d", what, len(found), keys-1)
		}
		if found[all[1]] != "new" || found[all[keys-1]] != strconv.Itoa(keys-1) || found[all[0]] != "" {
			t.Errorf("%s: %q %q %q", what, found[all[0]], found[all[1]], found[all[keys-1]])
		}
	}
	scanned := map[string]string{}
	for _, e := range must(b.bus.Scan(t.Context(), 3, fence, "study.3.*")) {
		scanned[e.Key] = string(e.Value)
	}
	check("scan", scanned, false)
	read := map[string]string{}
	for k, e := range must(b.bus.ReadState(t.Context(), 3, fence, all)) {
		read[k] = string(e.Value)
	}
	check("read", read, true)
	if _, err := b.bus.Scan(t.Context(), 3, fence+1, "study.3.*"); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a scan of what is not there yet: %v", err)
	}
}

// TestPages reads more than the server may have pending for a client.
func TestPages(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t, func(o *server.Options) { o.MaxPayload, o.MaxPending = 1<<20, 2<<20 })
	b := join(t, srv.ClientURL())
	c := b.committer(t, 1, nil)
	const keys, size = 60, 200_000
	fence, all := uint64(0), []string(nil)
	for i := range keys {
		all = append(all, wire.ModelKey(0, strconv.Itoa(i)))
		value := bytes.Repeat([]byte{byte(i)}, size)
		fence = must(c.Commit(t.Context(), bus.Commit{Fence: fence, Offset: []byte("x"), Writes: []bus.Write{b.bus.State(all[i], value, 0)}}))
	}
	found, err := b.bus.ReadState(t.Context(), 0, fence, all)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range all {
		if v := found[k].Value; len(v) != size || v[0] != byte(i) {
			t.Errorf("%s: %d bytes", k, len(v))
		}
	}
}

func TestPurgeSparesWhatIsNewer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.committer(t, 1, nil)
	write := func(fence uint64, model string) uint64 {
		return must(c.Commit(t.Context(), bus.Commit{Fence: fence, Offset: []byte("x"), Writes: []bus.Write{b.bus.State(wire.FinishedKey(0, "m", model), []byte("x"), 0)}}))
	}
	first := write(0, "old")
	second := write(first, "new")
	if err := b.bus.PurgeStudies(t.Context(), 0, "m", first); err != nil {
		t.Fatal(err)
	}
	if left := must(b.bus.Scan(t.Context(), 0, second, "study.0.>")); len(left) != 1 || left[0].Key != wire.FinishedKey(0, "m", "new") {
		t.Errorf("left: %v", left)
	}
}

// TestReplicated runs what matters only with replicas, on one cluster.
func TestReplicated(t *testing.T) {
	t.Parallel()
	c := bustest.Cluster(t)
	t.Run("fence", func(t *testing.T) {
		b := join(t, c.URL, replicated("fence"))
		stepDown := "$JS.API.STREAM.LEADER.STEPDOWN." + b.set.Subjects.BucketStream()
		contend(t, b, 4*time.Second, func() { _, _ = b.nc.Request(stepDown, nil, time.Second) })
	})
	t.Run("state", func(t *testing.T) { staleState(t, c) })
}

func replicated(prefix string) func(*bus.Settings) {
	return func(s *bus.Settings) { s.Replicas, s.Subjects.Prefix = 3, prefix }
}

// staleState counts, as the one legitimate owner, in state that is read anew for
// each commit, while others keep the replicas busy. It is connected to a follower,
// which answers reads itself: a plain read of the key loses counts although every
// fence is right.
func staleState(t *testing.T, nodes *bustest.Nodes) {
	b := join(t, nodes.Servers[0].ClientURL(), replicated("state"))
	bustest.Eventually(t, 20*time.Second, "another server leads", func() bool {
		info, err := b.bucket(t).Info(t.Context())
		if err != nil || info.Cluster == nil || info.Cluster.Leader == "" {
			return false
		}
		if info.Cluster.Leader != nodes.Servers[0].Name() {
			return true
		}
		_, _ = b.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+b.set.Subjects.BucketStream(), nil, time.Second)
		return false
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for g := range 2 {
		c := committer(t, bustest.Open(t, nodes.URL, b.set), 1, nil)
		wg.Go(func() {
			body := make([]byte, 300)
			for fence := uint64(0); ctx.Err() == nil; {
				var writes []bus.Write
				for j := range 100 {
					writes = append(writes, b.bus.Output(fmt.Sprintf("%s.config.bg%d.%d", b.set.Subjects.Prefix, g, j), body, nil, 0))
				}
				if revision, err := c.Commit(ctx, bus.Commit{Partition: 100 + g, Fence: fence, Offset: []byte("x"), Writes: writes}); err == nil {
					fence = revision
				}
			}
		})
	}
	naive := func(_ uint64, key string) ([]byte, error) {
		kv, err := b.js.KeyValue(t.Context(), b.set.Subjects.Bucket())
		if err != nil {
			return nil, err
		}
		e, err := kv.Get(t.Context(), key)
		if err != nil {
			return nil, nil
		}
		return e.Value(), nil
	}
	fenced := func(fence uint64, key string) ([]byte, error) {
		found, err := b.bus.ReadState(t.Context(), 1, fence, []string{key})
		return found[key].Value, err
	}
	t.Logf("a plain read lost %d counts", lostCounts(t, b, 0, naive))
	if lost := lostCounts(t, b, 1, fenced); lost != 0 {
		t.Errorf("%d counts were lost", lost)
	}
}

func lostCounts(t *testing.T, b *testBundle, partition int, read func(fence uint64, key string) ([]byte, error)) int {
	t.Helper()
	c := b.committer(t, 1, nil)
	key := wire.ModelKey(partition, "m")
	fence, commits := uint64(0), 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		value, err := read(fence, key)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(string(value))
		fence, err = c.Commit(t.Context(), bus.Commit{Partition: partition, Fence: fence, Offset: []byte("x"),
			Writes: []bus.Write{b.bus.State(key, []byte(strconv.Itoa(n+1)), 0)}})
		if err != nil {
			t.Fatal(err)
		}
		commits++
	}
	value, _ := b.last(t, b.set.Subjects.KeySubject(key))
	return commits - must(strconv.Atoi(value))
}
