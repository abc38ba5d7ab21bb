package app

import (
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/visutility/retune/internal/bus/bustest"
)

const top = "../.."

// compose is what of docker-compose.yml matters here.
type compose struct {
	Services map[string]struct {
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
	} `yaml:"services"`
}

func readCompose(t *testing.T) (c compose) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// servers runs the NATS servers of docker-compose.yml, from deploy/nats.conf, until
// the test ends, and returns the address of each by its name.
func (c compose) servers(t *testing.T) map[string]string {
	t.Helper()
	routes, options := map[string]string{}, map[string]*server.Options{}
	for name, s := range c.Services {
		if i := slices.Index(s.Command, "/etc/nats/nats.conf"); i >= 0 {
			s.Command[i] = filepath.Join(top, "deploy/nats.conf")
			o, err := server.ConfigureOptions(flag.NewFlagSet(name, flag.ContinueOnError), s.Command, nil, nil, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			options[name], routes[name+":6222"] = o, freeAddress(t)
		}
	}
	at := map[string]string{}
	for name, o := range options {
		onThisMachine(t, o, routes[name+":6222"], routes)
		s := bustest.Server(t, func(to *server.Options) { *to = *o })
		at[name+":4222"] = strings.TrimPrefix(s.ClientURL(), "nats://")
	}
	return at
}

// onThisMachine moves a server from its container to free ports and a folder of
// its own. All else stays as the files have it.
func onThisMachine(t *testing.T, o *server.Options, cluster string, routes map[string]string) {
	t.Helper()
	o.Host, o.Port, o.HTTPPort, o.StoreDir, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, server.RANDOM_PORT, t.TempDir(), true, true
	for i, r := range o.Routes {
		if routes[r.Host] == "" {
			t.Fatalf("%s is not a service", r.Host)
		}
		o.Routes[i] = &url.URL{Scheme: "nats", Host: routes[r.Host]}
	}
	a, err := net.ResolveTCPAddr("tcp", cluster)
	if err != nil {
		t.Fatal(err)
	}
	o.Cluster.Host, o.Cluster.Port = "127.0.0.1", a.Port
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	address := l.Addr().String()
	_ = l.Close()
	return address
}

// TestDeployedFiles runs a worker from deploy/worker.yaml on three servers from
// deploy/nats.conf, with the arguments and the environment of docker-compose.yml.
func TestDeployedFiles(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	worker := c.Services["worker"]
	if want := []string{"run", "--config", "/etc/retune/worker.yaml"}; !slices.Equal(worker.Command, want) {
		t.Fatalf("the worker is started with %q, want %q", worker.Command, want)
	}
	var pairs []string
	for name, address := range c.servers(t) {
		pairs = append(pairs, name, address)
	}
	here := strings.NewReplacer(pairs...)
	text, err := os.ReadFile(filepath.Join(top, "deploy/worker.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := parseConfig(text, func(name string) (string, bool) {
		value, ok := worker.Environment[name]
		return here.Replace(value), ok
	})
	if err != nil {
		t.Fatal(err)
	}
	config.HTTP = ""
	at, _ := startWorker(t, WorkerOptions{Globals: Globals{Log: bustest.Logger(t)}, Config: config})
	_, js := bustest.Client(t, at.NATS)
	for _, name := range []string{"RETUNE_METRICS", "KV_retune"} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		info := stream.CachedInfo()
		if info.Config.Replicas != 3 || info.Config.MaxBytes != 4<<30 {
			t.Errorf("%s has %d replicas and %d bytes", name, info.Config.Replicas, info.Config.MaxBytes)
		}
	}
	if _, err := js.Publish(t.Context(), "retune.metrics.fraud-eu", fmt.Append(nil, `{"metrics":{"loss":0.5},"config":{"layers":3}}`)); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, 20*time.Second, "the answer to a report", func() bool {
		stream, err := js.Stream(t.Context(), "KV_retune")
		if err != nil {
			return false
		}
		_, err = stream.GetLastMsgForSubject(t.Context(), "retune.config.fraud-eu.live")
		return err == nil
	})
}
