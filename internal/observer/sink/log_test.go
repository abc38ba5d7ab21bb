package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestLogWritesOneLine(t *testing.T) {
	t.Parallel()
	stored := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for body, want := range map[string]string{
		"{\"reason\":\n \"Loss degraded\"}": `"event":{"reason":"Loss degraded"}`,
		"not\nJSON":                         `"event":"not\nJSON"`,
		"":                                  `"event":""`,
	} {
		var out strings.Builder
		s := NewLog(zerolog.New(&out))
		if err := s.Deliver(t.Context(), Event{ID: "01H", Model: "fraud", Body: []byte(body), Stored: stored}); err != nil {
			t.Fatal(err)
		}
		line := `{"level":"info","id":"01H","model":"fraud","stored":"2026-01-02T03:04:05Z",` + want + `,"message":"retrain event"}` + "\n"
		if out.String() != line {
			t.Errorf("got  %swant %s", &out, line)
		}
	}
	if got := NewLog(zerolog.Nop()).Name(); got != "log" {
		t.Errorf("name %q", got)
	}
}
