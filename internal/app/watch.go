package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// WatchOptions say which outputs to print.
type WatchOptions struct {
	Kind  string    // a key of watched, or all
	Model string    // "": of all models
	Since time.Time // outputs stored since then, too; zero: only new ones
	Count int       // end after so many; 0: never
	JSON  bool      // one JSON object a line
}

// watched maps what the user says to the kind of output and its colour.
var watched = map[string]struct{ kind, color string }{
	"configs": {"config", blue}, "stops": {"stop", yellow}, "retrains": {"retrain", red},
	"summaries": {"summary", green}, "dead": {"dead", red},
}

// WatchKinds are what WatchOptions.Kind may be.
func WatchKinds() []string { return append(slices.Sorted(maps.Keys(watched)), "all") }

// ParseSince reads a duration back from now, a time, a day or "all"; "" is zero.
func ParseSince(s string, now time.Time) (time.Time, error) {
	if s == "all" {
		return time.Unix(1, 0), nil
	}
	at, err := moment("--since", s, now)
	if err != nil {
		return at, &Misuse{fmt.Errorf("%w, or all", err)}
	}
	return at, nil
}

// Watch prints committed outputs in order until ctx ends or there were enough.
func Watch(ctx context.Context, b *bus.Bus, o WatchOptions, out io.Writer) error {
	if err := checkFlag("--model", o.Model); err != nil {
		return err
	}
	outputs, err := b.Watch(ctx, o.filters(b.Settings().Subjects), o.Since)
	if err != nil {
		return err
	}
	defer outputs.Close()
	paint := newPaint(out)
	for printed := 0; o.Count == 0 || printed < o.Count; {
		output, err := outputs.Next(ctx)
		if err != nil {
			return unlessDone(ctx, err)
		}
		if o.Model != "" && modelOf(output) != o.Model {
			continue
		}
		line, err := o.line(output, paint)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
		printed++
	}
	return nil
}

// unlessDone is nil when it was ctx that ended the wait.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// filters narrow down to the model where subjects name it; those of dead letters
// name their partition.
func (o WatchOptions) filters(s wire.Subjects) []string {
	var filters []string
	for _, name := range slices.Sorted(maps.Keys(watched)) {
		if o.Kind != "all" && o.Kind != name {
			continue
		}
		kind := watched[name].kind
		if kind == "dead" {
			filters = append(filters, s.Prefix+".dead.>")
		} else {
			filters = append(filters, s.Prefix+"."+kind+"."+cmp.Or(o.Model, "*")+".>")
		}
	}
	return filters
}

// modelOf goes by the headers, which outputs of all kinds have.
func modelOf(o bus.Output) string {
	return cmp.Or(o.Header["Retune-Model"], o.Header["ce-subject"])
}

func (o WatchOptions) line(output bus.Output, paint paint) (string, error) {
	if !o.JSON {
		return describe(output, paint), nil
	}
	line := struct {
		Subject string            `json:"subject"`
		Time    string            `json:"time"`
		Headers map[string]string `json:"headers"`
		Body    any               `json:"body"`
		Base64  bool              `json:"base64,omitempty"` // the body, which is not text
	}{Subject: output.Subject, Time: wire.Time(output.Time), Headers: output.Header}
	line.Body, line.Base64 = readableBody(output)
	b := new(bytes.Buffer)
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(line)
	return strings.TrimSpace(b.String()), err
}

// readableBody gives a document as JSON and anything else, as dead letters have
// it, as text or in base 64.
func readableBody(o bus.Output) (body any, base bool) {
	if document, err := bodyJSON(o); err == nil {
		return document, false
	}
	if utf8.Valid(o.Body) {
		return string(o.Body), false
	}
	return base64.StdEncoding.EncodeToString(o.Body), true
}

func bodyJSON(o bus.Output) (json.RawMessage, error) {
	body, err := bodyTree(o)
	if err != nil {
		return nil, err
	}
	return wire.Encode(body, wire.JSON)
}

func bodyTree(o bus.Output) (map[string]any, error) {
	tree, err := wire.DecodeTree(o.Body, o.Header["Content-Type"])
	if err != nil {
		return nil, err
	}
	body, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("is not a map")
	}
	return body, nil
}

// describe says in one line what an output is.
func describe(o bus.Output, paint paint) string {
	kind, color := kindOf(o)
	text := fmt.Sprintf("%s %s %s ", paint.text(dim, o.Time.Local().Format("2006-01-02 15:04:05.000")),
		paint.text(color, fmt.Sprintf("%-7s", kind)), printable(modelOf(o)))
	if kind == "dead" {
		return text + printable(fmt.Sprintf("%s (%s, sequence %s, %d bytes)", o.Header["Retune-Error"], o.Header["Retune-Subject"], o.Header["Retune-Sequence"], len(o.Body)))
	}
	body, err := bodyTree(o)
	if err != nil {
		return text + printable(fmt.Sprintf("%d bytes that cannot be read: %v", len(o.Body), err))
	}
	return text + printable(sentence(kind, body))
}

func kindOf(o bus.Output) (kind, color string) {
	kind = strings.TrimSuffix(strings.TrimPrefix(o.Header["ce-type"], "retune."), ".v1")
	for _, w := range watched {
		if w.kind == kind {
			color = w.color
		}
	}
	return kind, color
}

func sentence(kind string, body map[string]any) string {
	place := fmt.Sprintf("%v/%v", body["study"], body["trial"])
	switch kind {
	case "config":
		if body["study"] == nil {
			place = fmt.Sprintf("live #%v", body["number"])
		} else if attempt, _ := body["attempt"].(int64); attempt > 1 {
			place += fmt.Sprintf(" attempt %d", attempt)
		}
		return fmt.Sprintf("%s %s (%v)", place, configText(body["config"]), body["strategy"])
	case "stop":
		return fmt.Sprintf("%s attempt %v: %v", place, body["attempt"], body["reason"])
	case "retrain":
		text := fmt.Sprint(body["trigger"])
		if body["severity"] != nil {
			text += fmt.Sprintf(" (%v)", body["severity"])
		}
		return fmt.Sprintf("%s: %v", text, body["reason"])
	case "summary":
		text := fmt.Sprintf("%v ended (%v), %s", body["study"], body["reason"], countsText(body["counts"]))
		if best, ok := body["best_trial"].(map[string]any); ok {
			text += fmt.Sprintf(", best %s in trial %v with %s", numberText(best["value"]), best["trial"], configText(best["config"]))
		}
		return text
	}
	return fmt.Sprint(body)
}

// configText writes a config as name=value pairs, sorted.
func configText(config any) string { return pairs(config, "=") }

func countsText(counts any) string { return pairs(counts, " ") }

func pairs(v any, between string) string {
	tree, _ := v.(map[string]any)
	list := make([]string, 0, len(tree))
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		list = append(list, name+between+numberText(tree[name]))
	}
	return strings.Join(list, " ")
}

// numberText shortens numbers to what tells them apart at a glance.
func numberText(v any) string {
	if f, ok := v.(float64); ok {
		return fmt.Sprintf("%.6g", f)
	}
	return fmt.Sprint(v)
}
