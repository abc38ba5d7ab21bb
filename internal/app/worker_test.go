package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

// testOptions run a worker on a free port with little room, silently.
func testOptions(t *testing.T) WorkerOptions {
	config, err := parseConfig([]byte("encoding: json\npartitions: 4\nlimits: {input_bytes: 64MiB, bucket_bytes: 64MiB}\nsinks: []"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return WorkerOptions{Globals: Globals{Log: zerolog.Nop()}, Config: config, Data: t.TempDir()}
}

// startWorker returns once reports may be published. stop is called at the end of
// the test too.
func startWorker(t *testing.T, o WorkerOptions) (at Addresses, stop func() error) {
	t.Helper()
	started := make(chan Addresses, 1)
	o.Started = func(at Addresses) { started <- at }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- RunWorker(ctx, o) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	select {
	case at = <-started:
		return at, stop
	case err := <-ended:
		cancel()
		ended <- err
		t.Fatal(err)
	}
	return at, stop
}

// answered publishes a report and waits for the config that answers it.
func answered(t *testing.T, url, model string) {
	t.Helper()
	nc, js := bustest.Client(t, url)
	answers, err := nc.SubscribeSync("retune.config." + model + ".live")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "retune.metrics."+model, []byte(`{"metrics":{"loss":1},"config":{"lr":0.5}}`)); err != nil {
		t.Fatal(err)
	}
	m, err := answers.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Strategy string             `json:"strategy"`
		Config   map[string]float64 `json:"config"`
	}
	if err := json.Unmarshal(m.Data, &config); err != nil || config.Strategy != "local" || config.Config["lr"] == 0 {
		t.Fatalf("%s: %v", m.Data, err)
	}
}

