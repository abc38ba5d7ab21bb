package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// data finds a recorded data set beside the checkout, or in RETUNE_DATA.
func data(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RETUNE_DATA")
	if dir == "" {
		_, here, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(here), "..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no data set %s: set RETUNE_DATA to its folder", name)
	}
	return path
}

// oneWorker runs a server and a worker and returns the server's URL.
func oneWorker(t *testing.T) (string, *workload) {
	t.Helper()
	port := freePort(t)
	srv := natsServer(t, "nats", port, 0, "")
	srv.start()
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	worker := newWorker(t, "worker", url, configFile(t, 1))
	worker.start()
	t.Cleanup(worker.terminate)
	w := newWorkload(t, url, 1)
	waitForStreams(t, w.js)
	return url, w
}

func command(t *testing.T, url string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(workerBinary(t), append(args, "--nats", url)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("worker %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// TestElectricityDrift publishes the daily reports of a model on the Electricity
// data, which drift, and expects retrain events and a config for each report.
func TestElectricityDrift(t *testing.T) {
	path := data(t, "elec2_logreg_daily.jsonl")
	url, w := oneWorker(t)
	t.Log(strings.TrimSpace(command(t, url, "publish", path)))
	said := collect(t, w.js, partitions)
	if got := said.reports["elec2-logreg"]; got != 824 {
		t.Errorf("%d reports applied, the file has 824", got)
	}
	if got := said.live["elec2-logreg"]; got != 823 {
		t.Errorf("the newest live config bears number %d", got)
	}
	events := 0
	for _, o := range said.outputs["elec2-logreg"] {
		if strings.HasPrefix(o, "retrain ") {
			events++
		}
	}
	t.Logf("%d retrain events in 824 days", events)
	if events == 0 {
		t.Error("no retrain event on data that drift")
	}
}

// TestStudyOverATable runs a study whose configs a small program answers from the
// table of a benchmark, with as many trials as one would have.
func TestStudyOverATable(t *testing.T) {
	table := readTable(t, data(t, "hpobench_australian.csv.gz"))
	url, w := oneWorker(t)
	study := map[string]any{
		"name": "table", "model": "mlp", "objective": map[string]any{"metric": "accuracy", "goal": "maximize"},
		"space": table.space(), "max_trials": 60, "parallelism": 4, "seed": 1, "strategy": "random",
	}
	body, err := json.Marshal(study)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "table.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log(strings.TrimSpace(command(t, url, "study", "start", "-f", file)))
	answered := 0
	for deadline := time.Now().Add(60 * time.Second); answered < 60 && time.Now().Before(deadline); {
		consumer, err := w.js.Consumer(t.Context(), "KV_retune", "retune-agents-mlp")
		if err != nil {
			t.Fatal(err)
		}
		batch, err := consumer.Fetch(8, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			var s struct {
				Trial  int            `json:"trial"`
				Config map[string]any `json:"config"`
			}
			if err := json.Unmarshal(m.Data(), &s); err != nil {
				t.Fatal(err)
			}
			w.publish("retune.metrics.mlp", fmt.Sprint("trial-", s.Trial), fmt.Sprintf(`{"study":"table","trial":%d,"metrics":{"accuracy":%g}}`, s.Trial, table.value(t, s.Config)))
			_ = m.Ack()
			answered++
		}
	}
	said := collect(t, w.js, partitions)
	all := said.outputs["mlp"]
	summary := all[len(all)-2] // the `improved` event is last
	if !strings.HasPrefix(summary, "summary table ") || !strings.Contains(summary, `"reason":"max_trials"`) || !strings.Contains(summary, `"complete":60`) {
		t.Fatalf("%.300s", summary)
	}
	t.Logf("%.160s", strings.TrimPrefix(all[len(all)-1], "retrain "))
	t.Log(strings.TrimSpace(command(t, url, "study", "list")))
}

// table is a benchmark: every config of a space with its value.
type table struct {
	names  []string
	levels map[string][]string
	values map[string]float64
}

func readTable(t *testing.T, path string) table {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	tab := table{names: rows[0][:len(rows[0])-1], levels: map[string][]string{}, values: map[string]float64{}}
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		key := ""
		for i, name := range tab.names {
			x, err := strconv.ParseFloat(row[i], 64)
			if err != nil {
				t.Fatal(err)
			}
			key += fmt.Sprintf("%s=%g ", name, x)
			if level := name + row[i]; !seen[level] {
				seen[level] = true
				tab.levels[name] = append(tab.levels[name], row[i])
			}
		}
		tab.values[key], err = strconv.ParseFloat(row[len(row)-1], 64)
		if err != nil {
			t.Fatal(err)
		}
	}
	return tab
}

func (tab table) space() map[string]any {
	space := map[string]any{}
	for name, levels := range tab.levels {
		var values []any
		for _, l := range levels {
			values = append(values, json.Number(l))
		}
		space[name] = map[string]any{"values": values}
	}
	return space
}

func (tab table) value(t *testing.T, config map[string]any) float64 {
	t.Helper()
	key := ""
	for _, name := range tab.names {
		key += fmt.Sprintf("%s=%g ", name, config[name])
	}
	v, ok := tab.values[key]
	if !ok {
		t.Fatalf("the table has no %s", key)
	}
	return v
}
