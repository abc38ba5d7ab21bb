package duration

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * Day, "7d12h": 7*Day + 12*time.Hour, "0s": 0, "1.5h": 90 * time.Minute,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "-1s", "d", "1x", "40000d", "1d-2h", "1e9h"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"7d": 7 * Day, "36h": 36 * time.Hour, "30m": 30 * time.Minute, "1m30s": 90 * time.Second, "0s": 0, "10s": 10 * time.Second, "2h5m": 125 * time.Minute,
	} {
		if got := String(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
