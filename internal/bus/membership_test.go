package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

func workerIDs() *rapid.Generator[[]string] {
	return rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z0-9]{4,22}`), 1, 24, rapid.ID[string])
}

func TestOwnersAreEven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids, partitions := workerIDs().Draw(t, "ids"), rapid.IntRange(1, 256).Draw(t, "partitions")
		owners := bus.Owners(partitions, ids)
		shuffled := rapid.Permutation(ids).Draw(t, "shuffled")
		if again := bus.Owners(partitions, append(shuffled, shuffled[0])); !slices.Equal(owners, again) {
			t.Fatalf("another order, another answer: %v %v", owners, again)
		}
		load := map[string]int{}
		for _, o := range owners {
			load[o]++
		}
		if load[""] > 0 {
			t.Fatalf("%d partitions without an owner", load[""])
		}
		for _, id := range ids {
			if n := load[id]; n < partitions/len(ids) || n > (partitions+len(ids)-1)/len(ids) {
				t.Fatalf("%s has %d of %d among %d", id, n, partitions, len(ids))
			}
		}
	})
}

// TestOwnersMoveLittle counts how many of 32 partitions change hands, beside those
// that must: on a join those of the new worker, on a leave those of the old.
func TestOwnersMoveLittle(t *testing.T) {
	t.Parallel()
	const partitions, rounds = 32, 200
	for n := 1; n <= 10; n++ {
		joins, leaves, worst := 0, 0, 0
		for round := range rounds {
			var ids []string
			for i := range n {
				ids = append(ids, fmt.Sprintf("worker-%d-%d", round, i))
			}
			before := bus.Owners(partitions, ids)
			join := moved(before, bus.Owners(partitions, append(slices.Clone(ids), fmt.Sprintf("new-%d", round))))
			joins, worst = joins+join, max(worst, join)
			if n > 1 {
				leave := moved(before, bus.Owners(partitions, ids[1:]))
				leaves, worst = leaves+leave, max(worst, leave)
			}
		}
		must := (partitions + n) / (n + 1)
		t.Logf("%2d workers: a join moves %.1f of 32, a leave %.1f; %d at the least, %d at the worst", n, float64(joins)/rounds, float64(leaves)/rounds, must, worst)
		if average := float64(joins) / rounds; average > float64(2*must+4) || worst > 26 {
			t.Errorf("%d workers: a join moves %.1f on average and %d at the worst", n, average, worst)
		}
	}
}

func moved(a, b []string) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// member is a worker that only announces itself.
type member struct {
	id    string
	leave func() error
	pause sync.Mutex // held: the worker is stopped, as by SIGSTOP

	mu   sync.Mutex
	seen string
}

func (m *member) sees() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

func member1(t *testing.T, b *bus.Bus, id string) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{id: id}
	done := make(chan error, 1)
	go func() {
		done <- b.Join(ctx, func() bus.Worker {
			m.pause.Lock()
			defer m.pause.Unlock()
			return bus.Worker{ID: id}
		}, func(workers []bus.Worker) {
			var ids []string
			for _, w := range workers {
				ids = append(ids, w.ID)
			}
			m.mu.Lock()
			m.seen = strings.Join(ids, " ")
			m.mu.Unlock()
		})
	}()
	m.leave = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = m.leave() })
	return m
}

func everybodySees(t *testing.T, within time.Duration, want string, members ...*member) {
	t.Helper()
	for _, m := range members {
		bustest.Eventually(t, within, m.id+" sees "+want, func() bool { return m.sees() == want })
	}
}

func TestMembership(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open := func() *bus.Bus { return bustest.Open(t, b.url, b.set) }
	one := member1(t, open(), "one")
	everybodySees(t, 5*time.Second, "one", one)
	two := member1(t, open(), "two")
	crashing := open()
	three := member1(t, crashing, "three")
	everybodySees(t, 5*time.Second, "one three two", one, two, three)
	if workers, err := b.bus.Workers(t.Context()); err != nil || len(workers) != 3 {
		t.Errorf("%v %v", workers, err)
	}
	start := time.Now()
	if err := two.leave(); err != nil {
		t.Error(err)
	}
	everybodySees(t, 5*time.Second, "one three", one, three)
	if took := time.Since(start); took > b.set.Lease*3/4 {
		t.Errorf("a graceful leave was noticed after %s only", took)
	}
	crashing.Close()
	everybodySees(t, 2*b.set.Lease+time.Second, "one", one)
}

// TestMembershipPause stops one worker for longer than the lease: the others take
// over, and when it goes on it neither believes that they are gone nor stays out.
func TestMembershipPause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := member1(t, bustest.Open(t, b.url, b.set), "one"), member1(t, bustest.Open(t, b.url, b.set), "two")
	everybodySees(t, 5*time.Second, "one two", one, two)
	two.pause.Lock()
	everybodySees(t, 2*b.set.Lease+time.Second, "one", one)
	changed := make(chan string, 100)
	go func() {
		for last := ""; ; time.Sleep(time.Millisecond) {
			if s := two.sees(); s != last {
				last = s
				select {
				case changed <- s:
				default:
					return
				}
			}
			if t.Context().Err() != nil {
				close(changed)
				return
			}
		}
	}()
	two.pause.Unlock()
	everybodySees(t, 3*time.Second, "one two", one, two)
	time.Sleep(b.set.Lease * 3 / 2)
	for len(changed) > 0 {
		if s := <-changed; s != "one two" && s != "" {
			t.Errorf("after the pause it saw %q", s)
		}
	}
}

// TestMembershipSurvivesItsBucket loses the bucket, which lives in memory, by a
// restart of the only server or by an operator's hand. Before, many renewals were
// made: the sequences of the new bucket are far behind those of the old.
func TestMembershipSurvivesItsBucket(t *testing.T) {
	t.Parallel()
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		dir, port := t.TempDir(), freePort(t)
		start := func() *server.Server {
			return bustest.Server(t, func(o *server.Options) { o.StoreDir, o.Port = dir, port })
		}
		srv := start()
		loseWorkers(t, join(t, srv.ClientURL()), func(*testBundle) {
			srv.Shutdown()
			srv.WaitForShutdown()
			start()
		})
	})
	t.Run("recreated", func(t *testing.T) {
		t.Parallel()
		loseWorkers(t, setup(t), func(b *testBundle) {
			if err := b.js.DeleteKeyValue(t.Context(), b.set.Subjects.WorkersBucket()); err != nil {
				t.Fatal(err)
			}
			if err := b.bus.Provision(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func loseWorkers(t *testing.T, b *testBundle, lose func(*testBundle)) {
	one, two := member1(t, bustest.Open(t, b.url, b.set), "one"), member1(t, bustest.Open(t, b.url, b.set), "two")
	everybodySees(t, 5*time.Second, "one two", one, two)
	kv := must(b.js.KeyValue(t.Context(), b.set.Subjects.WorkersBucket()))
	for range 1000 {
		must(kv.Put(t.Context(), "filler", []byte("{}")))
	}
	lose(b)
	bustest.Eventually(t, 20*time.Second, "the bucket is made anew", func() bool {
		_, err := b.js.KeyValue(t.Context(), b.set.Subjects.WorkersBucket())
		return err == nil
	})
	three := member1(t, bustest.Open(t, b.url, b.set), "three")
	everybodySees(t, 20*time.Second, "one three two", one, two, three)
	// And so it stays: nobody drops those whose renewals it does not hear.
	time.Sleep(b.set.Lease * 3 / 2)
	everybodySees(t, time.Second, "one three two", one, two, three)
	if err := three.leave(); err != nil {
		t.Error(err)
	}
	everybodySees(t, 5*time.Second, "one two", one, two)
	if s := must(b.js.Stream(t.Context(), "KV_"+b.set.Subjects.WorkersBucket())).CachedInfo().Config; s.MaxAge != b.set.Lease || s.Storage != jetstream.MemoryStorage {
		t.Errorf("the new bucket: %+v", s)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	e, err := bus.StartEmbedded(t.TempDir(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var port int
	if _, err := fmt.Sscanf(e.URL(), "nats://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	return port
}
