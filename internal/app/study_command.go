package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// StartOptions say what study to start and how long to stay.
type StartOptions struct {
	File    string        // YAML or JSON; "-": standard input
	Model   string        // goes before the file's
	Wait    bool          // until the study has ended
	Timeout time.Duration // for a worker to take the command up
	JSON    bool
}

// StartStudy starts a study and waits until a worker has done so, or refused. With
// Wait it goes on until the study has ended and prints the outcome; if ctx ends
// first, the study goes on without it.
func StartStudy(ctx context.Context, b *bus.Bus, o StartOptions, in io.Reader, out io.Writer) error {
	if err := checkFlag("--model", o.Model); err != nil {
		return err
	}
	file, err := ReadStudyFile(o.File, in)
	if err != nil {
		return err
	}
	model := cmp.Or(o.Model, file.Model)
	if model == "" {
		return &Misuse{fmt.Errorf("%s: names no model: add `model: NAME` or give --model", o.File)}
	}
	sent, err := command(ctx, b, model, map[string]any{"op": "start", "study": file.Definition}, o.Timeout)
	if err != nil {
		return err
	}
	name := cmp.Or(file.Name, "study-"+strconv.FormatUint(sent.sequence, 10))
	stands, next := "is started", "waiting for its end"
	if v, err := findStudy(ctx, b, model, name); err == nil && v.State != running {
		stands, next = fmt.Sprintf("has ended (%s) and does not start again", v.State), "its result"
	}
	if !o.Wait {
		return say(out, o.JSON, sent.reply(name), "study %s of model %s %s: worker study show %s %s", name, model, stands, model, name)
	}
	if !o.JSON {
		fmt.Fprintf(out, "study %s of model %s %s: %s\n", name, model, stands, next)
	}
	ended, err := sent.awaitEnd(ctx, b, name)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted: study %s of model %s runs on: worker study show %s %s", name, model, model, name)
	}
	if err != nil {
		return err
	}
	return cmp.Or(ended.show(ctx, b, ShowStudyOptions{JSON: o.JSON, Limit: 10}, out), ended.failure())
}

// StopStudy ends a study. One that has ended stays as it is.
func StopStudy(ctx context.Context, b *bus.Bus, model, name string, timeout time.Duration, asJSON bool, out io.Writer) error {
	sent, err := commandOn(ctx, b, model, map[string]any{"op": "stop", "name": name}, timeout)
	if err != nil {
		return err
	}
	return say(out, asJSON, sent.reply(name), "study %s of model %s has ended", name, model)
}

// EnqueueConfig makes a config the next that the study tries.
func EnqueueConfig(ctx context.Context, b *bus.Bus, model, name string, config map[string]any, timeout time.Duration, asJSON bool, out io.Writer) error {
	sent, err := commandOn(ctx, b, model, map[string]any{"op": "enqueue", "name": name, "config": config}, timeout)
	if err != nil {
		return err
	}
	return say(out, asJSON, sent.reply(name), "study %s of model %s will try %s", name, model, configText(config))
}

// NewBaseline has the monitor of a model begin anew, as it does by itself when a new version reports.
func NewBaseline(ctx context.Context, b *bus.Bus, model string, timeout time.Duration, asJSON bool, out io.Writer) error {
	if err := wire.CheckName("model", model); err != nil {
		return &Misuse{err}
	}
	sent, err := command(ctx, b, model, map[string]any{"op": "baseline"}, timeout)
	if err != nil {
		return err
	}
	return say(out, asJSON, map[string]any{"model": model, "sequence": sent.sequence}, "the monitor of model %s begins anew", model)
}

// ParseConfig reads a JSON object, or name=value pairs in which a value that reads
// as JSON (1e-3, true, "1") is that, and any other is a string.
func ParseConfig(object string, pairs []string) (map[string]any, error) {
	config := map[string]any{}
	if object != "" {
		tree, err := wire.DecodeTree([]byte(object), wire.JSON.ContentType())
		if err != nil {
			return nil, &Misuse{fmt.Errorf("-c: %w", err)}
		}
		var ok bool
		if config, ok = tree.(map[string]any); !ok {
			return nil, &Misuse{fmt.Errorf("-c: %s is not an object: give one such as {\"lr\": 0.1}", object)}
		}
	}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, &Misuse{fmt.Errorf("%q is not a parameter: give name=value", pair)}
		}
		value, err := wire.DecodeTree([]byte(text), wire.JSON.ContentType())
		if err != nil {
			value = text
		}
		config[name] = value
	}
	if len(config) == 0 {
		return nil, &Misuse{errors.New("give a config: name=value …, or -c '{\"name\": value}'")}
	}
	return config, nil
}

// sentCommand is a command that a worker has applied.
type sentCommand struct {
	model     string
	partition int
	sequence  uint64
}

func (c sentCommand) reply(name string) any {
	return map[string]any{"model": c.model, "study": name, "sequence": c.sequence}
}

