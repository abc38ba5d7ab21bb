package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats.go"
)

// composition is docker-compose.yml without Docker: its commands and environments, with the binary, the files and the
// ports of this machine in place of those in the containers.
type composition struct {
	t        *testing.T
	services map[string]service
	here     *strings.Replacer
	address  map[string]string // of each server for clients
	monitor  map[string]string // and for its state
}

type service struct {
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
}

var serverNames = []string{"nats-1", "nats-2", "nats-3"}

func newComposition(t *testing.T) *composition {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(top, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]service `yaml:"services"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	c := &composition{t: t, services: file.Services, address: map[string]string{}, monitor: map[string]string{}}
	pairs := []string{"/etc/retune/", top + "/deploy/", "/examples/", top + "/examples/"}
	for _, name := range serverNames {
		c.address[name] = fmt.Sprintf("127.0.0.1:%d", freePort(t))
		c.monitor[name] = fmt.Sprintf("127.0.0.1:%d", freePort(t))
		pairs = append(pairs, name+":4222", c.address[name], name+":6222", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	}
	c.here = strings.NewReplacer(pairs...)
	return c
}

var composeVariable = regexp.MustCompile(`\$\{(\w+)(?::\?[^}]+)?\}`)

// expand puts in what deploy/passwords.sh would have made: here all users have one password.
func (c *composition) expand(text string) string {
	c.t.Helper()
	return c.here.Replace(composeVariable.ReplaceAllStringFunc(text, func(found string) string {
		switch name := composeVariable.FindStringSubmatch(found)[1]; {
		case name == "RETUNE_ROUTE_PASSWORD": // as it is, and in addresses
			return "route0word"
		case strings.HasSuffix(name, "_HASH"):
			return passwordHash
		case strings.HasSuffix(name, "_PASSWORD"):
			return passwordEscaped
		}
		c.t.Fatalf("%s is none of deploy/passwords.sh", found)
		return ""
	}))
}

func (c *composition) command(service string) (args []string) {
	c.t.Helper()
	for _, a := range c.services[service].Command {
		args = append(args, c.expand(a))
	}
	return args
}

// environment is all that a service gets to see.
func (c *composition) environment(service string) (env []string) {
	c.t.Helper()
	for name, value := range c.services[service].Environment {
		env = append(env, name+"="+c.expand(value))
	}
	return env
}

// server is one server as a process, with a copy of deploy/ in which addresses and the store are those of this machine,
// and nothing else. It returns the folder of the copy.
func (c *composition) server(name string) (p *process, folder string) {
	c.t.Helper()
	folder = c.t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("../../deploy")); err != nil {
		c.t.Fatal(err)
	}
	rewrite(c.t, filepath.Join(folder, "nats.conf"), "0.0.0.0:4222", c.address[name], "127.0.0.1:8222", c.monitor[name], `"/data"`, strconv.Quote(c.t.TempDir()))
	rewrite(c.t, filepath.Join(folder, "cluster.conf"), "0.0.0.0:6222", c.here.Replace(name+":6222"))
	args := c.services[name].Command
	for i, a := range args {
		args[i] = strings.Replace(a, "/etc/nats", folder, 1)
	}
	env := append(c.environment(name), roleServer+"="+strings.Join(args, "|"))
	p = natsServer(c.t, name, 0, 0, "")
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	p.build = func() *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = env
		return cmd
	}
	return p, folder
}

// rewrite replaces each old text in the file, which has to be there, by its new one.
func rewrite(t *testing.T, file string, oldnew ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(text), oldnew[i]) {
			t.Fatalf("%s has no %s", file, oldnew[i])
		}
		text = []byte(strings.ReplaceAll(string(text), oldnew[i], oldnew[i+1]))
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// worker is a worker as a process, and the address where it says whether it is ready.
func (c *composition) worker(name string) (p *process, address string) {
	c.t.Helper()
	address = fmt.Sprintf("127.0.0.1:%d", freePort(c.t))
	p = newWorker(c.t, name, "", "")
	binary := workerBinary(c.t)
	p.build = func() *exec.Cmd {
		cmd := exec.Command(binary, append(c.command("worker"), "--http", address)...)
		cmd.Env = c.environment("worker")
		return cmd
	}
	return p, address
}

// healthy runs the health check of the worker at the address; in a container that is always the one of worker.yaml.
func (c *composition) healthy(address string) error {
	c.t.Helper()
	check := c.services["worker"].Healthcheck.Test
	if len(check) < 3 || check[0] != "CMD" || check[1] != "/worker" {
		c.t.Fatalf("the health check of worker is %q", check)
	}
	var args []string
	for _, a := range check[2:] {
		args = append(args, c.expand(a))
	}
	cmd := exec.Command(workerBinary(c.t), append(args, "--http", address)...)
	cmd.Env = c.environment("worker")
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// publish sends the example's reports as the demo's trainer, until all are acknowledged.
func (c *composition) publish(model string) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		cmd := exec.Command(workerBinary(c.t), "publish", "--model", model, c.expand("/examples/reports.jsonl"))
		cmd.Env = c.environment("trainer")
		output, err := cmd.CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("publish: %v\n%s", err, output)
		}
	}
}

// subscriber is a plain client of that role, on all servers.
func (c *composition) subscriber() *nats.Conn {
	c.t.Helper()
	var urls []string
	for _, name := range serverNames {
		urls = append(urls, "nats://"+c.address[name])
	}
	nc, err := nats.Connect(strings.Join(urls, ","), nats.UserInfo("pipeline", password), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(nc.Close)
	return nc
}

// newPassword gives the agents another one, and adds a user, as docs/security.md says, with the servers running: the old
// password is refused, and the servers stay joined.
func (c *composition) newPassword(servers map[string]*process, folders map[string]string) {
	c.t.Helper()
	before := map[string][]int{}
	for _, name := range serverNames {
		before[name] = c.routes(name)
		if len(before[name]) < len(serverNames)-1 {
			c.t.Errorf("%s has the routes %v", name, before[name])
		}
	}
	for _, name := range serverNames {
		if err := os.WriteFile(filepath.Join(folders[name], "hashes.conf"), fmt.Appendf(nil, "RETUNE_FRAUD_AGENT_HASH: %q\n", otherHash), 0o600); err != nil {
			c.t.Fatal(err)
		}
		rewrite(c.t, filepath.Join(folders[name], "auth.conf"), `# include "hashes.conf"`, `include "hashes.conf"`,
			"{user: fraud-trainer,", "{user: newcomer, password: $RETUNE_FRAUD_AGENT_HASH}, {user: fraud-trainer,")
		servers[name].signal(syscall.SIGHUP)
		waitForLog(c.t, servers[name].log, "Reloaded server configuration")
	}
	for _, name := range serverNames { // once all have, since a client that one refuses tries the others
		for who, good := range map[[2]string]bool{{"fraud-agent", password}: false, {"fraud-agent", "another-word"}: true, {"newcomer", "another-word"}: true, {"fraud-trainer", password}: true} {
			nc, err := nats.Connect("nats://"+c.address[name], nats.UserInfo(who[0], who[1]))
			if (err == nil) != good {
				c.t.Errorf("%s as %s: %v", name, who, err)
			}
			if err == nil {
				nc.Close()
			}
		}
	}
	for _, name := range serverNames {
		for after, n := c.routes(name), 0; n < len(before[name]); n++ {
			if !slices.Contains(after, before[name][n]) {
				c.t.Errorf("%s had the routes %v, and has %v", name, before[name], after)
			}
		}
	}
}

