package app

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/wire"
)

// agentView is told what becomes of trials. Its methods are called by several goroutines at once.
type agentView interface {
	started(wire.Config)
	printed(c wire.Config, line []byte, stderr bool) // the line is valid until it returns
	ended(wire.Config, evaluated)
}

// agentLog passes on what programs print, and logs when they start and end.
type agentLog struct {
	log      zerolog.Logger
	prefixed bool // lines tell of which trial they are

	mu       sync.Mutex // lines stay whole
	out, err io.Writer
}

func newAgentLog(o AgentOptions) *agentLog {
	return &agentLog{log: o.Log, prefixed: o.Parallel > 1, out: o.Out, err: o.Err}
}

func (l *agentLog) started(c wire.Config) {
	l.log.Info().Str("study", c.Study).Int("trial", *c.Trial).Int("attempt", c.Attempt).Str("config", printable(configText(c.Config))).Msg("trial starts")
}

func (l *agentLog) printed(c wire.Config, line []byte, stderr bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.out
	if stderr {
		to = l.err
	}
	passOn(to, c, l.prefixed, line)
}

func passOn(w io.Writer, c wire.Config, prefixed bool, line []byte) {
	prefix := ""
	if prefixed {
		prefix = fmt.Sprintf("[trial %d] ", *c.Trial)
	}
	writeLine(w, prefix, line)
}

// writeLine writes with one call, so that lines of several processes stay whole.
func writeLine(w io.Writer, prefix string, line []byte) {
	var b bytes.Buffer
	b.WriteString(prefix)
	b.Write(line)
	b.WriteByte('\n')
	_, _ = w.Write(b.Bytes())
}

func (l *agentLog) ended(c wire.Config, e evaluated) {
	line := l.log.Info()
	if e.state == "failed" {
		line = l.log.Warn().Str("error", printable(e.outcome.Err.Error()))
	}
	line = line.Str("study", c.Study).Int("trial", *c.Trial).Int("attempt", c.Attempt)
	if e.state == "complete" {
		line = line.Float64(e.metric, e.outcome.Metrics[e.metric])
	}
	if e.reason != "" {
		line = line.Str("reason", e.reason)
	}
	line.Str("took", shortDuration(e.outcome.Duration)).Msg("trial " + e.state)
}
