package observer

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func entry(more ...any) map[string]any {
	tree := map[string]any{"metric": "loss", "detector": "rolling_mean"}
	for i := 0; i < len(more); i += 2 {
		tree[more[i].(string)] = more[i+1]
	}
	return tree
}

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := Parse([]any{
		entry(),
		entry("window", uint64(4), "threshold", int64(0), "goal", "maximize", "include_current", true),
		entry("window", 5.0, "threshold", nil, "goal", "minimize", "severity", "critical", "for", "1d", "confirm", "3 of 5", "recover", 2),
		entry("metric", "val_F1_score"),
	})
	if err != nil {
		t.Fatal(err)
	}
	plain := Spec{Metric: "loss", Detector: "rolling_mean", Severity: Warning, Confirm: Confirm{1, 1}, Recover: 1}
	second, third, fourth := plain, plain, plain
	second.Goal, fourth.Goal, fourth.Metric = Maximize, Maximize, "val_F1_score"
	third.Severity, third.For, third.Confirm, third.Recover = Critical, 24*time.Hour, Confirm{3, 5}, 2
	for i, want := range []Spec{plain, second, third, fourth} {
		got := m.rules[i].spec
		got.Options = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("rule %d: got %+v\nwant %+v", i, got, want)
		}
	}
	if d := m.rules[1].detector; !reflect.DeepEqual(d, &rollingMean{Maximize, 4, 0, true}) {
		t.Errorf("compiled to %+v", d)
	}
	if d := m.rules[2].detector; !reflect.DeepEqual(d, &rollingMean{Minimize, 5, 0.05, false}) {
		t.Errorf("compiled to %+v", d)
	}
}

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	m, err := Parse(map[string]any{
		"rules": []any{entry(), entry("metric", "f1"), entry("metric", "mae")}, "when": "2 of 3",
		"cool_down": "1h", "repeat": "1d", "stale_after": "30m", "late_after": "0s",
	})
	if err != nil {
		t.Fatal(err)
	}
	m.policy.Rules = nil
	if want := (Policy{Need: 2, CoolDown: time.Hour, Repeat: 24 * time.Hour, StaleAfter: 30 * time.Minute}); !reflect.DeepEqual(m.policy, want) {
		t.Errorf("got %+v\nwant %+v", m.policy, want)
	}
	if m, err := Parse(map[string]any{"rules": []any{entry(), entry("metric", "f1")}, "when": "all"}); err != nil || m.need != 2 || m.policy.LateAfter != time.Minute {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := Parse(map[string]any{"stale_after": "30m"}); err != nil || len(m.rules) != 1 || m.rules[0].spec.Detector != "auto" {
		t.Errorf("without rules: %+v, %v", m, err)
	}
}

func TestParseOfNothing(t *testing.T) {
	t.Parallel()
	for _, tree := range []any{nil, []any{}, map[string]any{"rules": []any{}}} {
		m, err := Parse(tree)
		if err != nil {
			t.Fatal(err)
		}
		if got := feed(m, m.NewState(), math.NaN()); got != nil {
			t.Errorf("an empty monitor found %+v", got)
		}
	}
}

