package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// roles are the users of deploy/auth.conf and the variables that hold their hashes.
var roles = []struct{ user, variable string }{
	{"fraud-trainer", "RETUNE_FRAUD_TRAINER_HASH"}, {"fraud-agent", "RETUNE_FRAUD_AGENT_HASH"},
	{"fraud-scientist", "RETUNE_FRAUD_SCIENTIST_HASH"},
	{"pipeline", "RETUNE_PIPELINE_HASH"}, {"operator", "RETUNE_OPERATOR_HASH"}, {"worker", "RETUNE_WORKER_HASH"},
	{"admin", "RETUNE_ADMIN_HASH"}, {"system", "RETUNE_SYSTEM_HASH"},
}

// All users of the test have one password, with characters that have to be escaped in an address.
const (
	password        = "p@ss/word"
	passwordEscaped = "p%40ss%2Fword"
	passwordHash    = "$2a$04$4SuPxWhphF4LdYyGpmtMX.udSAwpQDXxo3SKcNWTOvXQcVsCpvzve"
)

// guarded are servers with deploy/auth.conf.
type guarded struct {
	t         *testing.T
	addresses []string
}

func (g guarded) url(user string) string {
	urls := make([]string, len(g.addresses))
	for i, address := range g.addresses {
		urls[i] = fmt.Sprintf("nats://%s:%s@%s", user, passwordEscaped, address)
	}
	return strings.Join(urls, ",")
}

// newGuarded starts one server, or three that are a cluster. It sets environment variables, so its test runs alone.
func newGuarded(t *testing.T, count int) guarded {
	t.Helper()
	for _, r := range roles {
		t.Setenv(r.variable, passwordHash)
	}
	g := guarded{t: t}
	var routes []string
	var ports []int
	for range count {
		ports = append(ports, freePort(t))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[len(ports)-1]))
	}
	for i, port := range ports {
		s := startGuarded(t, func(o *server.Options) {
			if count > 1 {
				o.ServerName = fmt.Sprintf("n%d", i)
				o.Cluster = server.ClusterOpts{Name: "e2e", Host: "127.0.0.1", Port: port}
				o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
			}
		})
		g.addresses = append(g.addresses, s.Addr().String())
	}
	return g
}

func startGuarded(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	o, err := server.ProcessConfigFile(filepath.Join("..", "..", "deploy", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	addWitnesses(o)
	o.Host, o.Port, o.HTTPPort, o.StoreDir, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, 0, t.TempDir(), true, true
	change(o)
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not start")
	}
	return s
}

// accounts are those of deploy/auth.conf.
var accounts = []string{"RETUNE", "FRAUD", "SUBSCRIBERS", "OPERATORS", "$SYS"}

// addWitnesses adds a user to each account, named as it is, who may hear and say everything there.
func addWitnesses(o *server.Options) {
	for _, a := range o.Accounts {
		o.Users = append(o.Users, &server.User{Username: a.Name, Password: passwordHash, Account: a})
	}
}

// connect is a plain client with the user's password. What the server refuses it without an answer is sent to the
// channel.
func (g guarded) connect(user string) (*nats.Conn, <-chan error) {
	g.t.Helper()
	refusals := make(chan error, 64)
	nc, err := nats.Connect(strings.Join(g.addresses, ","), nats.UserInfo(user, password),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			select {
			case refusals <- err:
			default:
			}
		}))
	if err != nil {
		g.t.Fatalf("%s: %v", user, err)
	}
	g.t.Cleanup(nc.Close)
	return nc, refusals
}

// run runs a command of the worker's binary as the user to its end.
func (g guarded) run(user, stdin string, args ...string) (output string, err error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 40*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, workerBinary(g.t), args...)
	cmd.Env = append(os.Environ(), "NATS_URL="+g.url(user))
	cmd.Stdin = strings.NewReader(stdin)
	both := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = both, both
	err = cmd.Run()
	return both.String(), err
}

// mustRun is run that has to succeed, without anything that the server refused.
func (g guarded) mustRun(user, stdin string, args ...string) string {
	g.t.Helper()
	output, err := g.run(user, stdin, args...)
	if err != nil || strings.Contains(output, "NATS refuses") {
		g.t.Fatalf("%s as %s: %v\n%s", strings.Join(args, " "), user, err, output)
	}
	return output
}
