package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// otherHash is of "another-word".
const otherHash = "$2a$04$87b.sPditfdY.fCOnBL8YuNMjtUR60z.FGpFl.CdxqL2WUH17CMI2"

// TestPasswordsChange has the hashes in a file that deploy/auth.conf includes, changes one and reloads the server: who has
// the old password is cut off, the others are not.
func TestPasswordsChange(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	hashes, config := filepath.Join(folder, "hashes.conf"), filepath.Join(folder, "nats.conf")
	auth, err := os.ReadFile(filepath.Join("..", "..", "deploy", "auth.conf"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := new(strings.Builder)
	for _, r := range roles {
		fmt.Fprintf(lines, "%s: %q\n", r.variable, passwordHash)
	}
	put(hashes, lines.String())
	put(filepath.Join(folder, "auth.conf"), "include \"hashes.conf\"\n"+string(auth))
	put(config, fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream {store_dir: %q}\ninclude \"auth.conf\"\n", t.TempDir()))
	o, err := server.ProcessConfigFile(config)
	if err != nil {
		t.Fatal(err)
	}
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not start")
	}
	connect := func(user, password string) (*nats.Conn, error) {
		nc, err := nats.Connect("nats://"+s.Addr().String(), nats.UserInfo(user, password), nats.NoReconnect())
		if err == nil {
			t.Cleanup(nc.Close)
		}
		return nc, err
	}
	trainer, err := connect("fraud-trainer", password)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := connect("operator", password)
	if err != nil {
		t.Fatal(err)
	}
	put(hashes, strings.Replace(lines.String(), fmt.Sprintf("RETUNE_FRAUD_TRAINER_HASH: %q", passwordHash), fmt.Sprintf("RETUNE_FRAUD_TRAINER_HASH: %q", otherHash), 1))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := connect("fraud-trainer", password); err == nil {
		t.Error("the old password is still good")
	}
	if _, err := connect("fraud-trainer", "another-word"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	for deadline := time.Now().Add(5 * time.Second); !trainer.IsClosed(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("who has the old password is still connected")
		}
	}
	if operator.IsClosed() {
		t.Error("another user was cut off")
	}
}
