package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// heartbeats publishes a report for each of many models again and again and notes
// when each was last asked and answered.
type heartbeats struct {
	mu       sync.Mutex
	sent     map[string]map[string]time.Time // by model and run id
	answered map[string]time.Time            // when the newest answered report was sent
}

const beating = 128

func beat(t *testing.T, w *workload) *heartbeats {
	t.Helper()
	h := &heartbeats{sent: map[string]map[string]time.Time{}, answered: map[string]time.Time{}}
	_, err := w.nc.Subscribe("retune.config.*.live", func(m *nats.Msg) {
		var c struct {
			Model string `json:"model_id"`
			Run   string `json:"run_id"`
		}
		if json.Unmarshal(m.Data, &c) != nil {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.answered[c.Model] = h.sent[c.Model][c.Run]
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		for n := 0; !w.stopped(); n++ {
			for i := range beating {
				model, run := fmt.Sprintf("beat-%d", i), fmt.Sprint(n)
				h.mu.Lock()
				if h.sent[model] == nil {
					h.sent[model] = map[string]time.Time{}
				}
				h.sent[model][run] = time.Now()
				h.mu.Unlock()
				_, _ = w.js.PublishAsync("retune.metrics."+model, fmt.Appendf(nil, `{"metrics":{"loss":1},"config":{"lr":0.1},"run_id":%q}`, run))
			}
			time.Sleep(100 * time.Millisecond) // ten beats a second
		}
	}()
	return h
}

// allSince waits until every model had a report answered that was sent after t, and
// returns how long after t that was.
func (h *heartbeats) allSince(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		n := 0
		for _, at := range h.answered {
			if at.After(since) {
				n++
			}
		}
		h.mu.Unlock()
		if n == beating {
			return time.Since(since)
		}
	}
	t.Fatal("not all models are answered again within 30 s")
	return 0
}

// TestTakeOver kills and stops one of three workers, with the lease and partitions
// that are standard, and tells how long its models were without an answer.
func TestTakeOver(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	port := freePort(t)
	srv := natsServer(t, "nats", port, 0, "")
	srv.start()
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	config := filepath.Join(t.TempDir(), "worker.yaml")
	if err := os.WriteFile(config, []byte("encoding: json\nlimits: {input_bytes: 256MiB, bucket_bytes: 256MiB}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var workers []*process
	for i := range 3 {
		workers = append(workers, newWorker(t, fmt.Sprintf("worker-%d", i), url, config))
		workers[i].start()
	}
	w := newWorkload(t, url, 1)
	waitForStreams(t, w.js)
	h := beat(t, w)
	h.allSince(t, time.Now())
	waitShares(t, w, 3)

	killed := time.Now()
	workers[0].kill()
	took := h.allSince(t, killed)
	t.Logf("SIGKILL: all models answered again after %v (lease 5 s)", took.Round(10*time.Millisecond))
	if took > 5*time.Second+5*time.Second {
		t.Errorf("take-over took %v", took)
	}
	waitShares(t, w, 2)
	workers[0].start()
	waitShares(t, w, 3)

	h.allSince(t, time.Now())
	stopped := time.Now()
	workers[1].signal(syscall.SIGTERM)
	took = h.allSince(t, stopped)
	t.Logf("SIGTERM: all models answered again after %v", took.Round(10*time.Millisecond))
	if err := <-workers[1].ended; err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if took > 5*time.Second {
		t.Errorf("hand-over took %v", took)
	}
	w.finish()
	workers[0].terminate()
	workers[2].terminate()
}

// waitShares waits until n workers serve their shares of the 32 partitions.
func waitShares(t *testing.T, w *workload, n int) {
	t.Helper()
	var shares []int
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		shares = shares[:0]
		total := 0
		kv, err := w.js.KeyValue(t.Context(), "retune_workers")
		if err != nil {
			continue
		}
		keys, _ := kv.Keys(t.Context())
		for _, k := range keys {
			var worker struct {
				Lag map[string]int `json:"lag"`
			}
			if e, err := kv.Get(t.Context(), k); err == nil && json.Unmarshal(e.Value(), &worker) == nil {
				shares = append(shares, len(worker.Lag))
				total += len(worker.Lag)
			}
		}
		fair := len(shares) == n && total == 32
		for _, s := range shares {
			fair = fair && (s == 32/n || s == (32+n-1)/n)
		}
		if fair {
			t.Logf("%d workers serve %s of 32 partitions", n, strings.Trim(fmt.Sprint(shares), "[]"))
			return
		}
	}
	t.Fatalf("%d workers should share 32 partitions, they serve %v", n, shares)
}
