package sink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// receiver is an HTTP server that keeps what it got.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
}

type received struct {
	path   string
	header http.Header
	body   []byte
}

// receive answers by the function, if there is one, with the number of the request from 1.
func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	v := &receiver{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		v.mu.Lock()
		v.requests = append(v.requests, received{r.Method + " " + r.URL.RequestURI(), r.Header, body})
		n := len(v.requests)
		v.mu.Unlock()
		if answer != nil {
			answer(n, w, r)
		}
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *receiver) got() []received {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.requests)
}

// verify is what a receiver does by the Standard Webhooks specification.
func (r received) verify(key []byte) bool {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.header.Get("webhook-id"), r.header.Get("webhook-timestamp"), r.body)
	version, signature, _ := strings.Cut(r.header.Get("webhook-signature"), ",")
	sum, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && version == "v1" && hmac.Equal(sum, mac.Sum(nil))
}

func newWebhook(t *testing.T, w Webhook) *webhook {
	t.Helper()
	s, err := NewWebhook(w)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*webhook)
}

// degraded is an event as the workers store it.
func degraded() Event {
	return Event{
		ID: "01HX", Model: "fraud", Stored: time.Now(), Attempt: 1,
		Body: []byte(`{"id": "01HX", "reason": "Loss degraded <12%>", "value": "NaN"}`),
		Headers: map[string]string{
			"ce-specversion": "1.0", "ce-id": "01HX", "ce-type": "retune.retrain.v1", "ce-source": "/retune", "ce-subject": "fraud",
			"ce-time": "2026-01-02T03:04:05Z", "ce-datacontenttype": "application/json", "Content-Type": "application/json",
			"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Nats-Msg-Id": "x",
		},
	}
}

func TestWebhookPostsASignedCloudEvent(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdefghijklmn")
	raw, encoded := string(key), "whsec_"+base64.StdEncoding.EncodeToString(key)
	for name, secret := range map[string]*string{"raw": &raw, "base 64": &encoded, "none": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := receive(t, nil)
			w := newWebhook(t, Webhook{Name: "ops", URL: v.URL + "/hook?a=b", Secret: secret, Headers: map[string]string{"Authorization": "Bearer t"}})
			w.now = func() time.Time { return time.Unix(1614265330, 5) }
			if err := w.Deliver(t.Context(), degraded()); err != nil || w.Name() != "ops" {
				t.Fatal(err, w.Name())
			}
			got := v.got()[0]
			for name, want := range map[string]string{
				"Content-Type": "application/cloudevents+json", "Webhook-Id": "01HX", "Webhook-Timestamp": "1614265330",
				"Authorization": "Bearer t", "User-Agent": "retune",
			} {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s: %q", name, value)
				}
			}
			if got.path != "POST /hook?a=b" || got.verify(key) != (secret != nil) {
				t.Errorf("%s, signed %q", got.path, got.header.Get("webhook-signature"))
			}
			if secret == nil && got.header.Values("webhook-signature") != nil {
				t.Error("signed without a secret")
			}
			want := `{"data":{"id":"01HX","reason":"Loss degraded <12%>","value":"NaN"},"datacontenttype":"application/json","id":"01HX","source":"/retune","specversion":"1.0","subject":"fraud","time":"2026-01-02T03:04:05Z","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","type":"retune.retrain.v1"}`
			if string(got.body) != want {
				t.Errorf("got  %s\nwant %s", got.body, want)
			}
		})
	}
}

// TestSignature has the example of the reference implementations of Standard Webhooks.
func TestSignature(t *testing.T) {
	t.Parallel()
	secret := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	key, err := Webhook{Secret: &secret}.key()
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
}

func TestWhatIsNoJSONIsSentInBase64(t *testing.T) {
	t.Parallel()
	e := degraded()
	e.Body, e.Headers = []byte{0xc1}, map[string]string{"ce-datacontenttype": "application/msgpack"}
	body, err := cloudEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"specversion": "1.0", "id": "01HX", "datacontenttype": "application/msgpack", "data_base64": "wQ=="}
	if !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
	if _, err := cloudEvent(Event{}); err == nil {
		t.Error("an event without an id was sent")
	}
}

func TestWebhookFailsUnlessTaken(t *testing.T) {
	t.Parallel()
	const secret, token, path = "raw-secret-of-the-hook", "token-of-the-user", "/services/T0/path-secret"
	hide := []string{secret, token, "path-secret", "query-secret", "password-1"}
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		want   string // after the place; "": taken
	}{
		{"200", func(w http.ResponseWriter, _ *http.Request) {}, ""},
		{"202", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }, ""},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, ""},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
			"307 Temporary Redirect: redirects are not followed: give the URL it leads to"},
		{"410", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, "410 Gone"},
		{"500", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			fmt.Fprint(w, "out of\n\tdisk \x1b[31m\xff")
		}, "500 Internal Server Error: out of disk [31m·"},
		{"repeats what it got", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprintln(w, r.Header.Get("X-Token"), r.URL, secret, "no")
		}, "403 Forbidden: *** *** *** no"},
		{"long", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			fmt.Fprint(w, strings.Repeat("a", 1<<20))
		},
			"500 Internal Server Error: " + strings.Repeat("a", maxShown) + "…"},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := receive(t, func(_ int, w http.ResponseWriter, r *http.Request) { c.answer(w, r) })
			key := secret
			place := v.URL
			url := strings.Replace(v.URL, "http://", "http://user:password-1@", 1)
			w := newWebhook(t, Webhook{URL: url + path + "?key=query-secret", Secret: &key, Headers: map[string]string{"X-Token": "Bearer " + token}})
			err := w.Deliver(t.Context(), degraded())
			if (err == nil) != (c.want == "") || err != nil && err.Error() != "POST to "+place+": "+c.want {
				t.Errorf("%v", err)
			}
			if n := len(v.got()); n != 1 {
				t.Errorf("%d requests", n)
			}
			for _, s := range hide {
				if err != nil && strings.Contains(err.Error(), s) {
					t.Errorf("%q is in %v", s, err)
				}
			}
		})
	}
}

func TestWebhookGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		first func(w http.ResponseWriter)
	}{
		{"no answer", func(http.ResponseWriter) {}},
		{"an answer without end", func(w http.ResponseWriter) {
			w.WriteHeader(500)
			fmt.Fprint(w, "slow")
			w.(http.Flusher).Flush()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := receive(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				c.first(w)
				<-r.Context().Done()
			})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := newWebhook(t, Webhook{URL: v.URL}).Deliver(ctx, degraded())
			if took := time.Since(start); err == nil || took > 5*time.Second || !errors.Is(err, context.DeadlineExceeded) && !strings.HasSuffix(err.Error(), ": slow") {
				t.Errorf("%v after %s", err, took)
			}
		})
	}
}

func TestWebhookWithoutAReceiver(t *testing.T) {
	t.Parallel()
	v := receive(t, nil)
	v.Close()
	err := newWebhook(t, Webhook{URL: v.URL + "/path-secret?q=query-secret"}).Deliver(t.Context(), degraded())
	if err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// TestWebhookIsRetried runs it as workers do, and looks at what is logged.
func TestWebhookIsRetried(t *testing.T) {
	t.Parallel()
	secret := "raw-secret-of-the-hook"
	v := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.WriteHeader(503)
			fmt.Fprint(w, r.Header.Get("Authorization"), " is early, ", secret)
		}
	})
	w := newWebhook(t, Webhook{Name: "ops", URL: v.URL + "/path-secret", Secret: &secret, Headers: map[string]string{"Authorization": "Bearer token-of-the-user"}})
	q := newQueue(degraded())
	var logs strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, zerolog.New(zerolog.SyncWriter(&logs)), w, q) }()
	for deadline := time.Now().Add(20 * time.Second); !slices.Contains(q.log(), "ack 01HX") && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := q.log(); !slices.Equal(got, []string{"retry 01HX", "ack 01HX"}) {
		t.Fatal(got)
	}
	requests := v.got()
	if len(requests) != 2 || !requests[0].verify([]byte(secret)) || !requests[1].verify([]byte(secret)) || requests[0].header.Get("webhook-id") != requests[1].header.Get("webhook-id") {
		t.Errorf("%d requests: %v", len(requests), requests)
	}
	if requests[0].header.Get("webhook-timestamp") == requests[1].header.Get("webhook-timestamp") {
		t.Error("a retry bears the time of the first attempt")
	}
	if !strings.Contains(logs.String(), "503 Service Unavailable: *** is early, ***") || strings.Contains(logs.String(), "secret") || strings.Contains(logs.String(), "token") {
		t.Error(logs.String())
	}
}

func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	const url = "https://h"
	for _, c := range []struct {
		w    Webhook
		want string
	}{
		{Webhook{}, "url: is missing: give one such as https://example.com/retrain"},
		{Webhook{URL: "http://user:hidden@[::1"}, "url: what is given is not a URL: give one such as https://example.com/retrain"},
		{Webhook{URL: "ftp://user:hidden@h/hidden"}, `url: "ftp" with host "h" is not of the web: give one such as https://example.com/retrain`},
		{Webhook{URL: "https:/hidden"}, `url: "https" with host "" is not of the web: give one such as https://example.com/retrain`},
		{Webhook{URL: url, Secret: text("")}, "secret: is empty: give one, or leave it out to sign nothing"},
		{Webhook{URL: url, Secret: text("whsec_")}, "secret: is empty: give one, or leave it out to sign nothing"},
		{Webhook{URL: url, Secret: text("whsec_hidden!")}, "secret: what follows whsec_ is not base 64: give the secret as the receiver has it"},
		{Webhook{URL: url, Headers: map[string]string{"A b": "hidden"}}, `headers: "A b" is not the name of a header: use letters, digits and -`},
		{Webhook{URL: url, Headers: map[string]string{"": "hidden"}}, `headers: "" is not the name of a header: use letters, digits and -`},
		{Webhook{URL: url, Headers: map[string]string{"webhook-ID": "hidden"}}, "headers.webhook-ID: is set by the sink: remove it"},
		{Webhook{URL: url, Headers: map[string]string{"A": "hidden\nB: c"}}, "headers.A: the value has a line break or another control character: remove it"},
	} {
		if _, err := NewWebhook(c.w); err == nil || err.Error() != c.want {
			t.Errorf("\n got %v\nwant %s", err, c.want)
		}
	}
}
