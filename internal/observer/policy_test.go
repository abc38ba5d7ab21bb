package observer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// limit fires when a value is above 1.
func limit(metric string) Spec {
	return Spec{Metric: metric, Detector: "threshold", Options: map[string]any{"limit": 1.0}}
}

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// script plays reports and returns what is told, as "minute: severity metric". A line is
// "minute metric=value …", with "stored=minute" where the report came later, or "minute tick", or "minute new version".
func script(t *testing.T, p Policy, lines ...string) (told []string) {
	t.Helper()
	m, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	st := m.NewState()
	for _, line := range lines {
		var minute int
		words := strings.Fields(line)
		_, _ = fmt.Sscan(words[0], &minute)
		at := midnight.Add(time.Duration(minute) * time.Minute)
		var f Finding
		var ok bool
		switch words[1] {
		case "tick":
			f, ok = m.Tick(st, at)
		case "new":
			m.Rebase(st)
		default:
			f, ok = m.Observe(st, reportOf(words[1:], at))
		}
		if ok {
			told = append(told, strings.TrimSpace(fmt.Sprintf("%d: %s %s", minute, f.Severity, f.Metric)))
		}
		st = m.Restore(m.Snapshot(st)) // as if another worker took over
	}
	return told
}

func reportOf(words []string, at time.Time) Report {
	r := Report{Time: at, Stored: at}
	for _, word := range words {
		var x float64
		name, value, _ := strings.Cut(word, "=")
		_, _ = fmt.Sscan(value, &x)
		if name == "stored" {
			r.Stored = midnight.Add(time.Duration(x) * time.Minute)
		} else {
			r.Metrics = append(r.Metrics, Metric{name, x})
		}
	}
	return r
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	loss := limit("loss")
	critical := Spec{Metric: "loss", Detector: "threshold", Severity: Critical, Options: map[string]any{"limit": 5.0}}
	with := func(change func(*Spec)) []Spec { s := loss; change(&s); return []Spec{s} }
	three := []Spec{limit("a"), limit("b"), limit("c")}
	for name, c := range map[string]struct {
		policy Policy
		lines  string
		want   string
	}{
		"an episode is told once":            {Policy{Rules: []Spec{loss}}, "0 loss=0; 1 loss=2; 2 loss=3; 3 loss=0; 4 loss=2", "1: warning loss; 4: warning loss"},
		"what is missing has not recovered":  {Policy{Rules: []Spec{loss}}, "1 loss=2; 2 other=0; 3 loss=2", "1: warning loss"},
		"it gets worse":                      {Policy{Rules: []Spec{loss, critical}}, "1 loss=2; 2 loss=6; 3 loss=2; 4 loss=6; 5 loss=0; 6 loss=6", "1: warning loss; 2: critical loss; 6: critical loss"},
		"a NaN is critical at once":          {Policy{Rules: with(func(s *Spec) { s.For = time.Hour })}, "0 loss=0; 1 loss=NaN; 2 loss=NaN; 3 loss=0; 4 loss=2", "1: critical loss"},
		"for":                                {Policy{Rules: with(func(s *Spec) { s.For = 10 * time.Minute })}, "0 loss=2; 9 loss=2; 10 loss=2; 20 loss=0; 21 loss=2; 29 loss=0; 30 loss=2; 35 loss=2; 41 loss=2", "10: warning loss; 41: warning loss"},
		"for does not count what is missing": {Policy{Rules: with(func(s *Spec) { s.For = 10 * time.Minute })}, "0 loss=2; 30 other=2; 31 loss=2", "31: warning loss"},
		"confirm":                            {Policy{Rules: with(func(s *Spec) { s.Confirm = Confirm{2, 3} })}, "0 loss=2; 1 loss=0; 2 loss=0; 3 loss=2; 4 loss=0; 5 loss=2; 6 loss=0; 7 loss=2; 8 loss=0; 9 loss=0; 10 loss=2; 11 loss=2", "5: warning loss; 7: warning loss; 11: warning loss"},
		"confirm outlasts a healthy report":  {Policy{Rules: with(func(s *Spec) { s.Confirm = Confirm{2, 5} })}, "0 loss=2; 1 loss=2; 2 loss=0; 3 loss=2; 4 loss=0; 5 loss=0; 6 loss=2", "1: warning loss"},
		"recover":                            {Policy{Rules: with(func(s *Spec) { s.Recover = 2 })}, "0 loss=2; 1 loss=0; 2 loss=2; 3 loss=0; 4 loss=0; 5 loss=2", "0: warning loss; 5: warning loss"},
		"any of several is one episode":      {Policy{Rules: three}, "0 a=2 b=0 c=0; 1 a=2 b=2 c=0; 2 a=0 b=2 c=0; 3 a=0 b=0 c=0; 4 a=0 b=0 c=2", "0: warning a; 4: warning c"},
		"all":                                {Policy{Rules: three, Need: 3}, "0 a=2 b=2 c=0; 1 c=2; 2 b=0; 3 b=2", "1: warning c; 3: warning b"},
		"two of three":                       {Policy{Rules: three, Need: 2}, "0 a=2; 1 c=2; 2 b=2; 3 a=0; 4 b=0; 5 b=2", "1: warning c; 5: warning b"},
		"cool-down":                          {Policy{Rules: []Spec{loss}, CoolDown: 10 * time.Minute}, "0 loss=2; 1 loss=0; 2 loss=2; 3 loss=0; 4 loss=2; 9 loss=2; 10 loss=2; 11 loss=2", "0: warning loss; 10: warning loss"},
		"a cool-down does not hide what gets worse":      {Policy{Rules: []Spec{loss, critical}, CoolDown: time.Hour}, "0 loss=2; 1 loss=6", "0: warning loss; 1: critical loss"},
		"nor does one of a warning hide a NaN":           {Policy{Rules: []Spec{loss}, CoolDown: time.Hour}, "0 loss=2; 1 loss=0; 2 loss=2; 3 loss=NaN; 4 loss=0; 5 loss=NaN; 6 loss=0; 7 loss=2", "0: warning loss; 3: critical loss"},
		"a cool-down ends with the version":              {Policy{Rules: []Spec{loss}, CoolDown: time.Hour}, "0 loss=2; 1 new version; 2 loss=2", "0: warning loss; 2: warning loss"},
		"repeat":                                         {Policy{Rules: []Spec{loss}, Repeat: 10 * time.Minute}, "0 loss=2; 5 loss=2; 10 loss=2; 15 loss=2; 16 other=1; 20 loss=2; 21 loss=0; 31 loss=0", "0: warning loss; 10: warning loss; 20: warning loss"},
		"stale":                                          {Policy{StaleAfter: 30 * time.Minute}, "0 tick; 5 loss=1; 34 tick; 35 tick; 36 tick; 99 tick; 100 loss=1; 129 tick; 131 tick", "35: warning; 131: warning"},
		"stale, repeated":                                {Policy{StaleAfter: 30 * time.Minute, Repeat: time.Hour}, "0 loss=1; 30 tick; 31 tick; 90 tick; 149 tick; 150 tick", "30: warning; 90: warning; 150: warning"},
		"a new version of a silent model":                {Policy{StaleAfter: 30 * time.Minute}, "0 loss=1; 1 new version; 31 tick; 32 new version; 99 tick", "31: warning"},
		"a silence hides no reports that were held back": {Policy{Rules: []Spec{loss}, StaleAfter: 30 * time.Minute}, "0 loss=2; 1 loss=0; 200 tick; 100 stored=210 loss=0; 101 stored=210 loss=2; 102 stored=210 loss=0", "0: warning loss; 200: warning; 101: warning loss"},
		"a cool-down of silences":                        {Policy{Rules: []Spec{loss}, StaleAfter: 30 * time.Minute, CoolDown: 2 * time.Hour}, "0 loss=0; 30 tick; 35 loss=0; 70 tick; 71 loss=2; 72 loss=0; 150 tick", "30: warning; 71: warning loss; 150: warning"},
		"a finite value of a warning is no NaN":          {Policy{Rules: []Spec{loss}, Repeat: 10 * time.Minute}, "0 loss=NaN; 1 loss=2; 10 loss=2; 11 loss=0; 12 loss=2", "0: critical loss; 10: warning loss; 12: warning loss"},
		"times centuries apart":                          {Policy{Rules: []Spec{loss}, CoolDown: time.Hour, LateAfter: time.Minute}, "-150000000 stored=0 loss=2; -149999999 stored=0 loss=0; 10 loss=2; -150000000 stored=11 loss=0; 12 loss=2", "-150000000: warning loss; 10: warning loss"},
		"a late report is not judged":                    {Policy{Rules: []Spec{loss}, LateAfter: time.Minute}, "10 loss=2; 5 loss=0; 11 loss=2; 5 loss=9", "10: warning loss"},
		"a report a little late is":                      {Policy{Rules: []Spec{loss}, LateAfter: time.Minute}, "10 loss=2; 9 loss=0; 11 loss=2", "10: warning loss; 11: warning loss"},
		"a late report breaks the silence":               {Policy{Rules: []Spec{loss}, StaleAfter: 30 * time.Minute}, "10 loss=0; 5 stored=30 loss=0; 45 tick; 60 tick", "60: warning"},
		"a clock ahead does not stop the judgement":      {Policy{Rules: []Spec{loss}, LateAfter: time.Minute}, "9999 stored=1 loss=0; 2 loss=2", "2: warning loss"},
		"a repeated time":                                {Policy{Rules: []Spec{loss}}, "1 loss=0; 1 loss=2; 1 loss=0; 1 loss=2", "1: warning loss; 1: warning loss"},
	} {
		got := strings.Join(script(t, c.policy, strings.Split(c.lines, ";")...), "; ")
		if got != c.want {
			t.Errorf("%s:\n%s\ntells %s\nwant  %s", name, c.lines, got, c.want)
		}
	}
}

