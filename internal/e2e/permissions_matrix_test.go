package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

var updateMatrix = flag.Bool("update", false, "write the table of docs/security.md")

// attempt is one thing to do, and one line of the table. ROLE in it stands for the user.
type attempt struct {
	group, what string
	subject     string
	body        string
	how         func(p *prober, a attempt) bool
	harmless    string // error of the server that shows that the user may: the request is spoilt on purpose
	// trusted are who may at all, whatever the table says; nil: as the table says.
	trusted []string
}

const workerOnly = "worker"

// notEmpty is how the server refuses a body where it wants none: so an attempt comes past all permissions, and harms nothing.
const notEmpty = "expected an empty request payload"

var attempts = []attempt{
	{group: "Reports and trials", what: "report for its model", subject: "retune.metrics.fraud-eu", body: `{"metrics": {"loss": 0.5}}`, how: (*prober).says},
	{what: "report for a model of others", subject: "retune.metrics.shop", body: `{"metrics": {"loss": 0.5}}`, how: (*prober).says, trusted: []string{}},
	{what: "look at the consumer of its model's trials", subject: "$JS.API.CONSUMER.INFO.KV_retune.retune-agents-fraud-eu", how: (*prober).asks},
	{what: "take a trial of its model", subject: "$JS.API.CONSUMER.MSG.NEXT.KV_retune.retune-agents-fraud-eu", body: `{"batch": 1, "no_wait": true}`, how: (*prober).asks},
	{what: "take a trial of a model of others", subject: "$JS.API.CONSUMER.MSG.NEXT.KV_retune.retune-agents-shop", body: `{"batch": 1, "no_wait": true}`, how: (*prober).asks, trusted: []string{"operator", workerOnly, "admin"}},
	{what: "acknowledge a trial of its model", subject: "$JS.ACK.KV_retune.retune-agents-fraud-eu.1.1.1.1.0", how: (*prober).says},
	{what: "acknowledge a trial of a model of others", subject: "$JS.ACK.KV_retune.retune-agents-shop.1.1.1.1.0", how: (*prober).says, trusted: []string{workerOnly}},

	{group: "Outputs", what: "hear the configs of its model", subject: "retune.config.fraud-eu.live", how: (*prober).hears},
	{what: "ask for its live config", subject: "$JS.API.DIRECT.GET.KV_retune.retune.config.fraud-eu.live", how: (*prober).asks},
	{what: "hear the stops of its model", subject: "retune.stop.fraud-eu.spring.0", how: (*prober).hears},
	{what: "hear the configs of a model of others", subject: "retune.config.shop.live", how: (*prober).hears, trusted: []string{"operator"}},
	{what: "ask for the live config of others", subject: "$JS.API.DIRECT.GET.KV_retune.retune.config.shop.live", how: (*prober).asks, trusted: []string{"admin"}},
	{what: "ask for the last stop of a trial of its model", subject: "$JS.API.DIRECT.GET.KV_retune.retune.stop.fraud-eu.spring.0", how: (*prober).asks},
	{what: "ask for the last stop of a trial of others", subject: "$JS.API.DIRECT.GET.KV_retune.retune.stop.shop.spring.0", how: (*prober).asks, trusted: []string{"admin"}},
	{what: "ask for the summary of a study of its model", subject: "$JS.API.DIRECT.GET.KV_retune.retune.summary.fraud-eu.spring", how: (*prober).asks},
	{what: "ask for the summary of a study of others", subject: "$JS.API.DIRECT.GET.KV_retune.retune.summary.shop.spring", how: (*prober).asks, trusted: []string{"admin"}},
	{what: "ask for a retrain event of its model by its subject", subject: "$JS.API.DIRECT.GET.KV_retune.retune.retrain.fraud-eu.1", how: (*prober).asks, trusted: []string{"admin"}},
	{what: "hear retrain events", subject: "retune.retrain.shop.1", how: (*prober).hears},
	{what: "take events from the consumer of its hook", subject: "$JS.API.CONSUMER.MSG.NEXT.KV_retune.retune-hook-pipeline", body: `{"batch": 1, "no_wait": true}`, how: (*prober).asks},
	{what: "take events from that of another hook", subject: "$JS.API.CONSUMER.MSG.NEXT.KV_retune.retune-hook-other", body: `{"batch": 1, "no_wait": true}`, how: (*prober).asks, trusted: []string{"operator", workerOnly, "admin"}},
	{what: "hear summaries", subject: "retune.summary.shop.spring", how: (*prober).hears},
	{what: "hear dead letters, which have the input of others", subject: "retune.dead.0.0", how: (*prober).hears, trusted: []string{"operator"}},

	{group: "Commands", what: "study command for its model, also forget", subject: "retune.study.fraud-eu", body: `{"op": "none"}`, how: (*prober).says, trusted: []string{"fraud-scientist", "operator"}},
	{what: "study command for a model of others", subject: "retune.study.shop", body: `{"op": "none"}`, how: (*prober).says, trusted: []string{"operator"}},

	{group: "Reading what is stored", what: "state of all models, by keys in the request", subject: "$JS.API.DIRECT.GET.KV_retune", body: `{"multi_last": ["$KV.retune.>"]}`, how: (*prober).asks, trusted: []string{"fraud-agent", "fraud-scientist", "operator", workerOnly, "admin"}},
	{what: "a key of the state, by subject", subject: "$JS.API.DIRECT.GET.KV_retune.$KV.retune.model.0.shop", how: (*prober).asks, trusted: []string{"admin"}},
	{what: "any message, by sequence", subject: "$JS.API.STREAM.MSG.GET.KV_retune", body: `{"seq": 1}`, how: (*prober).asks, trusted: []string{"admin"}},
	{what: "settings of the input stream, names of models", subject: "$JS.API.STREAM.INFO.RETUNE_METRICS", body: `{"subjects_filter": ">"}`, how: (*prober).asks},
	{what: "settings of the bucket, its keys", subject: "$JS.API.STREAM.INFO.KV_retune", body: `{"subjects_filter": ">"}`, how: (*prober).asks, trusted: []string{"operator", workerOnly, "admin"}},
	{what: "stored reports of all", subject: "$JS.API.DIRECT.GET.RETUNE_METRICS", body: `{"next_by_subj": ">", "seq": 1}`, how: (*prober).asks, trusted: []string{"operator", workerOnly, "admin"}},
	{what: "backup of the bucket", subject: "$JS.API.STREAM.SNAPSHOT.KV_retune", body: `{"deliver_subject": "_INBOX.snapshot"}`, how: (*prober).asks, trusted: []string{"admin"}},
	{what: "list of streams", subject: "$JS.API.STREAM.NAMES", how: (*prober).asks, trusted: []string{"admin"}},
	{what: "hear reports of others", subject: "retune.metrics.shop", how: (*prober).hears, trusted: []string{"operator"}},
	{what: "hear state as it is written", subject: "$KV.retune.model.0.shop", how: (*prober).hears, trusted: []string{}},
	{what: "hear commits", subject: "commit.retune.config.shop.live", how: (*prober).hears, trusted: []string{}},
	{what: "hear what the server answers the workers", subject: "_INBOX.of-a-worker.1", how: (*prober).hears, trusted: []string{workerOnly, "admin"}},

	{group: "Forging", what: "write state", subject: "$KV.retune.probe", body: "forged", how: (*prober).says, trusted: []string{workerOnly}},
	{what: "commit an output", subject: "commit.retune.probe.ROLE", body: "forged", how: (*prober).says, trusted: []string{workerOnly}},
	{what: "publish a retrain event", subject: "retune.retrain.fraud-eu.forged", body: "forged", how: (*prober).says, trusted: []string{}},
	{what: "publish a live config", subject: "retune.config.fraud-eu.live", body: "forged", how: (*prober).says, trusted: []string{}},
	{what: "pose as a worker", subject: "$KV.retune_workers.probe", body: "forged", how: (*prober).says, trusted: []string{workerOnly}},
	{what: "have an answer of the server stored as state", subject: "$KV.retune.probe-ROLE", how: (*prober).deflects, trusted: []string{workerOnly, "admin"}},
	{what: "have an answer of the server committed as an output", subject: "commit.retune.probe.ROLE", how: (*prober).deflects, trusted: []string{workerOnly, "admin"}},
	{what: "have an answer of the server sent to the subscribers of others", subject: "retune.retrain.shop.forged-ROLE", how: (*prober).deflects, trusted: []string{workerOnly, "admin"}},
	{what: "have a consumer send stored inputs to the subscribers of others", subject: "$JS.API.CONSUMER.CREATE.RETUNE_METRICS.push-ROLE.retune.metrics.>",
		body: `{"stream_name": "RETUNE_METRICS", "config": {"name": "push-ROLE", "filter_subject": "retune.metrics.>", "ack_policy": "none", "deliver_subject": "` + pushed + `"}}`,
		how:  (*prober).pushes, trusted: []string{"operator", workerOnly, "admin"}},
	{what: "have a consumer commit stored inputs as outputs", subject: "$JS.API.CONSUMER.CREATE.RETUNE_METRICS.commit-ROLE.retune.metrics.>",
		body: `{"stream_name": "RETUNE_METRICS", "config": {"name": "commit-ROLE", "filter_subject": "retune.metrics.>", "ack_policy": "none", "deliver_subject": "commit.` + committed + `"}}`,
		how:  (*prober).commits, trusted: []string{}},
	{what: "have an answer of the server sent within its own account", subject: "retune.stop.fraud-eu.spring.0", how: (*prober).deflectsAtHome},

	{group: "Streams and consumers", what: "create a consumer, which may send to any subject", subject: "$JS.API.CONSUMER.CREATE.KV_retune.probe-ROLE.retune.retrain.>",
		body: `{"stream_name": "KV_retune", "config": {"durable_name": "probe-ROLE", "filter_subject": "retune.retrain.>", "ack_policy": "explicit"}}`, how: (*prober).asks, trusted: []string{"operator", workerOnly, "admin"}},
	{what: "create one of the list of workers", subject: "$JS.API.CONSUMER.CREATE.KV_retune_workers.probe-ROLE",
		body: `{"stream_name": "KV_retune_workers", "config": {"name": "probe-ROLE", "ack_policy": "explicit"}}`, how: (*prober).asks, trusted: []string{workerOnly, "admin"}},
	{what: "delete a consumer, also of others", subject: "$JS.API.CONSUMER.DELETE.KV_retune.probe-ROLE", how: (*prober).asks, trusted: []string{"operator", workerOnly, "admin"}},
	{what: "pause a consumer", subject: "$JS.API.CONSUMER.PAUSE.KV_retune.retune-agents-shop", body: `{}`, how: (*prober).asks, trusted: []string{"admin"}},
	{what: "create another stream", subject: "$JS.API.STREAM.CREATE.PROBE", body: `{"name": "PROBE", "subjects": ["probe"]}`, how: (*prober).asks, trusted: []string{"admin"}},
	{what: "restore a backup", subject: "$JS.API.STREAM.RESTORE.RETUNE_METRICS", body: `{"config": {"name": "OTHER"}}`, how: (*prober).asks, harmless: "does not match", trusted: []string{"admin"}},
	{what: "have another server lead a stream", subject: "$JS.API.STREAM.LEADER.STEPDOWN.KV_retune", body: `{}`, how: (*prober).asks, harmless: "clustering", trusted: []string{"admin"}},
	{what: "change a stream", subject: "$JS.API.STREAM.UPDATE.KV_retune", body: `{"name": "OTHER"}`, how: (*prober).asks, harmless: "does not match", trusted: []string{"admin"}},
	{what: "purge the bucket", subject: "$JS.API.STREAM.PURGE.KV_retune", body: `{"filter": "$KV.retune.nothing"}`, how: (*prober).asks, trusted: []string{workerOnly, "admin"}},
	{what: "purge the inputs", subject: "$JS.API.STREAM.PURGE.RETUNE_METRICS", body: `{"filter": "retune.metrics.0.nothing"}`, how: (*prober).asks, trusted: []string{"admin"}},
	{what: "delete a stream", subject: "$JS.API.STREAM.DELETE.KV_retune", body: `{"no": 0}`, how: (*prober).asks, harmless: notEmpty, trusted: []string{"admin"}},
	{what: "delete a message", subject: "$JS.API.STREAM.MSG.DELETE.RETUNE_METRICS", body: `{"seq": 1000000}`, how: (*prober).asks, harmless: "stream store EOF", trusted: []string{"admin"}},

	{group: "Workers and servers", what: "ask the workers how they are", subject: "retune.worker.status", how: (*prober).asks, trusted: []string{"operator"}},
	{what: "find them as a service", subject: "$SRV.PING.retune", how: (*prober).asks, trusted: []string{"operator"}},
	{what: "hear who asks them", subject: "retune.worker.status", how: (*prober).hears, trusted: []string{"operator", workerOnly}},
	{what: "ask the servers how they are", subject: "$SYS.REQ.SERVER.PING", how: (*prober).asks, trusted: []string{"system"}},
	{what: "end the connection of others", subject: "$SYS.REQ.SERVER.SERVERID.KICK", body: `{"cid": 1000000}`, how: (*prober).asks, harmless: "no such client", trusted: []string{"system"}},
	{what: "hear of all connections", subject: "$SYS.ACCOUNT.RETUNE.CONNECT", how: (*prober).hears, trusted: []string{"system"}},
}

