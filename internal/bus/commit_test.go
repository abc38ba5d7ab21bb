package bus_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// contend lets eight committers count in two partitions, each taking itself for
// the owner of both. Every count must have exactly one output, and state and
// offset must agree.
func contend(t *testing.T, b *testBundle, during time.Duration, chaos func()) {
	const workers, partitions = 8, 2
	var acknowledged, conflicts, unknown atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(during)
	for g := range workers {
		other := bustest.Open(t, b.url, b.set)
		c := committer(t, other, 2, nil)
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				switch err := count(t, other, c, (g+i)%partitions, fmt.Sprintf("%d-%d", g, i)); {
				case err == nil:
					acknowledged.Add(1)
				case errors.Is(err, bus.ErrConflict):
					conflicts.Add(1)
				default:
					unknown.Add(1)
				}
			}
		})
	}
	for chaos != nil && time.Now().Before(end) {
		chaos()
		time.Sleep(700 * time.Millisecond)
	}
	wg.Wait()
	total := 0
	outputs := map[string]int{}
	for subject := range b.stored(t, b.set.Subjects.Prefix+".out.>") {
		parts := strings.Split(strings.TrimPrefix(subject, b.set.Subjects.Prefix+".out."), ".")
		outputs[parts[0]+"."+parts[1]]++
	}
	for p := range partitions {
		at, _ := b.last(t, b.offset(p))
		state, _ := b.last(t, b.set.Subjects.KeySubject(wire.ModelKey(p, "m")))
		if at != state {
			t.Errorf("partition %d: offset %s but state %s: a torn batch", p, at, state)
		}
		n := must(strconv.Atoi(at))
		total += n
		for i := 1; i <= n; i++ {
			if got := outputs[fmt.Sprintf("%d.%d", p, i)]; got != 1 {
				t.Errorf("partition %d: count %d has %d outputs", p, i, got)
			}
		}
	}
	t.Logf("counted %d, acknowledged %d, conflicts %d, unknown %d", total, acknowledged.Load(), conflicts.Load(), unknown.Load())
	if int64(total) < acknowledged.Load() || len(outputs) != total || int64(total) > acknowledged.Load()+unknown.Load() {
		t.Errorf("%d counted and %d outputs, of which %d were acknowledged and %d unknown", total, len(outputs), acknowledged.Load(), unknown.Load())
	}
	if conflicts.Load() == 0 || acknowledged.Load() < 5 {
		t.Errorf("%d conflicts among %d commits: nobody contended", conflicts.Load(), acknowledged.Load())
	}
}

func count(t *testing.T, b *bus.Bus, c *bus.Committer, partition int, token string) error {
	held, err := b.ReadOffset(t.Context(), partition)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(held.Value))
	next := []byte(strconv.Itoa(n + 1))
	s := b.Settings().Subjects
	_, err = c.Commit(t.Context(), bus.Commit{Partition: partition, Fence: held.Revision, Offset: next, Writes: []bus.Write{
		b.Output(fmt.Sprintf("%s.out.%d.%s.%s", s.Prefix, partition, next, token), next, nil, 0),
		b.State(wire.ModelKey(partition, "m"), next, 0),
	}})
	return err
}

func TestFence(t *testing.T) {
	t.Parallel()
	contend(t, setup(t), 3*time.Second, nil)
}

