package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// workload is what trainers and operators do while things break: models that are
// tuned and monitored, models that are only monitored, studies one after the
// other, and garbage.
type workload struct {
	t    *testing.T
	nc   *nats.Conn
	js   jetstream.JetStream
	seed uint64
	wg   sync.WaitGroup
	stop chan struct{}

	mu        sync.Mutex
	published map[string]int // live reports acknowledged, by model
	studies   int
}

func newWorkload(t *testing.T, url string, seed uint64) *workload {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // servers go away, that is the point
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &workload{t: t, nc: nc, js: js, seed: seed, stop: make(chan struct{}), published: map[string]int{}}
}

func (w *workload) run(live, monitored, studies int, pause time.Duration) {
	for i := range live {
		w.loop(func(r *rand.Rand, n int) { w.live(fmt.Sprintf("live-%d", i), r, n, true) }, pause)
	}
	for i := range monitored {
		w.loop(func(r *rand.Rand, n int) { w.live(fmt.Sprintf("mon-%d", i), r, n, false) }, pause)
	}
	for i := range studies {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			w.train(fmt.Sprintf("study-%d", i))
		}()
	}
	w.loop(func(r *rand.Rand, n int) { w.garbage(r, n, live) }, 20*pause)
}

// finish ends the workload between two reports.
func (w *workload) finish() {
	close(w.stop)
	w.wg.Wait()
}

func (w *workload) stopped() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

func (w *workload) loop(f func(r *rand.Rand, n int), pause time.Duration) {
	w.seed++
	r := rand.New(rand.NewPCG(w.seed, 1))
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		for n := 0; !w.stopped(); n++ {
			f(r, n)
			time.Sleep(pause/2 + rand.N(pause)) // the pace of a trainer, nothing waits for it
		}
	}()
}

// live publishes the n-th report of a model, whose loss jumps now and then.
func (w *workload) live(model string, r *rand.Rand, n int, tuned bool) {
	loss := 1 + 0.01*r.Float64()
	if n%25 >= 20 {
		loss = 2 + 0.01*r.Float64()
	}
	config := ""
	if tuned {
		config = fmt.Sprintf(`,"config":{"lr":%g,"depth":%d}`, 0.01+r.Float64(), 1+r.IntN(9))
	}
	// A time of their own, so that what is counted in time is the same when the inputs are played again.
	at := time.Unix(1_700_000_000+int64(n), 0).UTC()
	if w.publish("retune.metrics."+model, fmt.Sprintf("%s-%d", model, n), fmt.Sprintf(`{"metrics":{"loss":%g},"run_id":"r%d","time":%q%s}`, loss, n, at.Format(time.RFC3339), config)) {
		w.mu.Lock()
		w.published[model]++
		w.mu.Unlock()
	}
}

func (w *workload) garbage(r *rand.Rand, n, models int) {
	bodies := []string{`{"metrics":`, `{"metrics":{"loss":"high"}}`, `{"study":"none","trial":1,"metrics":{"loss":1}}`, "\xc1\xc1", `{"metrics":{}}`}
	w.publish(fmt.Sprintf("retune.metrics.live-%d", r.IntN(models)), fmt.Sprintf("garbage-%d", n), bodies[r.IntN(len(bodies))])
}

// publish repeats until the stream has acknowledged; the message id keeps a
// repetition from being stored twice.
func (w *workload) publish(subject, id, body string) bool {
	for attempt := 0; attempt < 400; attempt++ {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := w.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{"Content-Type": {"application/json"}}}, jetstream.WithMsgID(id))
		cancel()
		if err == nil {
			return true
		}
		time.Sleep(50 * time.Millisecond) // a server that restarts
	}
	w.t.Errorf("%s: not acknowledged for long", subject)
	return false
}

type suggested struct {
	Study   string             `json:"study"`
	Trial   int                `json:"trial"`
	Attempt int                `json:"attempt"`
	Config  map[string]float64 `json:"config"`
}

const trialsPerStudy = 12

// train starts a study, answers its trials and starts the next, until stopped; the
// last one is finished.
func (w *workload) train(model string) {
	for n := 0; !w.stopped(); n++ {
		name := fmt.Sprintf("s%d", n)
		// A strategy that answers at once: the inputs are played again without waiting for configs.
		start := fmt.Sprintf(`{"op":"start","study":{"name":%q,"objective":{"metric":"loss","goal":"minimize"},"strategy":"tpe","options":{"startup":2},"space":{"x":{"type":"float","low":-1,"high":1},"y":{"type":"float","low":0.001,"high":1,"log":true}},"max_trials":%d,"parallelism":3,"retries":1,"baseline":0.2}}`, name, trialsPerStudy)
		w.publish("retune.study."+model, model+"-"+name, start)
		w.answer(model, name)
		w.mu.Lock()
		w.studies++
		w.mu.Unlock()
	}
}

// answer evaluates the trials of a study until all have ended. It takes them from
// the agents' consumer, as agents do, and so may see one twice.
func (w *workload) answer(model, study string) {
	ended := map[int]bool{}
	deadline := time.Now().Add(90 * time.Second)
	for len(ended) < trialsPerStudy {
		if time.Now().After(deadline) {
			w.t.Errorf("%s %s: only %d of %d trials came", model, study, len(ended), trialsPerStudy)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		consumer, err := w.js.Consumer(ctx, "KV_retune", "retune-agents-"+model)
		cancel()
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		batch, err := consumer.Fetch(5, jetstream.FetchMaxWait(500*time.Millisecond))
		if err != nil {
			continue
		}
		for m := range batch.Messages() {
			var s suggested
			if json.Unmarshal(m.Data(), &s) == nil && s.Study == study && w.evaluate(model, s) {
				ended[s.Trial] = true
			}
			_ = m.Ack()
		}
	}
}

// evaluate reports a trial; some fail, the same ones in every run. It tells whether
// the trial has ended by it.
func (w *workload) evaluate(model string, s suggested) bool {
	subject, id := "retune.metrics."+model, fmt.Sprintf("%s-%s-%d-%d", model, s.Study, s.Trial, s.Attempt)
	who := fmt.Sprintf(`"study":%q,"trial":%d,"attempt":%d`, s.Study, s.Trial, s.Attempt)
	for step := range 3 {
		w.publish(subject, fmt.Sprintf("%s-%d", id, step), fmt.Sprintf(`{%s,"step":%d,"metrics":{"loss":%g}}`, who, step, 1/float64(step+1)))
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s", id)
	if h.Sum32()%5 == 0 {
		w.publish(subject, id+"-end", fmt.Sprintf(`{%s,"state":"failed","error":"out of luck","duration_ms":7}`, who))
		return s.Attempt == 2
	}
	x, y := s.Config["x"], s.Config["y"]
	w.publish(subject, id+"-end", fmt.Sprintf(`{%s,"metrics":{"loss":%g},"duration_ms":7}`, who, x*x+y))
	return true
}
