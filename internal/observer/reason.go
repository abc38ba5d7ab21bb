package observer

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/visutility/retune/internal/duration"
)

// reason is the sentence of a finding: what got worse, by how much, against what; and for how long, once it lasts for
// more than one report.
func (s *symptom) reason() string {
	name, v := capitalised(s.metric), &s.verdict
	var b strings.Builder
	switch {
	case !finite(s.value):
		return fmt.Sprintf("%s is not finite (%s)", name, notFinite(s.value))
	case v.deviations > 0:
		fmt.Fprintf(&b, "%s degraded by %.1f standard deviations vs. %s %.4g: %.4g now", name, min(v.deviations, 1e6), s.rule.against, v.reference, s.value)
	case v.reference == 0 || s.rule.goalOf(s.metric).worse(s.value, v.reference) <= 0:
		fmt.Fprintf(&b, "%s degraded vs. %s %.4g: %.4g now", name, s.rule.against, v.reference, s.value)
	default:
		fmt.Fprintf(&b, "%s degraded %s%% vs. %s", name, percent(s.value, v.reference), s.rule.against)
	}
	if v.reports > 1 {
		fmt.Fprintf(&b, ", for %d reports", v.reports)
	}
	if v.reports > 1 && s.since != 0 {
		fmt.Fprintf(&b, " since %s", s.since.time().Format(time.RFC3339))
	}
	return b.String()
}

func staleReason(last, now time.Time) string {
	return fmt.Sprintf("No report for %s, since %s", duration.String(now.Sub(last).Truncate(time.Second)), last.Format(time.RFC3339))
}

// capitalised leaves a name that is not UTF-8 as it is.
func capitalised(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	if first == utf8.RuneError {
		return name
	}
	return string(unicode.ToUpper(first)) + name[size:]
}

// notFinite spells a value as reports do.
func notFinite(value float64) string {
	switch {
	case math.IsInf(value, 1):
		return "Infinity"
	case math.IsInf(value, -1):
		return "-Infinity"
	}
	return "NaN"
}

// readable is the percentage from which decimals say nothing, and %.2f would write up to 309 digits.
const readable = 1e15

// percent is |value − reference| / |reference| in percent, computed on halves because the difference may overflow.
func percent(value, reference float64) string {
	p := math.Abs(value/2-reference/2) / math.Abs(reference) * 200
	if p < readable {
		return fmt.Sprintf("%.2f", p)
	}
	return fmt.Sprintf("%.3g", min(p, math.MaxFloat64))
}