// TestGroup fills batches from many partitions at once; one of them is stale.
func TestGroup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mu sync.Mutex
	var sizes []int
	c := b.committer(t, 1, func(_ time.Duration, messages, _ int) {
		mu.Lock()
		sizes = append(sizes, messages)
		mu.Unlock()
	})
	const partitions, stale = 60, 17
	revisions, errs := make([]uint64, partitions), make([]error, partitions)
	for round := range 3 {
		var wg sync.WaitGroup
		for p := range partitions {
			fence := revisions[p]
			if p == stale {
				fence = 1 << 40
			}
			wg.Go(func() {
				var writes []bus.Write
				for i := range 1 + p*2 {
					writes = append(writes, b.bus.State(wire.ModelKey(p, strconv.Itoa(i)), []byte("x"), 0))
				}
				revisions[p], errs[p] = c.Commit(t.Context(), bus.Commit{Partition: p, Fence: fence, Offset: []byte(strconv.Itoa(round)), Writes: writes})
			})
		}
		wg.Wait()
		for p := range partitions {
			if p == stale {
				if !errors.Is(errs[p], bus.ErrConflict) {
					t.Errorf("round %d: the stale partition: %v", round, errs[p])
				}
				continue
			}
			if errs[p] != nil {
				t.Fatalf("round %d, partition %d: %v", round, p, errs[p])
			}
			if value, revision := b.last(t, b.offset(p)); revision != revisions[p] || value != strconv.Itoa(round) {
				t.Errorf("round %d, partition %d: revision %d was given, it is %d (%s)", round, p, revisions[p], revision, value)
			}
		}
	}
	if stored := b.stored(t, b.set.Subjects.KeySubject(wire.ModelKey(stale, "*"))); len(stored) > 0 {
		t.Errorf("the stale partition stored %d keys", len(stored))
	}
	t.Logf("batches: %v", sizes)
	if most := slices.Max(sizes); most > 1000 || most < 300 {
		t.Errorf("the largest batch had %d messages: at most 1,000 are allowed, and many were waiting", most)
	}
}

func TestCommitLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.committer(t, 1, nil)
	writes := make([]bus.Write, bus.MaxWrites)
	for i := range writes {
		writes[i] = b.bus.State(wire.ModelKey(0, strconv.Itoa(i)), []byte("x"), 0)
	}
	fence, err := c.Commit(t.Context(), bus.Commit{Offset: []byte("1"), Writes: writes})
	if err != nil {
		t.Fatal(err)
	}
	if fence, err = c.Commit(t.Context(), bus.Commit{Fence: fence, Offset: []byte("2")}); err != nil {
		t.Fatalf("an offset alone: %v", err)
	}
	if _, err := c.Commit(t.Context(), bus.Commit{Fence: fence, Offset: []byte("3"), Writes: append(writes, writes[0])}); err == nil || errors.Is(err, bus.ErrUnknown) {
		t.Errorf("a commit that does not fit one batch: %v", err)
	}
	if value, revision := b.last(t, b.offset(0)); value != "2" || revision != fence {
		t.Errorf("offset %s at %d, wanted 2 at %d", value, revision, fence)
	}
}

// TestTooManyInFlight leaves as many batches half sent as the server allows.
func TestTooManyInFlight(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t, func(o *server.Options) { o.JetStreamLimits.MaxBatchTimeout = 4 * time.Second })
	b := join(t, srv.ClientURL())
	for i := 0; ; i++ {
		m := nats.NewMsg("commit.retune.x." + strconv.Itoa(i))
		m.Header.Set("Nats-Batch-Id", "abandoned-"+strconv.Itoa(i))
		m.Header.Set("Nats-Batch-Sequence", "1")
		if r := must(b.nc.RequestMsg(m, 5*time.Second)); strings.Contains(string(r.Data), "10210") {
			t.Logf("the server has enough of batches after %d", i)
			break
		}
	}
	_, err := b.committer(t, 1, nil).Commit(t.Context(), bus.Commit{Offset: []byte("1"), Writes: []bus.Write{
		b.bus.Output("retune.retrain.m.1", []byte("x"), nil, 0), b.bus.State(wire.ModelKey(0, "m"), []byte("x"), 0),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHiddenUntilCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sub := b.subscribe(t, "retune.>")
	sourced := must(b.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "MINE", Sources: []*jetstream.StreamSource{{Name: b.set.Subjects.BucketStream(), FilterSubject: "retune.retrain.>"}},
	}))
	c := b.committer(t, 1, nil)
	outputs := func(round int) (writes []bus.Write) {
		for i := range 20 {
			writes = append(writes, b.bus.Output(fmt.Sprintf("retune.retrain.m.%d-%02d", round, i), []byte("x"), map[string]string{"ce-id": "id"}, time.Hour))
		}
		return writes
	}
	if _, err := c.Commit(t.Context(), bus.Commit{Fence: 99, Offset: []byte("1"), Writes: outputs(0)}); !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("a wrong fence: %v", err)
	}
	if _, err := c.Commit(t.Context(), bus.Commit{Offset: []byte("1"), Writes: outputs(1)}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		m, err := sub.NextMsg(5 * time.Second)
		if want := fmt.Sprintf("retune.retrain.m.1-%02d", i); err != nil || m.Subject != want || m.Header.Get("ce-id") != "id" {
			t.Fatalf("a plain subscriber got %v (%v), wanted %s", m, err, want)
		}
	}
	if m, err := sub.NextMsg(100 * time.Millisecond); err == nil {
		t.Errorf("and more: %s", m.Subject)
	}
	bustest.Eventually(t, 10*time.Second, "all outputs in the user's own stream", func() bool {
		return must(sourced.Info(t.Context())).State.Msgs == 20
	})
}

