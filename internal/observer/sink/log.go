package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/rs/zerolog"
)

// NewLog returns the sink that writes each event to logger, level info, on one line. It never fails.
func NewLog(logger zerolog.Logger) Sink { return logSink{logger} }

type logSink struct{ logger zerolog.Logger }

func (logSink) Name() string { return "log" }

func (s logSink) Deliver(_ context.Context, e Event) error {
	line := s.logger.Info().Str("id", e.ID).Str("model", e.Model).Time("stored", e.Stored)
	var about struct {
		Sequence          uint64
		Trigger, Severity string
	}
	if json.Unmarshal(e.Body, &about) == nil {
		line = line.Uint64("sequence", about.Sequence).Str("trigger", about.Trigger).Str("severity", about.Severity)
	}
	if parent := strings.Split(e.Headers["traceparent"], "-"); len(parent) == 4 {
		line = line.Str("trace", parent[1])
	}
	// What is not JSON, or has line breaks, would make the log's line unreadable to machines.
	var body bytes.Buffer
	if json.Compact(&body, e.Body) == nil {
		line = line.RawJSON("event", body.Bytes())
	} else {
		line = line.Bytes("event", e.Body)
	}
	line.Msg("retrain event")
	return nil
}
