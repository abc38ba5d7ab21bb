package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/visutility/retune/internal/wire"
)

// natsTool is the nats CLI, which makes backups: the one installed, or built from here.
func natsTool(t *testing.T) string {
	t.Helper()
	if installed, err := exec.LookPath("nats"); err == nil {
		return installed
	}
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "install", "github.com/nats-io/natscli/nats@v0.5.1")
	build.Env = append(os.Environ(), "GOBIN="+folder)
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("the nats CLI is neither installed nor can it be built: %v\n%s", err, out)
	}
	return filepath.Join(folder, "nats")
}

// site is one NATS with one worker.
type site struct {
	t      *testing.T
	tool   string
	url    string
	config string
	server *process
	worker *process
	*workload
}

func newSite(t *testing.T, name, tool string) *site {
	t.Helper()
	port := freePort(t)
	s := &site{t: t, tool: tool, url: fmt.Sprintf("nats://127.0.0.1:%d", port), config: configFile(t, 1), server: natsServer(t, name, port, 0, "")}
	s.server.start()
	s.worker = newWorker(t, "worker at "+name, s.url, s.config)
	s.workload = newWorkload(t, s.url, 1)
	return s
}

func (s *site) nats(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, s.tool, append([]string{"--server", s.url}, args...)...).CombinedOutput(); err != nil {
		s.t.Fatalf("nats %q: %v\n%s", args, err, out)
	}
}

func (s *site) backup(stream string) (folder string) {
	s.t.Helper()
	folder = filepath.Join(s.t.TempDir(), stream)
	s.nats("stream", "backup", "--no-progress", stream, folder)
	return folder
}

func (s *site) restore(folder string) {
	s.t.Helper()
	s.nats("stream", "restore", "--no-progress", folder)
}

// work runs the workload for so long; what is in between happens in its midst.
func (s *site) work(half time.Duration, between func()) {
	s.t.Helper()
	s.worker.start()
	waitForStreams(s.t, s.js)
	s.run(6, 4, 2, 60*time.Millisecond)
	time.Sleep(half) // so much of the trainers' time
	between()
	time.Sleep(half)
	s.finish()
}

// refused starts the worker, which ends and names the remedy.
func (s *site) refused() {
	s.t.Helper()
	s.worker.start()
	select {
	case err := <-s.worker.ended:
		log, _ := os.ReadFile(s.worker.log)
		if err == nil || !strings.Contains(string(log), "--adopt-inputs") {
			s.t.Errorf("ended with %v, wanted a refusal that names the remedy:\n%s", err, log)
		}
	case <-time.After(20 * time.Second):
		s.t.Error("the worker takes an input stream for the one that it has read")
	}
}

// adopt runs the worker once with --adopt-inputs, and then as ever.
func (s *site) adopt() {
	s.t.Helper()
	restored := map[string]bool{}
	for _, m := range stored(s.t, s.js, "KV_retune", offsets) {
		restored[m.Subject] = true
	}
	build := s.worker.build
	s.worker.build = func() *exec.Cmd {
		cmd := build()
		cmd.Args = append(cmd.Args, "--adopt-inputs")
		return cmd
	}
	s.worker.start()
	s.settle(restored)
	s.worker.terminate()
	s.worker.build = build
	s.worker.start()
}

const offsets = "$KV.retune.offset.*"

// settle waits until the worker has adopted each partition that was restored, and
// applied its inputs. One that had not been written yet begins at the beginning.
func (s *site) settle(restored map[string]bool) {
	s.t.Helper()
	waitForStreams(s.t, s.js)
	for deadline := time.Now().Add(30 * time.Second); !s.adopted(restored); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("not adopted within 30 s")
		}
	}
	waitApplied(s.t, s.js, partitions)
}

func (s *site) adopted(restored map[string]bool) bool {
	return !slices.ContainsFunc(stored(s.t, s.js, "KV_retune", offsets), func(m *nats.Msg) bool {
		var o struct {
			Epoch int `msgpack:"epoch"`
		}
		return restored[m.Subject] && (wire.UnmarshalState(m.Data, &o) != nil || o.Epoch == 0)
	})
}