// prober tries things as one user.
type prober struct {
	g       guarded
	t       *testing.T
	user    string
	account string
	nc      *nats.Conn
	refused <-chan error

	attempts []attempt
}

var accountOf = map[string]string{"fraud-trainer": "FRAUD", "fraud-agent": "FRAUD", "fraud-scientist": "FRAUD", "pipeline": "SUBSCRIBERS", "operator": "OPERATORS", "worker": "RETUNE", "admin": "RETUNE", "system": "$SYS"}

// probeTime is how long a message takes that comes: one that does not costs as much each time.
const probeTime = 400 * time.Millisecond

// under fills in the user and the server.
func (p *prober) under(subject string) string {
	return strings.NewReplacer("ROLE", p.user, "SERVERID", p.nc.ConnectedServerId()).Replace(subject)
}

// says tells whether what the user publishes comes to RETUNE, or to the subscribers in another account.
func (p *prober) says(a attempt) bool {
	subject := p.under(a.subject)
	return p.comes(p.elsewhere(), subject, subject, func() error { return p.nc.Publish(subject, []byte(a.body)) })
}

// elsewhere are the accounts where what the user does must not be seen, and its own if that is RETUNE.
func (p *prober) elsewhere() (names []string) {
	for _, name := range accounts {
		if name != p.account || name == "RETUNE" {
			names = append(names, name)
		}
	}
	return names
}

