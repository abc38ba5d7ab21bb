package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestCompositionWithTLS starts the servers and a worker of docker-compose.yml as docs/security.md has it with TLS: with the
// certificates that its commands make, and its blocks in nats.conf and cluster.conf.
func TestCompositionWithTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	commands, clients, routes := documentedTLS(t)
	top := t.TempDir()
	if err := os.Mkdir(filepath.Join(top, "deploy"), 0o700); err != nil {
		t.Fatal(err)
	}
	openssl := exec.CommandContext(t.Context(), "sh", "-ec", commands)
	openssl.Dir = top
	if output, err := openssl.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", commands, err, output)
	}
	certificates := filepath.Join(top, "deploy", "tls")
	here := strings.NewReplacer("/etc/nats/tls", certificates)

	c := newComposition(t)
	for _, name := range serverNames {
		server, folder := c.server(name)
		rewrite(t, filepath.Join(folder, "nats.conf"), "max_payload: 1MB\n", here.Replace(clients)+"max_payload: 1MB\n")
		rewrite(t, filepath.Join(folder, "cluster.conf"), "  name: retune\n", here.Replace(routes)+"  name: retune\n")
		server.start()
	}
	worker, address := c.worker("worker")
	plain := worker.build
	worker.build = func() *exec.Cmd {
		cmd := plain()
		cmd.Args = append(cmd.Args, "--tls-ca", filepath.Join(certificates, "ca.pem"))
		return cmd
	}
	worker.start()
	c.waitForHealthy(address)

	for _, name := range serverNames {
		if !c.speaksTLS(name) {
			t.Errorf("%s speaks without TLS", name)
		}
		if n := len(c.routes(name)); n < len(serverNames)-1 {
			t.Errorf("%s has %d routes", name, n)
		}
		if nc, err := nats.Connect("nats://"+c.address[name], nats.UserInfo("pipeline", password)); err == nil {
			nc.Close()
			t.Errorf("%s lets in whom its certificate is strange to", name)
		}
	}
	worker.terminate()
}

// documentedTLS are the commands and the two blocks of docs/security.md.
func documentedTLS(t *testing.T) (commands, clients, routes string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## TLS\n")
	parts := strings.Split(section, "```")
	if len(parts) < 6 || !strings.HasPrefix(parts[1], "sh\n") || !strings.HasPrefix(parts[3], "\ntls {") || !strings.HasPrefix(parts[5], "\n  tls {") {
		t.Fatal("docs/security.md does not have commands and two blocks under TLS")
	}
	return strings.TrimPrefix(parts[1], "sh\n"), parts[3], parts[5]
}

// speaksTLS tells whether a server wants TLS of its clients and of the other servers.
func (c *composition) speaksTLS(name string) bool {
	c.t.Helper()
	response, err := http.Get("http://" + c.monitor[name] + "/varz")
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	var state struct {
		TLSRequired bool `json:"tls_required"`
		Cluster     struct {
			TLSRequired bool `json:"tls_required"`
		} `json:"cluster"`
	}
	if err := json.NewDecoder(response.Body).Decode(&state); err != nil {
		c.t.Fatal(err)
	}
	return state.TLSRequired && state.Cluster.TLSRequired
}
