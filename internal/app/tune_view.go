package app

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// tuneView shows how far a study is: as a bar on a terminal, elsewhere as a line per trial.
type tuneView struct {
	notes    io.Writer
	verbose  bool
	prefixed bool
	metric   string

	mu  sync.Mutex
	bar *progressbar.ProgressBar // nil: no terminal
}

func newTuneView(t *tuning, v StudyView, parallel int) *tuneView {
	view := &tuneView{notes: t.notes, verbose: t.Verbose, prefixed: parallel > 1}
	view.metric, _ = v.objective()
	if isTerminal(t.notes) {
		view.bar = progressbar.NewOptions(v.expected(), progressbar.OptionSetWriter(t.notes), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
			progressbar.OptionSpinnerType(14), progressbar.OptionSetDescription("tuning "+printable(view.metric)))
		view.progress(v)
	}
	return view
}

// expected is how many trials there will be at the most; -1 if only time bounds them.
func (v *StudyView) expected() int {
	d, err := study.Parse(v.Definition)
	if err != nil {
		return -1
	}
	n := d.MaxTrials
	if size, finite := d.Space.Size(); finite && (n == 0 || size < uint64(n)) && size < 1<<31 {
		n = int(size)
	}
	if n == 0 {
		return -1
	}
	return n
}

// ended is how many trials will not change any more.
func (v *StudyView) ended() int {
	return v.total() - v.Counts[study.Waiting] - v.Counts[study.Running]
}

// follow moves the bar with the study's record, until ctx ends.
func (w *tuneView) follow(ctx context.Context, b *bus.Bus, key string) {
	if w.bar == nil {
		return
	}
	for ; ctx.Err() == nil; pause(ctx, rejoinPause) {
		records, err := b.Watch(ctx, []string{b.Settings().Subjects.KeySubject(key)}, time.Unix(1, 0))
		if err != nil {
			continue
		}
		for {
			record, err := records.Next(ctx)
			if err != nil {
				break
			}
			if v, err := viewStudy(bus.Entry{Key: key, Value: record.Body}); err == nil {
				w.progress(v)
			}
		}
		records.Close()
	}
}

func (w *tuneView) progress(v StudyView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v.Best != nil {
		w.bar.Describe(fmt.Sprintf("best %s %s in trial %d", printable(w.metric), numberText(*v.Best.Value), v.Best.Number))
	}
	_ = w.bar.Set(v.ended())
}

// say prints lines above the bar.
func (w *tuneView) say(print func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bar == nil {
		print()
		return
	}
	_ = w.bar.Clear()
	print()
	_ = w.bar.RenderBlank()
}

func (w *tuneView) started(wire.Config) {}

func (w *tuneView) printed(c wire.Config, line []byte, _ bool) {
	if w.verbose {
		w.say(func() { passOn(w.notes, c, w.prefixed, line) })
	}
}

// ended tells of failures, and where there is no bar of every trial.
func (w *tuneView) ended(c wire.Config, e evaluated) {
	var what string
	switch {
	case e.state == "failed":
		what = "failed: " + brief(e.outcome.Err.Error())
	case w.bar != nil || e.state == "interrupted":
		return
	case e.state == "stopped":
		what = "stopped: " + e.reason
	default:
		what = printable(e.metric) + " " + numberText(e.outcome.Metrics[e.metric])
	}
	w.say(func() {
		fmt.Fprintf(w.notes, "trial %d (%s, %s) %s\n", *c.Trial, printable(configText(c.Config)), shortDuration(e.outcome.Duration), what)
	})
}

// briefLines are what is shown of a failure; all that is known is in the trial's record.
const briefLines = 5

func brief(failure string) string {
	var lines []string
	for line := range strings.SplitSeq(failure, "\n") {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, printable(strings.ReplaceAll(line, "\t", "  ")))
		}
	}
	if len(lines) > briefLines+1 {
		lines = append([]string{lines[0], "…"}, lines[len(lines)-briefLines:]...)
	}
	return strings.Join(lines, "\n  ")
}

func (w *tuneView) close() {
	if w.bar != nil {
		_ = w.bar.Finish()
	}
}