// deflects tells whether the answer to anything that the user may ask comes under the subject, outside its account.
func (p *prober) deflects(a attempt) bool { return p.deflectsTo(p.elsewhere(), a) }

func (p *prober) deflectsAtHome(a attempt) bool { return p.deflectsTo([]string{p.account}, a) }

func (p *prober) deflectsTo(names []string, a attempt) bool {
	to := p.under(a.subject)
	return p.comes(names, to, "", func() error {
		for _, other := range p.attempts {
			if other.group == "Forging" {
				break // and what follows changes things
			}
			if err := p.nc.PublishRequest(p.under(other.subject), to, []byte(other.body)); err != nil {
				return err
			}
		}
		return nil
	})
}

// pushed and committed is what consumers of the user send to, at once or by a commit. Live configs and events are like it.
const (
	pushed    = "retune.stop.fraud-eu.pushed.ROLE"
	committed = "retune.stop.fraud-eu.committed.ROLE"
)

// pushes and commits tell whether what is stored comes to others by a consumer that the user makes.
func (p *prober) pushes(a attempt) bool { return p.pushesTo(pushed, a) }

func (p *prober) commits(a attempt) bool { return p.pushesTo(committed, a) }

func (p *prober) pushesTo(to string, a attempt) bool {
	return p.comes(p.elsewhere(), p.under(to), p.under(a.subject), func() error {
		return p.nc.PublishRequest(p.under(a.subject), p.nc.NewInbox(), []byte(p.under(a.body)))
	})
}

