package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/visutility/retune/internal/bus/bustest"
)

// canary is every secret of this test: it must be in no output.
const canary = "sEcReT-cAnArY"

const secretsConfig = `
partitions: 4
http: 127.0.0.1:%d
models:
  - match: "*"
    monitor: [{metric: loss, detector: threshold, limit: 1}]
sinks:
  - {type: webhook, url: "%s/%s?token=%s", secret: "%s", headers: {Authorization: "Bearer %s"}}
`

// TestSecretsStaySecret gives a worker secrets in its address and its config, and looks for them in all that it says.
func TestSecretsStaySecret(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := bustest.Server(t, func(o *server.Options) { o.Username, o.Password = "retune", canary })
	var posts atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		posts.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(hook.Close)
	bin, port := workerBinary(t), freePort(t)
	config := write(t, fmt.Sprintf(secretsConfig, port, hook.URL, canary, canary, canary, canary))
	address := "NATS_URL=nats://retune:" + canary + "@" + s.Addr().String()
	w := newWorker(t, "worker", "", config)
	w.build = func() *exec.Cmd {
		cmd := exec.Command(bin, "run", "--config", config, "--log-format", "json", "--log-level", "debug")
		cmd.Env = append(os.Environ(), address)
		return cmd
	}
	w.start()
	waitForLog(t, w.log, "ready for reports")
	says := func(stdin string, args ...string) string {
		cmd := exec.Command(bin, args...)
		cmd.Env, cmd.Stdin = append(os.Environ(), address), strings.NewReader(stdin)
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return string(output)
	}
	silent := func(what, text string) {
		t.Helper()
		if text == "" || strings.Contains(text, canary) {
			t.Errorf("%s says a secret, or nothing:\n%s", what, text)
		}
	}
	silent("publish", says(`{"metrics": {"loss": 5}}`, "publish", "--model", "m"))
	bustest.Eventually(t, 20*time.Second, "the webhook was tried", func() bool { return posts.Load() > 0 })
	bustest.Cut(t, s, "retune worker")
	waitForLog(t, w.log, "connected to NATS again")
	for _, path := range []string{"metrics", "readyz", "healthz"} {
		silent(path, get(t, fmt.Sprintf("http://127.0.0.1:%d/%s", port, path)))
	}
	for _, args := range [][]string{{"show", "--json"}, {"show", "m"}, {"study", "list", "--json"}, {"--help"}, {"run", "--help"}, {"study", "start", "--help"}, {"hook", "--help"}} {
		silent(strings.Join(args, " "), says("", args...))
	}
	w.terminate()
	log, err := os.ReadFile(w.log)
	if err != nil || !strings.Contains(string(log), "event not delivered") {
		t.Errorf("the log does not tell of the webhook: %v", err)
	}
	silent("the log", string(log))
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestErrorsHaveNoSecrets makes mistakes beside secrets.
func TestErrorsHaveNoSecrets(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := bustest.Server(t, func(o *server.Options) { o.Username, o.Password = "retune", "another" })
	here := s.Addr().String()
	creds := filepath.Join(t.TempDir(), "user.creds")
	if err := os.WriteFile(creds, []byte("-----BEGIN NATS USER JWT-----\n"+canary+"\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\n"+canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := workerBinary(t)
	for name, args := range map[string][]string{
		"a wrong password":           {"--nats", "nats://retune:" + canary + "@" + here},
		"a wrong token":              {"--nats", "nats://" + canary + "@" + here},
		"no scheme":                  {"--nats", "retune:" + canary + "@" + here},
		"nobody there":               {"--nats", "nats://retune:" + canary + "@127.0.0.1:1"},
		"two addresses":              {"--nats", "nats://retune:" + canary + "@127.0.0.1:1, nats://" + canary + "@127.0.0.1:2"},
		"a comma in the password":    {"--nats", "nats://retune:a," + canary + "@127.0.0.1:1"},
		"a percent sign":             {"--nats", "nats://retune:%zz" + canary + "@" + here},
		"a space in the address":     {"--nats", "nats://retune:" + canary + "@127.0.0.1 :1"},
		"a slash in the password":    {"--nats", "nats://retune:a/" + canary + "@" + here},
		"a hash in the password":     {"--nats", "nats://retune:a#" + canary + "@" + here},
		"an at sign in the password": {"--nats", "nats://retune:" + canary + "@" + canary + "@" + here},
		"creds that are none":        {"--nats", "nats://" + here, "--creds", creds},
		"an nkey that is none":       {"--nats", "nats://" + here, "--nkey", creds},
		"a key beside the address":   {"--config", write(t, "nats: {url: \"nats://retune:"+canary+"@"+here+"\", contxt: x}\n")},
		"the address as a list":      {"--config", write(t, "nats:\n  url: [\"nats://retune:"+canary+"@"+here+"\"]\n")},
		"a context, too":             {"--config", write(t, "nats:\n  url: nats://retune:"+canary+"@"+here+"\n  context: here\n")},
		"yaml that is none":          {"--config", write(t, "nats:\n  url: nats://retune:"+canary+"@"+here+"\n oops: [\n")},
		"a secret of a wrong form":   {"--config", write(t, "sinks: [{type: webhook, url: \"http://127.0.0.1\", secret: [\""+canary+"\"]}]\n")},
		"a secret of another sink":   {"--config", write(t, "sinks: [{type: log, secret: \""+canary+"\"}]\n")},
		"a webhook's url":            {"--config", write(t, "sinks: [{type: webhook, url: \"ftp://a:"+canary+"@h/"+canary+"\"}]\n")},
		"a second address":           {"--nats", "nats://retune:" + canary + "@" + here, "--nats"},
	} {
		for _, command := range [][]string{{"run", "--port", "0", "--data", t.TempDir()}, {"study", "list"}} {
			if strings.HasPrefix(command[0], "study") && strings.Contains(name, "secret of") {
				continue // a command that does not look at it
			}
			output, err := exec.Command(bin, append(command, args...)...).CombinedOutput()
			if err == nil || strings.Contains(string(output), canary) {
				t.Errorf("%s, %s: %v\n%s", name, command[0], err, output)
			}
			t.Logf("%s, %s: %s", name, command[0], output)
		}
	}
}
