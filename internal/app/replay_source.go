package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/replay"
	"github.com/visutility/retune/internal/wire"
)

// recorded is one input of the past.
type recorded struct {
	replay.Input
	place string // for messages
	trial bool   // a report of one
	err   error  // why a worker could not use it
}

// past gives inputs until io.EOF.
type past interface {
	next(ctx context.Context) (recorded, error)
	end() time.Time // up to which it goes; zero: not known
	close()
}

func (r *replaying) open(ctx context.Context, g Globals, in io.Reader) (past, error) {
	if r.options.File == "" {
		return openHistory(ctx, g, r.options.Model, r.since)
	}
	input, err := openInput(r.options.File, in)
	if err != nil {
		return nil, &Misuse{err}
	}
	f := &recordedFile{input: input, model: r.options.Model, bar: newProgress(r.notes, input), notes: r.notes}
	source, err := newSource(f.bar.reader(input), input.name, longestLine)
	if err != nil {
		input.Close()
		return nil, err
	}
	if rows, ok := source.(*csvRows); ok {
		rows.labelled()
	}
	if checkModel(f.model) != nil {
		f.model = nameOf(input.name)
	}
	f.lines, f.failed = readLines(ctx, source)
	return f, nil
}

// longestLine is the largest message that the embedded server takes.
const longestLine = 16 << 20

// nameOf makes the name of a model of that of a file.
func nameOf(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	name = strings.Map(func(r rune) rune {
		if r < 128 && wire.CheckName("", string(r)) == nil {
			return r
		}
		return '-'
	}, name)
	return cmp.Or(name[:min(len(name), 128)], "model")
}

// recordedFile has reports as `worker publish` reads them.
type recordedFile struct {
	input   *input
	bar     *progress
	notes   io.Writer
	model   string // of lines that name none
	lines   <-chan line
	failed  <-chan error
	decoder wire.Decoder
	report  wire.Report // scratch
	newest  time.Time
}

func (f *recordedFile) next(ctx context.Context) (recorded, error) {
	select {
	case <-ctx.Done():
		return recorded{}, ctx.Err()
	case l, more := <-f.lines:
		if !more {
			return recorded{}, cmp.Or(ctx.Err(), f.wait(ctx))
		}
		for _, note := range l.notes {
			f.bar.clear()
			fmt.Fprintln(f.notes, printable(note))
		}
		in := recorded{place: fmt.Sprintf("line %d", l.number)}
		in.err = cmp.Or(l.err, f.read(l.body, &in))
		return in, nil
	}
}

// wait is for why there are no more lines.
func (f *recordedFile) wait(ctx context.Context) error {
	select {
	case err := <-f.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *recordedFile) read(body []byte, in *recorded) error {
	if body == nil {
		return nil
	}
	var head struct {
		Model any `msgpack:"model_id"`
		trialFields
		labelFields
	}
	malformed := wire.Decode(body, wire.JSON.ContentType(), &head)
	if in.trial = head.unreported(); in.trial {
		return nil
	}
	if err := f.decoder.DecodeReport(body, wire.JSON.ContentType(), &f.report); err != nil {
		return err
	}
	if malformed != nil {
		return malformed
	}
	in.Model = f.model
	if head.Model != nil {
		var ok bool
		if in.Model, ok = head.Model.(string); !ok {
			return &wire.FieldError{Field: "model_id", Value: fmt.Sprint(head.Model), Problem: "is not a string", Remedy: "quote it"}
		}
	}
	if err := checkModel(in.Model); err != nil {
		return err
	}
	in.Report, in.Stored, in.trial = &f.report, f.report.Time, f.report.Study != ""
	if in.Stored.After(f.newest) {
		f.newest = in.Stored
	}
	var err error
	in.Bad, err = head.bad()
	return err
}

func (f *recordedFile) end() time.Time { return f.newest }

func (f *recordedFile) close() {
	f.bar.finish()
	f.input.Close()
}

// labelFields are beside those of a report: 1 or true from when the model went bad, by what its owner knows.
type labelFields struct {
	Label any `msgpack:"label"`
	Drift any `msgpack:"drift"`
}

func (l labelFields) bad() (*bool, error) {
	name, value := "label", l.Label
	if value == nil {
		name, value = "drift", l.Drift
	}
	if value == nil {
		return nil, nil
	}
	switch text := strings.ToLower(fmt.Sprint(value)); text {
	case "1", "true", "1.0":
		return new(true), nil
	case "0", "false", "0.0":
		return new(false), nil
	default:
		return nil, &wire.FieldError{Field: name, Value: fmt.Sprintf("%.40q", text), Problem: "is not a label", Remedy: "give 0 or false while the model is well, 1 or true while it is bad, or rename the column"}
	}
}

// labelled takes columns of labels for what they are, not for metrics.
func (c *csvRows) labelled() {
	for i, column := range c.columns {
		if column.kind == "metrics" && (column.name == "label" || column.name == "drift") {
			c.columns[i].kind = ""
		}
	}
}

// recordedHistory is what the input stream holds.
type recordedHistory struct {
	bus     *bus.Bus
	history *bus.History
	decoder wire.Decoder
	report  wire.Report // scratch
	command wire.Command
}

func openHistory(ctx context.Context, g Globals, model string, since time.Time) (past, error) {
	b, err := Connect(g)
	if err != nil {
		return nil, err
	}
	if _, err = b.Layout(ctx); err == nil {
		if checkModel(model) != nil {
			model = "*"
		}
		var history *bus.History
		if history, err = b.History(ctx, model, since); err == nil {
			return &recordedHistory{bus: b, history: history}, nil
		}
	}
	b.Close()
	return nil, err
}

func (h *recordedHistory) next(ctx context.Context) (recorded, error) {
	in, err := h.history.Next(ctx)
	if err != nil {
		return recorded{}, err
	}
	r := recorded{place: fmt.Sprintf("sequence %d", in.Sequence)}
	r.err = h.read(in, &r)
	return r, nil
}

func (h *recordedHistory) read(in bus.Input, r *recorded) (err error) {
	kind, _, model, ok := h.bus.Settings().Subjects.ParseInput(in.Subject)
	if !ok {
		return fmt.Errorf("subject %s is not an input's", in.Subject)
	}
	r.Model, r.Stored = model, in.Time
	if err := checkModel(model); err != nil {
		return err
	}
	if kind == wire.KindStudy {
		if h.command, err = wire.DecodeCommand(in.Body, in.ContentType); err == nil && (h.command.Op == "forget" || h.command.Op == "baseline") {
			r.Command = &h.command
		}
		return err
	}
	if err := h.decoder.DecodeReport(in.Body, in.ContentType, &h.report); err != nil {
		return err
	}
	r.Report, r.trial = &h.report, h.report.Study != ""
	if !bytes.Contains(in.Body, []byte("label")) && !bytes.Contains(in.Body, []byte("drift")) {
		return nil // decoding it again costs as much as the first time
	}
	var fields labelFields
	if err := wire.Decode(in.Body, in.ContentType, &fields); err != nil {
		return errors.Join(errors.New("label"), err)
	}
	r.Bad, _ = fields.bad() // a worker does not look at it
	return nil
}

func (h *recordedHistory) end() time.Time { return h.bus.Now() }

func (h *recordedHistory) close() {
	h.history.Close()
	h.bus.Close()
}
