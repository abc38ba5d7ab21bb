package e2e

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/visutility/retune/internal/bus/bustest"
)

// TestOneAccountIsNotEnough is why deploy/auth.conf has accounts: in the workers' own, a user who may publish reports
// only has the acknowledgements of them committed as state and outputs. Should it fail, NATS has learnt better.
func TestOneAccountIsNotEnough(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "worker", Password: password},
			{Username: "trainer", Password: password, Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{"retune.metrics.m"}}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
			}},
		}
	})
	bustest.Open(t, "nats://worker:"+passwordEscaped+"@"+s.Addr().String(), bustest.Settings())
	connect := func(user string) *nats.Conn {
		nc, err := nats.Connect("nats://"+s.Addr().String(), nats.UserInfo(user, password))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	trainer, worker := connect("trainer"), jetStream(t, connect("worker"))
	bucket, err := worker.Stream(t.Context(), "KV_retune")
	if err != nil {
		t.Fatal(err)
	}
	for answerTo, stored := range map[string]string{"$KV.retune.forged": "$KV.retune.forged", "commit.retune.retrain.m.forged": "retune.retrain.m.forged"} {
		if err := trainer.PublishRequest("retune.metrics.m", answerTo, []byte(`{"metrics": {"loss": 1}}`)); err != nil {
			t.Fatal(err)
		}
		bustest.Eventually(t, 5*time.Second, stored+" is stored", func() bool {
			_, err := bucket.GetLastMsgForSubject(t.Context(), stored)
			return err == nil
		})
	}
}