func TestFindingOfASilence(t *testing.T) {
	t.Parallel()
	m, _ := New(Policy{StaleAfter: 30 * time.Minute})
	st := m.NewState()
	m.Observe(st, Report{Stored: midnight})
	f, told := m.Tick(st, midnight.Add(45*time.Minute))
	want := Finding{Trigger: Stale, Severity: Warning, Reason: "No report for 45m, since 2026-03-01T00:00:00Z", Value: 2700, Reference: 1800, Since: midnight}
	if !told || f != want {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
}

// TestSinceIsOfTheFirstReport of those that the change lasts, or is not said.
func TestSinceIsOfTheFirstReport(t *testing.T) {
	t.Parallel()
	values := make([]float64, 200)
	for i := range values {
		values[i] = 1 + 0.01*float64(i*7919%13-6)
		if i >= 100 {
			values[i] += 0.2
		}
	}
	for _, name := range Detectors() {
		if name == "threshold" || name == "ddm" || strings.HasPrefix(name, "hddm") {
			continue
		}
		m, st := monitorOf(t, Spec{Metric: "loss", Detector: name}), &State{}
		for i, value := range values {
			at := midnight.Add(time.Duration(i) * time.Minute)
			f, told := m.Observe(st, Report{Metrics: []Metric{{"loss", value}}, Time: at, Stored: at})
			if want := at.Add(-time.Duration(f.Reports-1) * time.Minute); told && !f.Since.IsZero() && !f.Since.Equal(want) {
				t.Errorf("%s at %d: %d reports since %v, the first was at %v", name, i, f.Reports, f.Since, want)
			}
		}
	}
}

// TestUnnamedMetrics are never the main one.
func TestUnnamedMetrics(t *testing.T) {
	t.Parallel()
	m, st := monitorOf(t, Spec{Detector: "rolling_mean", Options: map[string]any{"window": 2}}), &State{}
	for range 5 {
		observe(m, st, Metric{"", 5})
	}
	for range 2 {
		if got := observe(m, st, Metric{"loss", 50}); got != nil {
			t.Errorf("loss is compared with what has no name: %+v", got)
		}
	}
}

func TestMainMetric(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{
		"accuracy loss":          "loss",
		"f1_score accuracy":      "accuracy",
		"val_loss loss":          "loss",
		"epoch_seconds":          "",
		"train_loss val_loss":    "val_loss",
		"Accuracy latency_ms":    "Accuracy",
		"test_accuracy rmse x":   "rmse",
		"validation_f1 custom_a": "validation_f1",
	} {
		var metrics []Metric
		for _, name := range strings.Fields(names) {
			metrics = append(metrics, Metric{name, 1})
		}
		if got := mainMetric(metrics); got != want {
			t.Errorf("%s: %q, want %q", names, got, want)
		}
		slices.Reverse(metrics)
		if got := mainMetric(metrics); got != want {
			t.Errorf("%s, reversed: %q, want %q", names, got, want)
		}
	}
}

// TestMainMetricStays: the first report decides, and its name whether more is better.
func TestMainMetricStays(t *testing.T) {
	t.Parallel()
	m := monitorOf(t, Spec{Detector: "rolling_mean", Options: map[string]any{"window": 2}})
	st := m.NewState()
	for _, x := range []float64{0.9, 0.9} {
		observe(m, st, Metric{"accuracy", x})
	}
	if got := observe(m, st, Metric{"loss", 9}); got != nil {
		t.Errorf("another metric is judged: %+v", got)
	}
	st = m.Restore(m.Snapshot(st))
	if got := observe(m, st, Metric{"accuracy", 0.99}, Metric{"loss", 1}); got != nil {
		t.Errorf("a better accuracy is told: %+v", got)
	}
	if got := observe(m, st, Metric{"loss", 1}, Metric{"accuracy", 0.5}); len(got) != 1 || got[0].Metric != "accuracy" {
		t.Errorf("a worse accuracy is told as %+v", got)
	}
}

// TestEpisodesOfAnyPolicy: whatever the reports, no two events come within the cool-down unless it got worse, none
// repeats early, and a state that was stored goes on alike.
func TestEpisodesOfAnyPolicy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.IntRange(0, 30)
		p := Policy{
			Rules: []Spec{limit("loss"), limit("f1"), {Metric: "loss", Detector: "threshold", Severity: Critical, Options: map[string]any{"limit": 2.0}}},
			Need:  rapid.IntRange(1, 3).Draw(t, "need"), CoolDown: time.Duration(minutes.Draw(t, "cool-down")) * time.Minute,
			Repeat: time.Duration(minutes.Draw(t, "repeat")) * time.Minute, StaleAfter: time.Duration(minutes.Draw(t, "stale")) * time.Minute,
			LateAfter: time.Minute,
		}
		n := rapid.IntRange(1, 5).Draw(t, "confirm of")
		p.Rules[0].Confirm, p.Rules[0].Recover = Confirm{rapid.IntRange(1, n).Draw(t, "confirm"), n}, rapid.IntRange(1, 3).Draw(t, "recover")
		p.Rules[1].For = time.Duration(minutes.Draw(t, "for")) * time.Minute
		m, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		st, other := m.NewState(), m.NewState()
		value := rapid.SampledFrom([]string{"0", "1.5", "3", "NaN"})
		minute, clock, last := 0, -1000, -1000
		worst := Severity("")
		for range rapid.IntRange(0, 60).Draw(t, "reports") {
			minute += rapid.IntRange(-2, 12).Draw(t, "minutes")
			clock = max(clock, minute)
			at := midnight.Add(time.Duration(minute) * time.Minute)
			words := []string{"loss=" + value.Draw(t, "loss"), "f1=" + value.Draw(t, "f1")}[rapid.IntRange(0, 1).Draw(t, "from"):rapid.IntRange(1, 2).Draw(t, "to")]
			f, told := m.Observe(st, reportOf(words, at))
			other = m.Restore(m.Snapshot(other))
			if f2, told2 := m.Observe(other, reportOf(words, at)); told != told2 || fmt.Sprint(f) != fmt.Sprint(f2) {
				t.Fatalf("at %d: %v %+v, restored before it %v %+v", minute, told, f, told2, f2)
			}
			if !told {
				continue
			}
			since := time.Duration(clock-last) * time.Minute
			if since < p.CoolDown && !f.Severity.worse(worst) && (p.Repeat == 0 || since < p.Repeat) {
				t.Fatalf("at %d: %+v, %v after the last", minute, f, since)
			}
			last, worst = clock, f.Severity
		}
	})
}
