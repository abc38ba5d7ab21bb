//go:build unix

package main

import (
	"bufio"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

// hookBundle is a server with the consumer of the hook h, whose events come again after a second.
func hookBundle(t *testing.T) (url string, js jetstream.JetStream) {
	t.Helper()
	url = bustest.Server(t).ClientURL()
	bustest.Open(t, url, bustest.Settings())
	_, js = bustest.Client(t, url)
	_, err := js.CreateConsumer(t.Context(), "KV_retune", jetstream.ConsumerConfig{
		Durable: bus.HookConsumer("h"), FilterSubject: "retune.retrain.*.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := nats.NewMsg("commit.retune.retrain.m.01A")
	m.Data = []byte(`{"id": "01A", "trigger": "degraded"}`)
	m.Header = nats.Header{"Content-Type": {"application/json"}, "ce-id": {"01A"}, "ce-subject": {"m"}}
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return url, js
}

// startHook returns once its program runs.
func startHook(t *testing.T, url, script string) *exec.Cmd {
	t.Helper()
	hook := child(t, "hook", "--nats", url, "--name", "h", "--trigger", "degraded,improved,stale", "--", "sh", "-c", script)
	stdout, err := hook.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Process.Kill() })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if lines.Text() == "[m] up" {
			return hook
		}
	}
	t.Fatal("the program did not run")
	return nil
}

func awaitNoEvents(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	bustest.Eventually(t, 15*time.Second, "the event is settled", func() bool {
		consumer, err := js.Consumer(t.Context(), "KV_retune", bus.HookConsumer("h"))
		return err == nil && consumer.CachedInfo().NumPending == 0 && consumer.CachedInfo().NumAckPending == 0
	})
}

const endless = "echo $$ > pid; echo up; while :; do sleep 0.1; done"

func TestASignalEndsAHook(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{"and its program": endless, "and a program that does not listen": "trap '' TERM; " + endless} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, js := hookBundle(t)
			first := startHook(t, url, script)
			start := time.Now()
			if err := first.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := first.Wait(); err != nil || time.Since(start) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(start))
			}
			programGone(t, first.Dir)
			second := startHook(t, url, "echo up")
			awaitNoEvents(t, js)
			if err := second.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if err := second.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheEventOfAKilledHookGoesToAnother(t *testing.T) {
	t.Parallel()
	url, js := hookBundle(t)
	first := startHook(t, url, endless)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	startHook(t, url, "echo up")
	awaitNoEvents(t, js)
	if runtime.GOOS == "linux" { // elsewhere it outlives the hook
		programGone(t, first.Dir)
	}
}