// routes are the numbers of the connections to other servers.
func (c *composition) routes(name string) (numbers []int) {
	c.t.Helper()
	response, err := http.Get("http://" + c.monitor[name] + "/routez")
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	var state struct{ Routes []struct{ Rid int } }
	if err := json.NewDecoder(response.Body).Decode(&state); err != nil {
		c.t.Fatal(err)
	}
	for _, r := range state.Routes {
		numbers = append(numbers, r.Rid)
	}
	return numbers
}

func (c *composition) waitForHealthy(address string) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = c.healthy(address); err == nil {
			return
		}
	}
	c.t.Fatal(err)
}

// TestComposition goes from reports to a retrain event with what docker-compose.yml starts, and again after a server and a
// worker were killed.
func TestComposition(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	c := newComposition(t)
	servers, folders := map[string]*process{}, map[string]string{}
	for _, name := range serverNames {
		servers[name], folders[name] = c.server(name)
		servers[name].start()
	}
	first, firstAddress := c.worker("worker-1")
	second, secondAddress := c.worker("worker-2")
	first.start()
	second.start()
	c.waitForHealthy(firstAddress)
	c.waitForHealthy(secondAddress)
	c.newPassword(servers, folders)
	nc := c.subscriber()
	events := subscribe(t, nc, "retune.retrain.>")

	c.publish("fraud-eu")
	if m := next(t, events); !strings.HasPrefix(m.Subject, "retune.retrain.fraud-eu.") {
		t.Errorf("event %s", m.Subject)
	}

	gone := slices.IndexFunc(serverNames, func(name string) bool { return "nats://"+c.address[name] != nc.ConnectedUrl() })
	servers[serverNames[gone]].kill()
	first.kill()
	c.publish("fraud-us")
	if m, err := events.NextMsg(30 * time.Second); err != nil || !strings.HasPrefix(m.Subject, "retune.retrain.fraud-us.") {
		t.Fatalf("after the kills: %v, %+v", err, m)
	}
	c.waitForHealthy(secondAddress)
	if err := c.healthy(firstAddress); err == nil {
		t.Error("the health check of a worker that was killed succeeds")
	}
	operator := guarded{t, []string{c.address[serverNames[(gone+1)%3]]}}
	stored := operator.mustRun("operator", "", "watch", "retrains", "--since", "all", "--count", "2", "--json")
	if strings.Count(stored, "retune.retrain.fraud-eu.") != 1 || strings.Count(stored, "retune.retrain.fraud-us.") != 1 {
		t.Errorf("stored events:\n%s", stored)
	}
	second.terminate()
}