// goesOn has a trainer and a study after it all.
func (s *site) goesOn(live map[string]int) {
	s.t.Helper()
	const model = "live-0"
	s.publish("retune.metrics."+model, "after", `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	start := fmt.Sprintf(`{"op":"start","study":{"name":"after","objective":{"metric":"loss","goal":"minimize"},"strategy":"random","space":{"x":{"type":"float","low":0,"high":1},"y":{"type":"float","low":0,"high":1}},"max_trials":%d,"parallelism":3,"retries":1}}`, trialsPerStudy)
	s.publish("retune.study.after", "after-start", start)
	s.answer("after", "after")
	got := collect(s.t, s.js, partitions)
	want := 0 // of a model that had none before the backup
	if last, any := live[model]; any {
		want = last + 1
	}
	// A backup may hold the config of a commit that was under way, but not yet the state. Inputs that were not lost lead to
	// that config again; where they were, its number is given once more.
	if n := got.live[model]; n != want && n != want-1 {
		s.t.Errorf("%s: the next live config bears number %d, not %d", model, n, want)
	}
}

// TestRestoredBucket loses the bucket and has a backup of it that was made while the
// worker wrote: the inputs since are applied again, to the same outputs.
func TestRestoredBucket(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newSite(t, "home", natsTool(t))
	var backup string
	s.work(3*time.Second, func() { backup = s.backup("KV_retune") })
	before := collect(t, s.js, partitions)
	s.worker.terminate()
	s.nats("stream", "rm", "-f", "KV_retune")
	s.restore(backup)
	s.worker.start()
	after := collect(t, s.js, partitions)
	same(t, "outputs", after.outputs, before.outputs)
	if !maps.Equal(before.ids, after.ids) {
		t.Error("outputs bear other ids than before")
	}
	sameReports(t, after, before)
	s.goesOn(after.live)
	s.worker.terminate()
}

// TestRestoredElsewhere loses everything, and restores on an empty server what was
// backed up while the worker wrote.
func TestRestoredElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	tool := natsTool(t)
	for name, order := range map[string][]string{
		"bucket, then inputs": {"KV_retune", "RETUNE_METRICS"},
		"inputs, then bucket": {"RETUNE_METRICS", "KV_retune"},
		"bucket alone":        {"KV_retune"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := newSite(t, "home", tool)
			var folders []string
			home.work(3*time.Second, func() {
				for _, stream := range order {
					folders = append(folders, home.backup(stream))
					time.Sleep(500 * time.Millisecond) // trainers go on between the two
				}
			})
			home.worker.kill() // with the last moments unwritten
			home.server.kill()
			away := newSite(t, "away", tool)
			for _, folder := range folders {
				away.restore(folder)
			}
			away.refused()
			away.adopt()
			after := collect(t, away.js, partitions)
			switch name {
			case "bucket, then inputs":
				want := undisturbed(t, away.js)
				same(t, "outputs", withoutDead(after.outputs), withoutDead(want.outputs))
				sameReports(t, after, want)
			case "inputs, then bucket": // the state knows more than the inputs
				for model, n := range undisturbed(t, away.js).reports {
					if after.reports[model] < n {
						t.Errorf("%s: %d reports are stored, its state has seen %d", model, n, after.reports[model])
					}
				}
			}
			away.goesOn(after.live)
			away.worker.terminate()
		})
	}
}

func sameReports(t *testing.T, got, want said) {
	t.Helper()
	if !maps.Equal(got.reports, want.reports) {
		t.Errorf("reports counted %v, wanted %v", got.reports, want.reports)
	}
}

// withoutDead leaves dead letters out: those of the last moments may come again.
func withoutDead(outputs map[string][]string) map[string][]string {
	rest := maps.Clone(outputs)
	maps.DeleteFunc(rest, func(what string, _ []string) bool { return strings.HasPrefix(what, "dead ") })
	return rest
}
