// Package duration reads and writes durations as people do: as of Go, with days.
package duration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// Longest is the longest duration that is taken: 100 years.
const Longest = 36500 * Day

// Parse reads a duration of 0 to 100 years, such as 90s, 36h, 7d or 7d12h.
func Parse(s string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a duration: give one such as 90s, 36h or 7d", s)
	days, rest, inDays := strings.Cut(s, "d")
	if !inDays {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 64)
	if err != nil || n > uint64(Longest/Day) {
		return 0, wrong
	}
	var d time.Duration
	if rest != "" || !inDays {
		d, err = time.ParseDuration(rest)
	}
	if err != nil || d < 0 || d > Longest {
		return 0, wrong
	}
	return time.Duration(n)*Day + d, nil
}

// String is the duration as people write it.
func String(d time.Duration) string {
	if d >= Day && d%Day == 0 {
		return fmt.Sprintf("%dd", d/Day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
