package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestLogWritesOneLine(t *testing.T) {
	t.Parallel()
	const trace = "0123456789abcdef0123456789abcdef"
	stored := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for body, want := range map[string]string{
		"{\"reason\":\n \"Loss degraded\",\"trigger\":\"degraded\",\"severity\":\"warning\",\"sequence\":7}": `"sequence":7,"trigger":"degraded","severity":"warning",` +
			`"trace":"` + trace + `","event":{"reason":"Loss degraded","trigger":"degraded","severity":"warning","sequence":7}`,
		"not\nJSON": `"trace":"` + trace + `","event":"not\nJSON"`,
		"":          `"trace":"` + trace + `","event":""`,
	} {
		var out strings.Builder
		s := NewLog(zerolog.New(&out))
		event := Event{ID: "01H", Model: "fraud", Body: []byte(body), Stored: stored, Headers: map[string]string{"traceparent": "00-" + trace + "-0123456789abcdef-01"}}
		if err := s.Deliver(t.Context(), event); err != nil {
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