// comes tells whether a witness in one of the accounts hears the subject after the action, which the server may refuse
// by naming what was published to.
func (p *prober) comes(names []string, subject, refusable string, action func() error) bool {
	heard := make(chan *nats.Msg, 64)
	for _, name := range names {
		witness, _ := p.g.connect(name)
		defer witness.Close()
		if _, err := witness.ChanSubscribe(subject, heard); err != nil || witness.Flush() != nil {
			p.t.Fatal(err)
		}
	}
	if err := action(); err != nil {
		p.t.Fatal(err)
	}
	return p.await(heard, refusable) != nil
}

// asks tells whether the server answers the user's request, other than with an error.
func (p *prober) asks(a attempt) bool {
	inbox := p.nc.NewInbox()
	answers := make(chan *nats.Msg, 64)
	sub, err := p.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := p.nc.PublishRequest(p.under(a.subject), inbox, []byte(p.under(a.body))); err != nil {
		p.t.Fatal(err)
	}
	m := p.await(answers, p.under(a.subject))
	if m == nil {
		return false
	}
	if strings.Contains(string(m.Data), `"error"`) && (a.harmless == "" || !strings.Contains(string(m.Data), a.harmless)) {
		p.t.Errorf("%s: %s: refused, but not by a permission: %s", p.user, a.what, m.Data)
	}
	return m.Header.Get("Status") != "503" // nobody is there to answer
}

