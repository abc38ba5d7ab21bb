package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// PublishOptions say which reports to publish, and as whose.
type PublishOptions struct {
	File  string // JSON Lines or CSV, perhaps compressed by gzip; "" or "-": standard input
	Model string // whose reports they are, whatever they say; "": that of each line's model_id
	Study string // of the lines that name none; "": they are live reports
	JSON  bool   // the outcome as a JSON object
}

// Published is the outcome of Publish, in lines.
type Published struct {
	Published      int     `json:"published"`      // stored by the stream
	Rejected       int     `json:"rejected"`       // not sent: a worker could not have used them
	Skipped        int     `json:"skipped"`        // not sent: trials of an exported study without a result
	Unacknowledged int     `json:"unacknowledged"` // sent, perhaps not stored
	Interrupted    bool    `json:"interrupted,omitempty"`
	Seconds        float64 `json:"seconds"`
	PerSecond      float64 `json:"per_second"`
}

// Publish sends the reports of a file to the input stream. Lines that a worker
// could not use are listed on notes with what is wrong, the others are sent; the
// outcome goes to out. It is an error if a line was rejected or not acknowledged,
// none if ctx ended it early.
func Publish(ctx context.Context, b *bus.Bus, o PublishOptions, in io.Reader, out, notes io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	if _, err := b.Layout(ctx); err != nil {
		return err
	}
	input, err := openInput(o.File, in)
	if err != nil {
		return err
	}
	defer input.Close()
	bar := newProgress(notes, input)
	source, err := newSource(bar.reader(input), input.name, int(b.MaxPayload()))
	if err != nil {
		return err
	}
	p := &publication{options: o, bus: b, notes: notes, bar: bar, decoder: new(wire.Decoder)}
	done, err := p.run(ctx, source)
	bar.finish()
	p.sum()
	return cmp.Or(err, done.print(out, o.JSON), done.err())
}

func (o PublishOptions) check() error {
	return cmp.Or(checkFlag("--model", o.Model), checkFlag("--study", o.Study))
}

// checkFlag refuses what is not a name; "" is a flag that was not given.
func checkFlag(flag, name string) error {
	if name == "" {
		return nil
	}
	if err := wire.CheckName(flag, name); err != nil {
		return &Misuse{err}
	}
	return nil
}