func TestParseNamesTheMistake(t *testing.T) {
	t.Parallel()
	const window = ` is not an integer from 2 to 10000: give one, or leave it out for 20`
	const threshold = ` is not a number ≥ 0: give one, or leave it out for 0.05`
	for want, node := range map[string]any{
		`monitor[1]: 5 is not a mapping: give {metric: loss, detector: auto}`:                                                                 5,
		`monitor[1].metric: "" is not a metric's name: name one that the model reports, as in metric: loss, or leave it out for the main one`: entry("metric", ""),
		`monitor[1].metric: 3 is not a metric's name: name one that the model reports, as in metric: loss, or leave it out for the main one`:  entry("metric", int64(3)),
		`monitor[1].detector: "rollin" is not a known detector: give one of ` + strings.Join(Detectors(), ", "):                               entry("detector", "rollin"),
		`monitor[1].goal: "min" is not a goal: give minimize or maximize`:                                                                     entry("goal", "min"),
		`monitor[1].windw: is not an option of this detector: remove it or give one of window, threshold, include_current`:                    entry("windw", 3),
		`monitor[1].window: 0` + window:          entry("window", 0),
		`monitor[1].window: -7` + window:         entry("window", -7, "threshold", -1, "zzz", 1),
		`monitor[1].window: 1` + window:          entry("window", int64(1)),
		`monitor[1].window: 10001` + window:      entry("window", 10001),
		`monitor[1].window: 2.5` + window:        entry("window", 2.5),
		`monitor[1].window: NaN` + window:        entry("window", math.NaN()),
		`monitor[1].window: "20"` + window:       entry("window", "20"),
		`monitor[1].window: true` + window:       entry("window", true),
		`monitor[1].threshold: -0.1` + threshold: entry("threshold", -0.1),
		`monitor[1].threshold: +Inf` + threshold: entry("threshold", math.Inf(1)),
		`monitor[1].goal: "minimize" is not used without a metric: name the metric, or leave the goal out`:                            map[string]any{"detector": "rolling_mean", "goal": "minimize"},
		`monitor[1].severity: "bad" is not a severity: give warning or critical`:                                                      entry("severity", "bad"),
		`monitor[1].for: 3 is not a duration: give one such as 90s, 36h or 7d`:                                                        entry("for", 3),
		`monitor[1].confirm: "3 of 2" is not n of m with 1 ≤ n ≤ m ≤ 64: give one such as "3 of 5", or leave it out for every report`: entry("confirm", "3 of 2"),
		`monitor[1].confirm: 3 is not n of m with 1 ≤ n ≤ m ≤ 64: give one such as "3 of 5", or leave it out for every report`:        entry("confirm", 3),
		`monitor[1].recover: 0 is not an integer from 1 to 10000: give one, or leave it out for 1`:                                    entry("recover", 0),
		`monitor[1].include_current: "yes" is not true or false: give one, or leave it out for false`:                                 entry("include_current", "yes"),
		`monitor[1]: says the same as monitor[0]: remove one of them`:                                                                 entry("window", 20, "goal", "minimize"),
	} {
		_, err := Parse([]any{entry(), node})
		if err == nil || err.Error() != want {
			t.Errorf("%v:\ngot  %v\nwant %s", node, err, want)
		}
	}
}

func TestParsePolicyNamesTheMistake(t *testing.T) {
	t.Parallel()
	two := []any{entry(), entry("metric", "f1")}
	for want, node := range map[string]any{
		`monitor: 5 is not a list of rules or a mapping: give - {metric: loss, detector: auto}`:                                                                              5,
		`monitor.metric: is not a field of a monitor: remove it or give one of rules, when, cool_down, repeat, stale_after, late_after; what is of one rule stands in rules`: map[string]any{"metric": "loss"},
		`monitor.rules: "loss" is not a list of rules: give - {metric: loss, detector: auto}`:                                                                                map[string]any{"rules": "loss"},
		`monitor.rules[0].window: 0 is not an integer from 2 to 10000: give one, or leave it out for 20`:                                                                     map[string]any{"rules": []any{entry("window", 0)}},
		`monitor.when: "2 of 3" is not any, all or n of m: give one of them; there are 2 rules, so m is 2`:                                                                   map[string]any{"rules": two, "when": "2 of 3"},
		`monitor.when: 2 is not any, all or n of m: give one of them; there are 2 rules, so m is 2`:                                                                          map[string]any{"rules": two, "when": 2},
		`monitor.stale_after: "soon" is not a duration: give one such as 90s, 36h or 7d`:                                                                                     map[string]any{"rules": two, "stale_after": "soon"},
		`monitor.rules[1]: says the same as monitor.rules[0]: remove one of them`:                                                                                            map[string]any{"rules": []any{entry(), entry()}},
	} {
		if _, err := Parse(node); err == nil || err.Error() != want {
			t.Errorf("%v:\ngot  %v\nwant %s", node, err, want)
		}
	}
}

func TestParseNeverPanics(t *testing.T) {
	t.Parallel()
	value := rapid.SampledFrom([]any{nil, "", "loss", "rolling_mean", "maximize", true, 3, int64(-1), uint64(math.MaxUint64),
		math.Inf(-1), 0.5, []any{}, []any{1}, map[string]any{"a": 1}, map[any]any{1: 2}})
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SampledFrom([]string{"metric", "detector", "goal", "window", "threshold", "include_current", "severity", "for", "confirm", "recover", "x"})
		tree := rapid.MapOf(keys, value).Draw(t, "tree")
		if rapid.Bool().Draw(t, "named") {
			tree["metric"], tree["detector"] = "loss", "rolling_mean"
		}
		if _, err := Parse([]any{tree}); err != nil && !strings.HasPrefix(err.Error(), "monitor[0]") {
			t.Fatalf("error without a place: %v", err)
		}
	})
}