// hears tells whether the user can subscribe to what RETUNE publishes.
func (p *prober) hears(a attempt) bool {
	heard := make(chan *nats.Msg, 64)
	sub, err := p.nc.ChanSubscribe(a.subject, heard)
	if err != nil || p.nc.Flush() != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	witness, _ := p.g.connect("RETUNE")
	defer witness.Close()
	if err := witness.Publish(a.subject, []byte(`{}`)); err != nil {
		p.t.Fatal(err)
	}
	return p.await(heard, a.subject) != nil
}

// await returns what is heard, nil if that is nothing, or once the subject is refused.
func (p *prober) await(heard <-chan *nats.Msg, subject string) *nats.Msg {
	for timeout := time.After(probeTime); ; {
		select {
		case m := <-heard:
			return m
		case err := <-p.refused: // perhaps for an earlier attempt
			if strings.Contains(err.Error(), `"`+subject+`"`) || strings.Contains(err.Error(), `"`+strings.Replace(subject, "$JS.API.", "api.", 1)+`"`) {
				return nil
			}
		case <-timeout:
			return nil
		}
	}
}

// TestPermissions tries everything as everybody and compares with the table of docs/security.md. What is meant to be
// for trusted users only fails whatever the table says.
func TestPermissions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	g := withWorker(t, 1)
	g.prepareProbes()
	probers := make([]*prober, len(roles))
	for i, r := range roles {
		nc, refused := g.connect(r.user)
		probers[i] = &prober{g: g, t: t, user: r.user, account: accountOf[r.user], nc: nc, refused: refused, attempts: attempts}
	}
	table := new(strings.Builder)
	for _, a := range attempts {
		if a.group != "" {
			fmt.Fprintf(table, "%s| **%s** |%s\n", header(table), a.group, strings.Repeat(" |", len(probers)))
		}
		fmt.Fprintf(table, "| %s |", a.what)
		for _, p := range probers {
			can := a.how(p, a)
			if can && a.trusted != nil && !slices.Contains(a.trusted, p.user) {
				t.Errorf("%s can %s", p.user, a.what)
			}
			fmt.Fprintf(table, " %s |", map[bool]string{true: "yes", false: ""}[can])
		}
		fmt.Fprintln(table)
	}
	compareTable(t, table.String())
}

// header is that of the table, before its first line.
func header(table *strings.Builder) string {
	if table.Len() > 0 {
		return ""
	}
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = "`" + r.user + "`"
	}
	return "| | " + strings.Join(names, " | ") + " |\n|---|" + strings.Repeat("---|", len(roles)) + "\n"
}

// prepareProbes makes all that the attempts ask for, so that a refusal is one by permission.
func (g guarded) prepareProbes() {
	g.t.Helper()
	for _, model := range []string{"fraud-eu", "shop"} {
		g.mustRun("operator", "", "study", "start", "-f", write(g.t, guardedStudy), "--model", model)
	}
	g.serve()
	nc, _ := g.connect("RETUNE")
	for _, name := range []string{"pipeline", "other"} {
		answer, err := nc.Request("$JS.API.CONSUMER.CREATE.KV_retune.retune-hook-"+name+".retune.retrain.*.*",
			[]byte(strings.Replace(hookConsumer, "pipeline", name, 1)), 5*time.Second)
		if err != nil || strings.Contains(string(answer.Data), `"error"`) {
			g.t.Fatalf("%v %s", err, answer.Data)
		}
	}
}

// serve answers as workers do, with the user of workers.
func (g guarded) serve() {
	g.t.Helper()
	nc, _ := g.connect("worker")
	service, err := micro.AddService(nc, micro.Config{Name: "retune", Version: "0.0.0"})
	if err != nil {
		g.t.Fatal(err)
	}
	answer := micro.HandlerFunc(func(r micro.Request) { _ = r.Respond([]byte(`{}`)) })
	if err := service.AddEndpoint("status", answer, micro.WithEndpointSubject("retune.worker.status"), micro.WithEndpointQueueGroupDisabled()); err != nil {
		g.t.Fatal(err)
	}
}

const (
	tableBegin = "<!-- permissions: go test ./internal/e2e -run TestPermissions -update -->\n"
	tableEnd   = "<!-- end -->\n"
)

func compareTable(t *testing.T, table string) {
	t.Helper()
	file := filepath.Join("..", "..", "docs", "security.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, tried := range []string{hookConsumer, hookConsumerSubject} {
		if !strings.Contains(string(text), tried) {
			t.Errorf("%s does not have what was tried: %s", file, tried)
		}
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	have, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	if *updateMatrix {
		if err := os.WriteFile(file, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != table {
		t.Errorf("the table of %s is another: -update writes it. Now:\n%s", file, table)
	}
}