func TestReportInConfigOut(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.HTTP = "127.0.0.1:0"
	at, stop := startWorker(t, o)
	answered(t, at.NATS, "m")
	if status, body := get(t, at.HTTP+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d %s", status, body)
	}
	awaitReady(t, at.HTTP)
	var metrics string
	// An output is seen when it is committed, and counted when the worker hears so.
	bustest.Eventually(t, 5*time.Second, "the config is counted", func() bool {
		_, metrics = get(t, at.HTTP+"/metrics")
		return strings.Contains(metrics, `retune_outputs_total{kind="config"} 1`) && strings.Contains(metrics, "retune_inputs_applied_total 1")
	})
	for _, name := range []string{
		"retune_inputs_applied_total 1", `retune_outputs_total{kind="config"} 1`, "retune_workers 1", "retune_partitions_owned 4",
		"retune_commit_duration_seconds_count", "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(metrics, "\n"+name) {
			t.Errorf("no metric %s", name)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(at.HTTP); err == nil {
		t.Error("HTTP is served after the stop")
	}
}

func TestTwoWorkersShareAnEmbeddedServer(t *testing.T) {
	t.Parallel()
	first := testOptions(t)
	first.HTTP = "127.0.0.1:0"
	at, _ := startWorker(t, first)
	second := testOptions(t)
	second.HTTP, second.NATS = "127.0.0.1:0", bus.Connection{URL: at.NATS}
	joined, leave := startWorker(t, second)
	awaitMetric(t, joined.HTTP, "retune_partitions_owned 2")
	awaitMetric(t, at.HTTP, "retune_partitions_owned 2")
	for i := range 8 {
		answered(t, at.NATS, "m"+strconv.Itoa(i))
	}
	if err := leave(); err != nil {
		t.Error(err)
	}
	awaitMetric(t, at.HTTP, "retune_partitions_owned 4")
	if entries, err := os.ReadDir(second.Data); err != nil || len(entries) > 0 {
		t.Errorf("the worker that joined has data of its own: %v %v", entries, err)
	}
}

func TestStartsAgainWhereItStopped(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	for i := range 2 {
		at, stop := startWorker(t, o)
		nc, js := bustest.Client(t, at.NATS)
		answered(t, at.NATS, "m")
		kv, err := js.KeyValue(t.Context(), "retune")
		if err != nil {
			t.Fatal(err)
		}
		if e, err := kv.Get(t.Context(), modelKey(t, kv)); err != nil || !bytes.Contains(e.Value(), []byte("seq")) {
			t.Errorf("run %d: %v", i, err)
		}
		nc.Close()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func modelKey(t *testing.T, kv jetstream.KeyValue) string {
	t.Helper()
	keys, err := kv.ListKeysFiltered(t.Context(), "model.*.m")
	if err != nil {
		t.Fatal(err)
	}
	return <-keys.Keys()
}

func TestARetrainEventReachesTheLog(t *testing.T) {
	t.Parallel()
	for _, encoding := range []wire.Encoding{wire.Msgpack, wire.JSON} {
		t.Run(encoding.ContentType(), func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			logged := make(lines, 1)
			o.Log = zerolog.New(logged)
			o.Config.Encoding = Encodings{"retrain": encoding}
			o.Config.Sinks = []Sink{{Type: "log"}}
			at, _ := startWorker(t, o)
			_, js := bustest.Client(t, at.NATS)
			if _, err := js.Publish(t.Context(), "retune.metrics.m", []byte(`{"metrics":{"loss":NaN},"run_id":"r"}`)); err != nil {
				t.Fatal(err)
			}
			select {
			case line := <-logged:
				var entry struct {
					Model string `json:"model"`
					Event struct {
						Reason string `json:"reason"`
						Value  string `json:"value"`
						RunID  string `json:"run_id"`
					} `json:"event"`
				}
				if err := json.Unmarshal(line, &entry); err != nil {
					t.Fatal(err)
				}
				if entry.Model != "m" || entry.Event.Reason != "Loss is not finite (NaN)" || entry.Event.Value != "NaN" || entry.Event.RunID != "r" {
					t.Errorf("%s", line)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("nothing was logged")
			}
			if _, err := js.Consumer(t.Context(), "KV_retune", "retune-sink-log"); err != nil {
				t.Error(err)
			}
		})
	}
}

// lines passes on the lines of a log that tell of a retrain event.
type lines chan []byte

func (l lines) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(`"retrain event"`)) {
		l <- bytes.Clone(line)
	}
	return len(line), nil
}

func TestASinkGoesOnWithoutItsConsumer(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	logged := make(lines, 8)
	o.Log = zerolog.New(logged)
	o.Config.Sinks = []Sink{{Type: "log"}}
	at, _ := startWorker(t, o)
	_, js := bustest.Client(t, at.NATS)
	for i := range 2 {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("retune.metrics.m%d", i), []byte(`{"metrics":{"loss":NaN}}`)); err != nil {
			t.Fatal(err)
		}
		wanted := fmt.Appendf(nil, `"model":"m%d"`, i)
		for line := <-logged; !bytes.Contains(line, wanted); line = <-logged {
		}
		if i == 0 {
			if err := js.DeleteConsumer(t.Context(), "KV_retune", "retune-sink-log"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhatIsTakenIsRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	port := listener.Addr().(*net.TCPAddr).Port
	onPort := testOptions(t)
	onPort.Port = port
	inFolder := testOptions(t)
	startWorker(t, inFolder)
	cluster := testOptions(t)
	cluster.Config.Replicas = 3
	asFile := testOptions(t)
	asFile.Data = filepath.Join(asFile.Data, "file")
	if err := os.WriteFile(asFile.Data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := testOptions(t)
	wrong.Config.HTTP = "nowhere"
	prefix := testOptions(t)
	prefix.Prefix = "a b"
	misused := new(Misuse)
	for _, c := range []struct {
		name    string
		options WorkerOptions
		want    string
		misuse  bool
	}{
		{"port", onPort, fmt.Sprintf("--nats nats://127.0.0.1:%d", port), false},
		{"folder", inFolder, "--nats", false},
		{"replicas", cluster, "replicas: 3 need a cluster", true},
		{"folder is a file", asFile, "--data", false},
		{"config", wrong, "http: ", true},
		{"prefix", prefix, "prefix: ", true},
	} {
		err := RunWorker(t.Context(), c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &misused) != c.misuse {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNATSThatIsNotThere(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.NATS.URL = "nats://127.0.0.1:1"
	if err := RunWorker(t.Context(), o); !errors.Is(err, nats.ErrNoServers) || !strings.Contains(err.Error(), "--nats") {
		t.Error(err)
	}
}

func TestAStopWhileStartingIsNoError(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t, func(o *server.Options) { o.JetStream = false })
	o := testOptions(t)
	o.NATS.URL = srv.ClientURL()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("a cause of the caller"))
	defer cancel()
	start := time.Now()
	if err := RunWorker(ctx, o); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestADiskThatIsFullIsRefused(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.free = func(string) (uint64, error) { return 255 << 20, nil }
	if err := RunWorker(t.Context(), o); err == nil || !strings.Contains(err.Error(), "255 MiB are free") {
		t.Error(err)
	}
}

func TestADiskThatFillsUpStopsTheWorker(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	var free atomic.Uint64
	free.Store(1 << 30)
	o.free = func(folder string) (uint64, error) {
		if folder != o.Data {
			t.Errorf("asked of %s", folder)
		}
		return free.Load(), nil
	}
	started := make(chan Addresses, 1)
	o.Started = func(at Addresses) { started <- at }
	ended := make(chan error, 1)
	go func() { ended <- RunWorker(context.Background(), o) }()
	<-started
	free.Store(127 << 20)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "127 MiB are free") {
		t.Error(err)
	}
	again := testOptions(t)
	again.Data = o.Data
	startWorker(t, again) // the stop was a clean one
}

func TestConnectJoinsWhatRuns(t *testing.T) {
	t.Parallel()
	at, _ := startWorker(t, testOptions(t))
	b, err := Connect(Globals{NATS: bus.Connection{URL: at.NATS}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if end, err := b.StoredBy(t.Context(), time.Now().Add(time.Hour)); err != nil || end != 0 {
		t.Errorf("%d %v", end, err)
	}
}

func TestFreeBytes(t *testing.T) {
	t.Parallel()
	if n, err := freeBytes(t.TempDir()); err != nil || n == 0 {
		t.Errorf("%d %v", n, err)
	}
}