func (d Published) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(d)
	}
	text := fmt.Sprintf("published %s in %.1f s (%.0f/s)", plural(d.Published, "report"), d.Seconds, d.PerSecond)
	if d.Rejected > 0 {
		text += fmt.Sprintf(", %d rejected", d.Rejected)
	}
	if d.Skipped > 0 {
		text += fmt.Sprintf(", %d skipped (pruned, stopped, timed out or not yet ended)", d.Skipped)
	}
	if d.Unacknowledged > 0 {
		text += fmt.Sprintf(", %d not acknowledged", d.Unacknowledged)
	}
	if d.Interrupted {
		text += ", then interrupted"
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

func (d Published) err() error {
	if d.Rejected+d.Unacknowledged == 0 {
		return nil
	}
	return fmt.Errorf("%s rejected, %d not acknowledged: correct those listed and publish them again", plural(d.Rejected, "line"), d.Unacknowledged)
}

// publication is one run of Publish.
type publication struct {
	options PublishOptions
	bus     *bus.Bus
	notes   io.Writer
	bar     *progress
	decoder *wire.Decoder
	report  wire.Report // scratch

	mu     sync.Mutex // acknowledgements come from another goroutine
	done   Published
	listed int
}

func (p *publication) run(ctx context.Context, source source) (Published, error) {
	start := time.Now()
	publisher := p.bus.NewPublisher(p.acknowledged)
	failed := p.publishAll(ctx, publisher, source)
	publisher.Close()
	p.done.Interrupted = ctx.Err() != nil
	p.done.Seconds = time.Since(start).Seconds()
	p.done.PerSecond = float64(p.done.Published) / p.done.Seconds
	return p.done, failed
}

func (p *publication) publishAll(ctx context.Context, publisher *bus.Publisher, source source) error {
	lines, failed := readLines(ctx, source)
	for {
		select {
		case <-ctx.Done():
			return nil
		case l, more := <-lines:
			if !more {
				return notEOF(<-failed)
			}
			p.tell(l.notes)
			switch err := p.publish(ctx, publisher, l); {
			case errors.Is(err, errUnreported):
				p.done.Skipped++
			case err != nil && ctx.Err() == nil:
				p.reject(l.number, err)
			}
		}
	}
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (p *publication) publish(ctx context.Context, publisher *bus.Publisher, l line) error {
	if l.err != nil {
		return l.err
	}
	model, body, err := p.prepare(l.body)
	if err != nil {
		return err
	}
	// The server counts headers too.
	if most := p.bus.MaxPayload() - 256; int64(len(body)) > most {
		return fmt.Errorf("has %d bytes: the server takes at most %d (max_payload)", len(body), most)
	}
	return publisher.Publish(ctx, l.number, p.bus.Settings().Subjects.Metrics(model), wire.JSON.ContentType(), body)
}

// prepare finds the model, adds the study where there is none, and checks the
// report as a worker will.
func (p *publication) prepare(body []byte) (model string, _ []byte, err error) {
	var head struct {
		Model any `msgpack:"model_id"`
		Study any `msgpack:"study"`
		trialFields
	}
	malformed := wire.Decode(body, wire.JSON.ContentType(), &head)
	if head.unreported() {
		return "", nil, errUnreported
	}
	if malformed == nil && p.options.Study != "" && head.Study == nil {
		body = withStudy(body, p.options.Study)
	}
	if err := p.decoder.DecodeReport(body, wire.JSON.ContentType(), &p.report); err != nil {
		return "", nil, err
	}
	if malformed != nil {
		return "", nil, malformed
	}
	if p.options.Model != "" {
		return p.options.Model, body, nil
	}
	if head.Model == nil {
		return "", nil, &wire.FieldError{Field: "model_id", Problem: "is missing", Remedy: "add it to the line, or give --model"}
	}
	model, ok := head.Model.(string)
	if !ok {
		return "", nil, &wire.FieldError{Field: "model_id", Value: fmt.Sprint(head.Model), Problem: "is not a string", Remedy: "quote it, or give --model"}
	}
	return model, body, wire.CheckName("model_id", model)
}

// errUnreported: what a line says of a trial follows from reports, and is none.
var errUnreported = errors.New("is no report")

// trialFields tell a trial of an exported study.
type trialFields struct {
	State    any `msgpack:"state"`
	Attempts any `msgpack:"attempts"` // no report has it
}

// unreported tells whether it is in a state that no report of its result can tell of.
func (f trialFields) unreported() bool {
	switch f.State {
	case string(study.Waiting), string(study.Running), string(study.Pruned), string(study.TimedOut), string(study.Stopped):
		return f.Attempts != nil
	}
	return false
}

// withStudy adds the study at the head of a JSON object, the rest of which stays
// as it was written.
func withStudy(object []byte, study string) []byte {
	rest := bytes.TrimLeft(object[bytes.IndexByte(object, '{')+1:], " \t\r\n")
	with := strconv.AppendQuote([]byte(`{"study":`), study)
	if len(rest) > 0 && rest[0] != '}' {
		with = append(with, ',')
	}
	return append(with, rest...)
}

func (p *publication) acknowledged(number int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.done.Published++
		return
	}
	p.done.Unacknowledged++
	p.list(number, "not acknowledged: "+err.Error())
}

func (p *publication) reject(number int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.Rejected++
	p.list(number, err.Error())
}

// maxListed bounds what is said of single lines.
const maxListed = 20

func (p *publication) list(number int, what string) {
	p.listed++
	if p.listed > maxListed {
		return
	}
	p.bar.clear()
	fmt.Fprintf(p.notes, "line %d: %s\n", number, printable(what))
}

// tell says what was found in the input beside what is wrong with single lines.
func (p *publication) tell(notes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, note := range notes {
		p.bar.clear()
		fmt.Fprintln(p.notes, printable(note))
	}
}

// sum says how many lines were not listed.
func (p *publication) sum() {
	if p.listed > maxListed {
		fmt.Fprintf(p.notes, "… and %d more lines\n", p.listed-maxListed)
	}
}
