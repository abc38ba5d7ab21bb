package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKubernetesSecrets runs the commands of docs/deploy.md that make the Secret of NATS, with a kubectl that writes down
// what it is given: a .env that is there already is used, and without a password of the routes nothing is made.
func TestKubernetesSecrets(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "**2. NATS**")
	_, after, ok2 := strings.Cut(after, "```sh\n")
	commands, _, ok3 := strings.Cut(after, "helm ")
	if !ok || !ok2 || !ok3 {
		t.Fatal("docs/deploy.md has no second step with helm")
	}
	hashes := new(strings.Builder)
	for _, r := range roles {
		fmt.Fprintf(hashes, "%s='%s'\n", r.variable, passwordHash)
	}
	made, err := kubernetesSecret(t, commands, hashes.String()+"RETUNE_ROUTE_PASSWORD=route0word\n")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(hashes.String(), "'", "") + "RETUNE_ROUTE_PASSWORD=route0word\n"
	for i := range 3 {
		want += fmt.Sprintf("RETUNE_ROUTE_%d=nats://route:route0word@nats-%d.nats-headless:6222\n", i, i)
	}
	if made != want {
		t.Errorf("the Secret is\n%s\nnot\n%s", made, want)
	}
	if made, err := kubernetesSecret(t, commands, hashes.String()); err == nil || made != "" {
		t.Errorf("without a password of the routes: %v\n%s", err, made)
	}
}

// kubernetesSecret returns what the commands give to kubectl for the Secret, beside such an .env.
func kubernetesSecret(t *testing.T, commands, env string) (made string, err error) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		".env":    env,
		"kubectl": "#!/bin/sh\ncase \"$*\" in *'secret generic nats-users'*) cat > secret ;; esac\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(folder, "deploy"), os.DirFS("../../deploy")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", commands)
	cmd.Dir, cmd.Env = folder, []string{"PATH=" + folder + ":" + os.Getenv("PATH")}
	if out, failed := cmd.CombinedOutput(); failed != nil {
		err = fmt.Errorf("%w: %s", failed, out)
	}
	text, _ := os.ReadFile(filepath.Join(folder, "secret"))
	return string(text), err
}
