package bus_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/micro"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

// answers asks and returns all answers that come within half a second of each other.
func (b *testBundle) answers(t *testing.T, subject string) (all [][]byte) {
	t.Helper()
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.nc.PublishRequest(subject, inbox, nil); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := sub.NextMsg(500 * time.Millisecond)
		if err != nil {
			return all
		}
		if len(m.Data) > 0 { // not "no responders"
			all = append(all, m.Data)
		}
	}
}

func decoded[T any](t *testing.T, body []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

// TestService asks two workers as the nats CLI does.
func TestService(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stops := map[string]func(){}
	for _, id := range []string{"one", "two"} {
		joined := bustest.Open(t, b.url, b.set)
		self := bus.Worker{ID: id, Host: "h", PID: 7, Version: "v1.2.3-4-g0a1b2c3", ConfigHash: "abc", Lag: map[int]uint64{2: 5}}
		stop, err := joined.Serve(self, func() bus.Status {
			return bus.Status{Worker: self, Total: 4, Wanted: 2, Owned: 1, Behind: 5, Reason: "partition 3 is not open yet"}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		stops[id] = stop
	}
	bustest.Eventually(t, 5*time.Second, "two answers", func() bool { return len(b.answers(t, "$SRV.PING.retune")) == 2 })
	for _, body := range b.answers(t, "$SRV.INFO.retune") {
		info := decoded[micro.Info](t, body)
		if info.Name != "retune" || info.Version != "1.2.3-4-g0a1b2c3" || info.Metadata["config_hash"] != "abc" || info.Metadata["prefix"] != "retune" ||
			len(info.Endpoints) != 1 || info.Endpoints[0].Subject != "retune.worker.status" || info.Endpoints[0].QueueGroup != "" {
			t.Errorf("%+v", info)
		}
	}
	seen := map[string]bool{}
	for _, body := range b.answers(t, "retune.worker.status") {
		s := decoded[bus.Status](t, body)
		if s.Total != 4 || s.Wanted != 2 || s.Owned != 1 || s.Behind != 5 || s.Lag[2] != 5 || s.ConfigHash != "abc" || s.Ready || s.Reason == "" {
			t.Errorf("%s", body)
		}
		seen[s.ID] = true
	}
	if !seen["one"] || !seen["two"] {
		t.Errorf("answers of %v", seen)
	}
	for _, body := range b.answers(t, "$SRV.STATS.retune") {
		if s := decoded[micro.Stats](t, body); len(s.Endpoints) != 1 || s.Endpoints[0].NumRequests != 1 {
			t.Errorf("%s", body)
		}
	}
	stops["one"]()
	bustest.Eventually(t, 5*time.Second, "one answer", func() bool { return len(b.answers(t, "$SRV.PING")) == 1 })
}

// TestServiceVersion: services must state a semantic version, builds may have none.
func TestServiceVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for release, want := range map[string]string{
		"v1.2.3": "1.2.3", "e8aa70b-dirty": "0.0.0", "": "0.0.0", "(devel)": "0.0.0", "v01.2.3": "0.0.0",
		"v0.0.0-20261122210110-e8aa70b1c2d3+dirty": "0.0.0-20261122210110-e8aa70b1c2d3+dirty", "v1.2.3-01": "0.0.0",
	} {
		stop, err := b.bus.Serve(bus.Worker{ID: "w", Version: release}, func() bus.Status { return bus.Status{} })
		if err != nil {
			t.Errorf("%q: %v", release, err)
			continue
		}
		seen := 0
		for _, body := range b.answers(t, "$SRV.PING.retune") {
			ping := decoded[micro.Ping](t, body)
			if ping.Metadata["release"] != release {
				continue // the one before is about to go
			}
			if seen++; ping.Version != want {
				t.Errorf("%q is %q, want %q", release, ping.Version, want)
			}
		}
		if stop(); seen != 1 {
			t.Errorf("%q: %d answers", release, seen)
		}
	}
}

// TestServiceWithoutPermission: a worker that may not be asked works all the same.
func TestServiceWithoutPermission(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "worker", Password: "p", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
			{Username: "asker", Password: "p"},
		}
	})
	as := func(user string) string { return strings.Replace(s.ClientURL(), "nats://", "nats://"+user+":p@", 1) }
	worker := bustest.Open(t, as("worker"), bustest.Settings())
	stop, err := worker.Serve(bus.Worker{ID: "w"}, func() bus.Status { return bus.Status{} })
	if err != nil {
		t.Fatal(err)
	}
	b := &testBundle{url: as("asker"), set: bustest.Settings()}
	b.nc, b.js = bustest.Client(t, b.url)
	if n := len(b.answers(t, "retune.worker.status")); n > 0 {
		t.Errorf("%d answers", n)
	}
	if _, _, err := worker.BucketSize(t.Context()); err != nil || !worker.Connected() {
		t.Errorf("afterwards: %v", err)
	}
	stop()
}