// say prints the object as JSON, or else the text.
func say(out io.Writer, asJSON bool, object any, format string, args ...any) error {
	if asJSON {
		return json.NewEncoder(out).Encode(object)
	}
	_, err := fmt.Fprintf(out, format+"\n", args...)
	return err
}

// commandOn is command for one that names a study.
func commandOn(ctx context.Context, b *bus.Bus, model string, fields map[string]any, timeout time.Duration) (sentCommand, error) {
	if err := errors.Join(wire.CheckName("model", model), wire.CheckName("study", fields["name"].(string))); err != nil {
		return sentCommand{}, &Misuse{err}
	}
	return command(ctx, b, model, fields, timeout)
}

// command publishes a study command and waits until a worker has applied or
// refused it.
func command(ctx context.Context, b *bus.Bus, model string, fields map[string]any, timeout time.Duration) (sentCommand, error) {
	body, err := wire.Encode(fields, wire.JSON)
	if err != nil {
		return sentCommand{}, err
	}
	if _, err := wire.DecodeCommand(body, wire.JSON.ContentType()); err != nil {
		return sentCommand{}, &Misuse{err}
	}
	layout, err := b.Layout(ctx)
	if err != nil {
		return sentCommand{}, err
	}
	sent := sentCommand{model: model, partition: layout.Partition(model)}
	outputs, err := b.Watch(ctx, sent.signs(b.Settings().Subjects), time.Time{})
	if err != nil {
		return sentCommand{}, err
	}
	defer outputs.Close()
	if sent.sequence, err = b.Publish(ctx, b.Settings().Subjects.StudyCommand(model), wire.JSON.ContentType(), body); err != nil {
		return sentCommand{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = sent.await(waiting, outputs)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return sentCommand{}, sent.unanswered(ctx, b, timeout)
	}
	return sent, err
}

// signs are the subjects on which it shows that a worker has got to the command:
// the state of the model and of its partition, and dead letters.
func (c sentCommand) signs(s wire.Subjects) []string {
	return []string{
		s.KeySubject(wire.ModelKey(c.partition, c.model)), s.KeySubject(wire.OffsetKey(c.partition)),
		fmt.Sprintf("%s.dead.%d.*", s.Prefix, c.partition),
	}
}

// await relies on the order in which a worker stores things: a dead letter of an
// input comes before any state that was written after it.
func (c sentCommand) await(ctx context.Context, outputs *bus.Outputs) error {
	for {
		o, err := outputs.Next(ctx)
		if err != nil {
			return err
		}
		if refusal := o.Header["Retune-Error"]; refusal != "" {
			if o.Header["Retune-Sequence"] == strconv.FormatUint(c.sequence, 10) {
				return fmt.Errorf("refused: %s", printable(refusal))
			}
			continue
		}
		var applied struct {
			Sequence uint64 `msgpack:"seq"`
		}
		if wire.UnmarshalState(o.Body, &applied) == nil && applied.Sequence >= c.sequence {
			return nil
		}
	}
}

// unanswered says why nobody may have got to the command.
func (c sentCommand) unanswered(ctx context.Context, b *bus.Bus, timeout time.Duration) error {
	workers, err := b.Workers(ctx)
	if err != nil {
		return err
	}
	if len(workers) == 0 {
		return fmt.Errorf("no answer within %s: no worker seems to run; the command is stored (sequence %d) and will be applied when one does", timeout, c.sequence)
	}
	var lag uint64
	for _, w := range workers {
		lag += w.Lag[c.partition]
	}
	return fmt.Errorf("no answer within %s: %d workers run, %d inputs wait in partition %d; the command is stored (sequence %d) and will be applied in its turn", timeout, len(workers), lag, c.partition, c.sequence)
}

// awaitEnd waits for the record that a worker writes when a study has ended, and
// returns it: a replica that lags may not have it yet.
func (c sentCommand) awaitEnd(ctx context.Context, b *bus.Bus, name string) (StudyView, error) {
	key := wire.FinishedKey(c.partition, c.model, name)
	outputs, err := b.Watch(ctx, []string{b.Settings().Subjects.KeySubject(key)}, time.Time{})
	if err != nil {
		return StudyView{}, err
	}
	defer outputs.Close()
	there, err := b.ReadLatest(ctx, []string{key})
	if err != nil {
		return StudyView{}, err
	}
	record := there[key]
	if record.Value == nil {
		written, err := outputs.Next(ctx)
		if err != nil {
			return StudyView{}, err
		}
		record = bus.Entry{Key: key, Value: written.Body}
	}
	return viewStudy(record)
}

// failure is an error if the study ended because it could not go on, or found nothing.
func (v *StudyView) failure() error {
	switch {
	case v.State == study.EndFailing:
		return fmt.Errorf("study %s of model %s failed: %s", v.Name, v.Model, printable(cmp.Or(v.Error, "ten trials in a row")))
	case v.Best == nil:
		return fmt.Errorf("study %s of model %s ended (%s) without a complete trial", v.Name, v.Model, v.State)
	}
	return nil
}
