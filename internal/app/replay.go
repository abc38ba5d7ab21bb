package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/visutility/retune/internal/duration"
	"github.com/visutility/retune/internal/replay"
	"github.com/visutility/retune/internal/wire"
)

// ReplayOptions say what is shown to which monitors.
type ReplayOptions struct {
	File    string // JSON Lines or CSV, perhaps compressed by gzip, "-" being standard input; "": what the input stream holds
	Model   string // pattern of path.Match; "": all. Also the model of lines that name none, if it is a name
	Since   string // a time, or a duration back; "": the beginning
	Until   string // likewise; "": the end
	Monitor string // YAML or @file; "": that of worker.yaml
	Against string // a second one; "": none
	Labels  string // when the models went bad: a list or a file; "": the inputs may say
	Plot    string // an SVG or HTML file to write; "": none
	JSON    bool   // a JSON object a line
}

// maxCharts is how many models a plot has.
const maxCharts = 12

// Replay shows recorded reports to monitors and prints the retrain events that they would have led to. It changes
// nothing: neither state nor streams. Lines that a worker could not use are listed on notes.
func Replay(ctx context.Context, g Globals, o ReplayOptions, in io.Reader, out, notes io.Writer) error {
	r, err := newReplaying(g, o)
	if err != nil {
		return &Misuse{err}
	}
	r.notes = notes
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	source, err := r.open(ctx, g, in)
	if err != nil {
		return err
	}
	defer source.close()
	r.printer = newReplayPrinter(o, r.names, out)
	r.run = replay.New(replay.Options{Monitors: r.monitors, Labels: r.labels, Charts: r.charts(), Tell: r.printer.event})
	if err := r.all(ctx, source); err != nil {
		return err
	}
	subjects, err := r.run.End(r.endOf(source))
	if err != nil {
		return err
	}
	if len(subjects) == 0 {
		return r.nothing()
	}
	r.sum()
	return cmp.Or(r.printer.summary(subjects), r.plot(subjects))
}

// replaying is one run of Replay.
type replaying struct {
	options      ReplayOptions
	since, until time.Time
	monitors     []replay.Monitor
	names        []string // what the monitors are
	labels       replay.Labels
	run          *replay.Replay
	printer      *replayPrinter
	notes        io.Writer

	rejected, trials, others, outside, untimed int // inputs that were left out
}

func newReplaying(g Globals, o ReplayOptions) (r *replaying, err error) {
	r = &replaying{options: o}
	if _, err := path.Match(o.Model, ""); err != nil {
		return nil, fmt.Errorf("--model: %q is not a pattern: use * for any characters, ? for one, [a-z] for one of some", o.Model)
	}
	now := time.Now()
	if r.since, err = moment("--since", o.Since, now); err != nil {
		return nil, err
	}
	if r.until, err = moment("--until", o.Until, now); err != nil {
		return nil, err
	}
	if !r.until.IsZero() && !r.since.Before(r.until) {
		return nil, fmt.Errorf("--until: %s is not after --since: give a later time", o.Until)
	}
	if o.Labels != "" {
		if r.labels, err = readLabels(o.Labels); err != nil {
			return nil, fmt.Errorf("--labels: %w", err)
		}
	}
	if r.monitors, r.names, err = replayMonitors(g, o); err != nil {
		return nil, err
	}
	return r, checkPlot(o.Plot)
}

// moment reads a time, a day, or a duration back from now; "" is zero.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if back, err := duration.Parse(s); err == nil {
		return now.Add(-back), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q is not a time: give a duration back such as 36h or 7d, or a time such as 2026-01-31 or 2026-01-31T12:00:00Z", flag, s)
}

// readLabels takes what is no list for the name of a file.
func readLabels(given string) (replay.Labels, error) {
	labels, mistake := replay.ParseLabels(given)
	if mistake == nil {
		return labels, nil
	}
	file := strings.TrimPrefix(given, "@")
	body, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && !strings.HasPrefix(given, "@") {
		return nil, fmt.Errorf("%w; there is no file of that name either", mistake)
	}
	if err != nil {
		return nil, err
	}
	if labels, err = replay.ParseLabels(string(body)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return labels, nil
}

func checkPlot(file string) error {
	if file == "" {
		return nil
	}
	if ext := filepath.Ext(file); ext != ".svg" && ext != ".html" {
		return fmt.Errorf("--plot: %q is neither SVG nor HTML: give a name that ends in .svg or .html", file)
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return fmt.Errorf("--plot: there is no folder %s: make it first", filepath.Dir(file))
	}
	return nil
}

func (r *replaying) charts() int {
	if r.options.Plot == "" {
		return 0
	}
	return maxCharts
}

// all replays what the source gives.
func (r *replaying) all(ctx context.Context, from past) error {
	for {
		in, err := from.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !r.wants(&in) {
			continue
		}
		if err := r.run.Apply(in.Input); err != nil {
			return err
		}
	}
}

// wants counts what is left out.
func (r *replaying) wants(in *recorded) bool {
	switch {
	case in.Model != "" && !r.matches(in.Model):
		r.others++
	case in.err != nil:
		r.reject(in)
	case in.trial:
		r.trials++
	case in.Report == nil && in.Command == nil:
	case in.Stored.IsZero() && (!r.since.IsZero() || !r.until.IsZero()):
		r.untimed++
	case in.Stored.Before(r.since) || !r.until.IsZero() && in.Stored.After(r.until):
		r.outside++
	default:
		return true
	}
	return false
}

func (r *replaying) matches(model string) bool {
	ok, _ := path.Match(cmp.Or(r.options.Model, "*"), model)
	return ok
}

func (r *replaying) reject(in *recorded) {
	if r.rejected++; r.rejected <= maxListed {
		fmt.Fprintf(r.notes, "%s: %s\n", in.place, printable(in.err.Error()))
	}
}

// endOf is until when silence may be told.
func (r *replaying) endOf(from past) time.Time {
	end := from.end()
	if !r.until.IsZero() && (end.IsZero() || r.until.Before(end)) {
		return r.until
	}
	return end
}

func (r *replaying) nothing() error {
	return fmt.Errorf("no live report to replay%s: see --model, --since and --until", r.leftOut(": "))
}

// leftOut says what was, with text before it.
func (r *replaying) leftOut(before string) string {
	var parts []string
	for _, left := range []struct {
		n    int
		what string
	}{
		{r.rejected, "that a worker could not use"}, {r.trials, "of trials"}, {r.others, "of other models"},
		{r.outside, "of other times"}, {r.untimed, "without a time"},
	} {
		if left.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", left.n, left.what))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return before + strings.Join(parts, ", ")
}

func (r *replaying) sum() {
	if left := r.leftOut("left out: "); left != "" {
		fmt.Fprintln(r.notes, left)
	}
}

// plot writes the file, if one is wanted.
func (r *replaying) plot(subjects []*replay.Subject) error {
	if r.options.Plot == "" {
		return nil
	}
	var body bytes.Buffer
	d := replay.Drawing{Monitors: r.names, Subjects: subjects, Models: len(subjects)}
	if filepath.Ext(r.options.Plot) == ".svg" {
		if err := replay.WriteSVG(&body, d); err != nil {
			return err
		}
	} else if err := r.printer.page(&body, d); err != nil {
		return err
	}
	return os.WriteFile(r.options.Plot, body.Bytes(), 0o644)
}

// checkModel is for what a client published under any subject.
func checkModel(model string) error { return wire.CheckName("model_id", model) }