func TestFull(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *bus.Settings) { s.BucketBytes = 1 << 20 })
	c := b.committer(t, 2, nil)
	body := make([]byte, 20_000)
	fence, n := uint64(0), 0
	commit := func() error {
		var writes []bus.Write
		for i := range 10 {
			writes = append(writes, b.bus.Output(fmt.Sprintf("retune.retrain.m%d.%d", i, n), body, nil, 0))
		}
		revision, err := c.Commit(t.Context(), bus.Commit{Fence: fence, Offset: []byte(strconv.Itoa(n)), Writes: writes})
		if err == nil {
			fence, n = revision, n+1
		}
		return err
	}
	var err error
	for err = commit(); err == nil && n < 100; err = commit() {
	}
	if !errors.Is(err, bus.ErrFull) {
		t.Fatalf("after %d commits: %v", n, err)
	}
	if errors.Is(err, bus.ErrUnknown) {
		t.Error("a full bucket refuses whole, that is known")
	}
	if torn := b.stored(t, fmt.Sprintf("retune.retrain.*.%d", n)); len(torn) > 0 {
		t.Errorf("%d outputs of a refused commit are stored", len(torn))
	}
	if value, revision := b.last(t, b.offset(0)); value != strconv.Itoa(n-1) || revision != fence {
		t.Errorf("the offset is %s at %d, wanted %d at %d", value, revision, n-1, fence)
	}
	if err := b.bucket(t).Purge(t.Context(), jetstream.WithPurgeSubject("retune.retrain.*.0")); err != nil {
		t.Fatal(err)
	}
	sub := b.subscribe(t, "retune.>")
	if err := commit(); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	for range 10 {
		if _, err := sub.NextMsg(5 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := sub.NextMsg(100 * time.Millisecond); err == nil {
		t.Errorf("doubled: %s", m.Subject)
	}
}

// TestAltered lets a client wipe the bucket's settings, as an application does
// that makes sure of "its" bucket at every start.
func TestAltered(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]bool{"outputs": true, "state": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.committer(t, 1, nil)
			fence := must(c.Commit(t.Context(), bus.Commit{Offset: []byte("1")}))
			if _, err := b.js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: b.set.Subjects.Bucket(), LimitMarkerTTL: time.Minute}); err != nil {
				t.Fatal(err)
			}
			writes := []bus.Write{b.bus.State(wire.ModelKey(0, "m"), []byte("x"), 0)}
			if output {
				writes = slices.Insert(writes, 0, b.bus.Output("retune.retrain.m.1", []byte("x"), nil, 0))
			}
			if _, err := c.Commit(t.Context(), bus.Commit{Fence: fence, Offset: []byte("2"), Writes: writes}); !errors.Is(err, bus.ErrAltered) {
				t.Errorf("commit: %v", err)
			}
			if err := b.bus.Provision(t.Context()); !errors.Is(err, bus.ErrAltered) {
				t.Errorf("provision: %v", err)
			}
		})
	}
}
