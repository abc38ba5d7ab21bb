package coordinator

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/wire"
)

// output is a message for subscribers, as decided.
type output struct {
	kind    string
	subject string
	header  map[string]string
	body    []byte
	ttl     time.Duration
	by      cause
	labels  []string // of the metric that counts its kind
}

// cause is what an output follows from: an input, or time (sequence 0).
type cause struct {
	model    string
	sequence uint64
	now      time.Time
	trace    string // traceparent of the input
}

// step collects what one input or tick leads to.
type step struct {
	cause
	config     *Config
	names      wire.Subjects
	room       int // bytes that a message may have
	outputs    []output
	agents     bool             // the model's trials are about to be shared out
	retrained  bool             // by a study that a retrain event started
	unsearched bool             // no study can be started by a retrain event
	prior      []strategy.Trial // results of the earlier studies that a start command names
	changed    bool             // the model has to be written
	late       bool             // the report was too old to be judged
	notes      []note
	err        error
	metrics    []observer.Metric // scratch
}

// note is something to log once the step is committed.
type note struct {
	model    string
	sequence uint64
	warn     bool
	text     string
	err      string
}

func (s *step) note(warn bool, err, format string, args ...any) {
	s.notes = append(s.notes, note{s.model, s.sequence, warn, fmt.Sprintf(format, args...), err})
}

// emitRetrain emits an event and says how it is counted.
func (s *step) emitRetrain(event wire.Retrain) {
	s.emit(KindRetrain, s.names.Retrain(s.model, event.ID), event.ID, event)
	if s.err == nil {
		s.outputs[len(s.outputs)-1].labels = []string{event.Trigger, cmp.Or(event.Severity, "none")}
	}
}

// emit encodes a message under the encoding of its kind and adds the headers that
// every output bears. id "" derives one.
func (s *step) emit(kind, subject, id string, message any) {
	encoding := s.config.Encoding[kind]
	body, err := wire.Encode(message, encoding)
	if err == nil && len(body) > s.room {
		err = fmt.Errorf("%d bytes, the server takes %d: raise its max_payload", len(body), s.room)
	}
	if err != nil {
		s.err = fmt.Errorf("encode %s: %w", kind, err)
		return
	}
	ttl := s.config.TTL[kind]
	if kind == KindConfig && subject == s.names.LiveConfig(s.model) {
		ttl = 0
	}
	s.outputs = append(s.outputs, output{
		kind: kind, subject: subject, header: s.header(kind, id, encoding.ContentType()), body: body, ttl: ttl, by: s.cause,
	})
}

// header gives CloudEvents 1.0 attributes in binary mode (NATS protocol binding)
// and the W3C trace context.
func (s *step) header(kind, id, contentType string) map[string]string {
	index := len(s.outputs)
	if id == "" {
		id = wire.ID(s.now, s.model+"/"+kind, s.sequence, index)
	}
	return map[string]string{
		"Content-Type":       contentType,
		"traceparent":        traceParent(s.trace, id),
		"ce-specversion":     "1.0",
		"ce-id":              id,
		"ce-type":            "retune." + kind + ".v1",
		"ce-source":          "/" + s.names.Prefix,
		"ce-subject":         s.model,
		"ce-time":            wire.Time(s.now),
		"ce-datacontenttype": contentType,
	}
}

// traceParent continues the trace of a report under a span of our own, or starts
// one that is not sampled; both derive from the id of the output.
func traceParent(parent, id string) string {
	sum := sha256.Sum256([]byte(id))
	span := hex.EncodeToString(sum[:8])
	if p := strings.Split(parent, "-"); len(p) >= 4 && len(p[0]) == 2 && len(p[1]) == 32 && len(p[2]) == 16 && len(p[3]) == 2 && isHex(p[1]) && isHex(p[3]) {
		return "00-" + p[1] + "-" + span + "-" + p[3]
	}
	return "00-" + hex.EncodeToString(sum[8:24]) + "-" + span + "-00"
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && strings.Trim(s, "0") != "" || s == "00"
}

// deadBody is how much of an unusable input its dead letter carries.
const deadBody = 16 << 10

// deadSlots per partition are reused in turn, so that garbage cannot fill the store.
const deadSlots = 1000

// dead makes the dead letter of an input. class is one of the reasons of deadletter.go.
func (s *step) dead(partition, slot int, subject, contentType string, body []byte, class string, reason error) output {
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	h := s.header(KindDead, "", headerText(contentType))
	h["ce-subject"] = headerText(s.model)
	h["Retune-Error"] = headerText(reason.Error())
	h["Retune-Model"] = headerText(s.model)
	h["Retune-Subject"] = subject
	h["Retune-Sequence"] = strconv.FormatUint(s.sequence, 10)
	return output{
		kind: KindDead, subject: s.names.Dead(partition, slot), header: h, body: body[:min(len(body), deadBody)],
		ttl: s.config.TTL[KindDead], by: s.cause, labels: []string{class},
	}
}

// headerText makes a text fit for a header: one line, of bounded length.
func headerText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "…"
	}
	return s
}
