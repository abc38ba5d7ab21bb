package observer

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func entry(more ...any) map[string]any {
	tree := map[string]any{"metric": "loss", "detector": "rolling_mean"}
	for i := 0; i < len(more); i += 2 {
		tree[more[i].(string)] = more[i+1]
	}
	return tree
}

func TestParseSpecs(t *testing.T) {
	t.Parallel()
	tree := []any{
		entry(),
		entry("window", uint64(4), "threshold", int64(0), "goal", "maximize", "include_current", true),
		entry("window", 5.0, "threshold", nil, "goal", "minimize"),
	}
	got, err := ParseSpecs(tree)
	want := []Spec{
		{"loss", "rolling_mean", Minimize, map[string]any{}},
		{"loss", "rolling_mean", Maximize, map[string]any{"window": uint64(4), "threshold": int64(0), "include_current": true}},
		{"loss", "rolling_mean", Minimize, map[string]any{"window": 5.0, "threshold": nil}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	m := monitorOf(t, got...)
	if d := m.watches[1].detector; !reflect.DeepEqual(d, &rollingMean{Maximize, 4, 0, true}) {
		t.Errorf("compiled to %+v", d)
	}
	if d := m.watches[2].detector; !reflect.DeepEqual(d, &rollingMean{Minimize, 5, 0.05, false}) {
		t.Errorf("compiled to %+v", d)
	}
}

func TestParseSpecsOfNothing(t *testing.T) {
	t.Parallel()
	specs, err := ParseSpecs(nil)
	if err != nil || len(specs) != 0 {
		t.Fatal(specs, err)
	}
	m := monitorOf(t, specs...)
	if got := feed(m, m.NewState(), math.NaN()); got != nil {
		t.Errorf("an empty monitor found %+v", got)
	}
}

func TestParseSpecsNamesTheMistake(t *testing.T) {
	t.Parallel()
	const window = ` is not an integer from 2 to 10000: give one, or leave it out for 20`
	const threshold = ` is not a number ≥ 0: give one, or leave it out for 0.05`
	for want, node := range map[string]any{
		`monitor[1]: 5 is not a mapping: give {metric: loss, detector: rolling_mean}`:                                      5,
		`monitor[1].metric: is missing: name one that the model reports, as in metric: loss`:                               map[string]any{"detector": "rolling_mean"},
		`monitor[1].metric: "" is not a metric's name: name one that the model reports, as in metric: loss`:                entry("metric", ""),
		`monitor[1].metric: 3 is not a metric's name: name one that the model reports, as in metric: loss`:                 entry("metric", int64(3)),
		`monitor[1].detector: is missing: give one of rolling_mean`:                                                        map[string]any{"metric": "f1"},
		`monitor[1].detector: "rollin" is not a known detector: give one of rolling_mean`:                                  entry("detector", "rollin"),
		`monitor[1].goal: "min" is not a goal: give minimize or maximize`:                                                  entry("goal", "min"),
		`monitor[1].windw: is not an option of this detector: remove it or give one of window, threshold, include_current`: entry("windw", 3),
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
		`monitor[1].include_current: "yes" is not true or false: give one, or leave it out for false`: entry("include_current", "yes"),
		`monitor[1]: says the same as monitor[0]: remove one of them`:                                 entry("window", 20, "goal", "minimize"),
	} {
		_, err := ParseSpecs([]any{entry(), node})
		if err == nil || err.Error() != want {
			t.Errorf("%v:\ngot  %v\nwant %s", node, err, want)
		}
	}
}

func TestParseSpecsNeverPanics(t *testing.T) {
	t.Parallel()
	value := rapid.SampledFrom([]any{nil, "", "loss", "rolling_mean", "maximize", true, 3, int64(-1), uint64(math.MaxUint64),
		math.Inf(-1), 0.5, []any{}, []any{1}, map[string]any{"a": 1}, map[any]any{1: 2}})
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SampledFrom([]string{"metric", "detector", "goal", "window", "threshold", "include_current", "x"})
		tree := rapid.MapOf(keys, value).Draw(t, "tree")
		if rapid.Bool().Draw(t, "named") {
			tree["metric"], tree["detector"] = "loss", "rolling_mean"
		}
		if _, err := ParseSpecs([]any{tree}); err != nil && !strings.HasPrefix(err.Error(), "monitor[0]") {
			t.Fatalf("error without a place: %v", err)
		}
	})
}
