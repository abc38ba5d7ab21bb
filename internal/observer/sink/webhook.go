package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Webhook says where events are sent by HTTP. URL, secret and headers may hold credentials: none of them is in an
// error or a log, but for scheme and host of the URL.
type Webhook struct {
	Name string
	URL  string // http or https
	// Secret signs what is sent: after whsec_ the key in base 64, otherwise the key itself. nil: not signed.
	Secret  *string
	Headers map[string]string // sent along
}

// NewWebhook returns the sink that posts each event as a CloudEvent of version 1.0 in JSON, in structured mode
// (JSON Event Format and HTTP Protocol Binding for CloudEvents 1.0.2), signed by the Standard Webhooks specification
// 1.0.0. An answer with status 2xx takes the event; redirects are not followed. An error begins with the field.
func NewWebhook(w Webhook) (Sink, error) {
	target, err := w.target()
	if err != nil {
		return nil, err
	}
	key, err := w.key()
	if err != nil {
		return nil, err
	}
	header, err := w.header()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Events are too rare for a connection to be of use to the next one.
	transport.DisableKeepAlives = true
	transport.MaxResponseHeaderBytes = 64 << 10
	return &webhook{
		name: w.Name, url: target, key: key, header: header, now: time.Now, conceal: w.concealer(target),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

type webhook struct {
	name    string
	url     *url.URL
	key     []byte // nil: not signed
	header  http.Header
	client  *http.Client
	now     func() time.Time
	conceal *strings.Replacer // of credentials that an answer repeats
}

func (w *webhook) Name() string { return w.name }

func (w *webhook) Deliver(ctx context.Context, e Event) error {
	request, err := w.request(ctx, e)
	if err != nil {
		return err
	}
	answer, err := w.client.Do(request)
	if err != nil {
		// The client's own error has the whole URL.
		if sent := (*url.Error)(nil); errors.As(err, &sent) {
			err = sent.Err
		}
		return fmt.Errorf("POST to %s: %w", w.place(), err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return nil
	}
	return w.refusal(answer)
}

func (w *webhook) request(ctx context.Context, e Event) (*http.Request, error) {
	body, err := cloudEvent(e)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("POST to %s cannot be made", w.place())
	}
	request.Header = w.header.Clone()
	timestamp := strconv.FormatInt(w.now().Unix(), 10)
	request.Header.Set("webhook-id", e.ID)
	request.Header.Set("webhook-timestamp", timestamp)
	if w.key != nil {
		request.Header.Set("webhook-signature", sign(w.key, e.ID, timestamp, body))
	}
	return request, nil
}

// place is what may be shown of the URL.
func (w *webhook) place() string { return w.url.Scheme + "://" + w.url.Host }

// Of an answer that refuses an event maxAnswer bytes are read and maxShown shown.
const (
	maxAnswer = 4 << 10
	maxShown  = 300
)

func (w *webhook) refusal(answer *http.Response) error {
	// What was read until an error is better than nothing.
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	text := strings.Join(strings.FieldsFunc(w.conceal.Replace(strings.ToValidUTF8(string(body), "·")), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	err := fmt.Errorf("POST to %s: %d %s", w.place(), answer.StatusCode, http.StatusText(answer.StatusCode))
	switch {
	case answer.StatusCode/100 == 3:
		return fmt.Errorf("%w: redirects are not followed: give the URL it leads to", err)
	case text != "":
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// sign is the signature of the Standard Webhooks specification, symmetric scheme v1.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// cloudEvent makes attributes of the headers of binary mode and adds the trace context by the Distributed Tracing
// extension. What is no JSON goes in base 64.
func cloudEvent(e Event) ([]byte, error) {
	if e.ID == "" {
		return nil, errors.New("the event has no header ce-id")
	}
	event := map[string]any{"specversion": "1.0", "id": e.ID}
	for name, value := range e.Headers {
		if attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-"); ok {
			event[attribute] = value
		}
	}
	if trace := e.Headers["traceparent"]; trace != "" {
		event["traceparent"] = trace
	}
	if json.Valid(e.Body) {
		event["data"] = json.RawMessage(e.Body)
	} else {
		event["data_base64"] = e.Body
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(event); err != nil {
		return nil, fmt.Errorf("event as JSON: %w", err)
	}
	return bytes.TrimSpace(body.Bytes()), nil
}

func (w Webhook) target() (*url.URL, error) {
	if w.URL == "" {
		return nil, errors.New("url: is missing: give one such as https://example.com/retrain")
	}
	u, err := url.Parse(w.URL)
	if err != nil {
		return nil, errors.New("url: what is given is not a URL: give one such as https://example.com/retrain")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("url: %q with host %q is not of the web: give one such as https://example.com/retrain", u.Scheme, u.Host)
	}
	return u, nil
}

// prefix marks keys in base 64; see Signature scheme in the specification.
const prefix = "whsec_"

func (w Webhook) key() ([]byte, error) {
	if w.Secret == nil {
		return nil, nil
	}
	encoded, ok := strings.CutPrefix(*w.Secret, prefix)
	key := []byte(*w.Secret)
	if ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("secret: what follows whsec_ is not base 64: give the secret as the receiver has it")
		}
	}
	if len(key) == 0 {
		return nil, errors.New("secret: is empty: give one, or leave it out to sign nothing")
	}
	return key, nil
}

// ours are the headers that a user cannot set.
var ours = []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Host", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}

func (w Webhook) header() (http.Header, error) {
	header := http.Header{"Content-Type": {"application/cloudevents+json"}, "User-Agent": {"retune"}}
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		if name == "" || strings.ContainsFunc(name, notInToken) {
			return nil, fmt.Errorf("headers: %q is not the name of a header: use letters, digits and -", name)
		}
		if slices.Contains(ours, http.CanonicalHeaderKey(name)) {
			return nil, fmt.Errorf("headers.%s: is set by the sink: remove it", name)
		}
		if strings.ContainsFunc(w.Headers[name], unicode.IsControl) {
			return nil, fmt.Errorf("headers.%s: the value has a line break or another control character: remove it", name)
		}
		header.Set(name, w.Headers[name])
	}
	return header, nil
}

// notInToken is by RFC 9110, 5.6.2.
func notInToken(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// concealer hides the credentials, and their parts as in "Bearer TOKEN".
func (w Webhook) concealer(target *url.URL) *strings.Replacer {
	password, _ := target.User.Password()
	values := []string{w.URL, target.RequestURI(), target.EscapedPath(), target.Path, password}
	values = append(values, base64.StdEncoding.EncodeToString([]byte(target.User.Username()+":"+password)))
	values = append(values, strings.Split(target.EscapedPath(), "/")...)
	for _, parameter := range target.Query() {
		values = append(values, parameter...)
	}
	values = slices.AppendSeq(values, maps.Values(w.Headers))
	if w.Secret != nil {
		values = append(values, *w.Secret, strings.TrimPrefix(*w.Secret, prefix))
	}
	for _, value := range values {
		values = append(values, strings.Fields(value)...)
	}
	for _, value := range values { // as a JSON string has it
		if quoted, err := json.Marshal(value); err == nil {
			values = append(values, string(quoted[1:len(quoted)-1]))
		}
		values = append(values, strings.ReplaceAll(value, "/", `\/`))
	}
	// The replacer takes the first that fits.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, value := range values {
		if len(value) > len("Bearer") {
			pairs = append(pairs, value, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}
