package app

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/visutility/retune/internal/insight"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/study"
)

func printed(t testing.TB, v StudyView, width int, o ShowStudyOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := newStudyScreen(v, v.StartedAt.Add(90*time.Second), width).print(&out, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestStudyOnATerminal(t *testing.T) {
	t.Parallel()
	const want = `maximize auc by random, max_trials 9, pruner median
7 trials: 2 complete, 1 pruned, 1 running, 1 waiting, 2 failed
best: 0.75 in trial 3 with kind=true size=32

best auc so far, over 2 complete trials
   0.75 ┤                             ╭─────────────────────────────
 0.7083 ┤                             │
 0.6667 ┤                             │
  0.625 ┤                             │
 0.5833 ┤                             │
 0.5417 ┤                             │
    0.5 ┼─────────────────────────────╯

PARAMETER  VALUES                                         BEST
kind       categorical net, deep, true                    true
lr         float 1e-05 to 0.1 log if kind is net or deep  -
size       16, 32                                         32
importance: needs at least 15 complete trials, has 2

TRIAL  STATE     VALUE  STEP  DURATION  ATTEMPTS  kind  lr        size
3      complete  0.75   -     -         1         true  -         32
0      complete  0.5    -     1.5s      1         net   0.001235  16
2      pruned    NaN    5     -         1         deep  1e-05     16
4      running   0.25   2     -         1         true  -         16
5      waiting   -      -     -         1         true  -         16
1      failed    -      -     -         2         true  -         32
6      failed    -      -     -         1         true  -         32

failed (1, 6): out of memory,·then ·[31mlost
`
	first, got, _ := strings.Cut(printed(t, examined(), 74, ShowStudyOptions{}), "\n")
	if got != want || !strings.HasPrefix(first, "s of model m: running, started ") || !strings.HasSuffix(first, ", for 1m30s") {
		t.Errorf("%s\n%s\nwanted\n%s", first, got, want)
	}
}

func TestStudyOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	got := printed(t, examined(), 44, ShowStudyOptions{Limit: 2})
	for _, want := range []string{
		"\n    0.5 ┼──────────────╯\n",
		"\nlr         float 1e-05 to 0.1 log if …  -\n",
		"\nimportance: needs at least 15 complete tria…\n",
		"\nTRIAL  STATE     VALUE  DURATION  ATTEMPTS\n3      complete  0.75   -         1\n0      complete  0.5    1.5s      1\n… and 5 more trials: --limit 0 shows all\n",
		"\nno room for 3 parameters: worker study export m s has all\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	v := examined()
	v.Best.Config["kind"] = strings.Repeat("long", 20)
	if got := printed(t, v, 44, ShowStudyOptions{}); !strings.Contains(got, "\nbest: 0.75 in trial 3\n") {
		t.Errorf("\n%s", got)
	}
	for width := range 120 {
		for _, line := range strings.Split(printed(t, v, width+1, ShowStudyOptions{}), "\n") {
			if strings.HasPrefix(line, "TRIAL") && runes(line) > max(width+1, 52) {
				t.Errorf("%d columns: %s", width+1, line)
			}
		}
	}
}

func TestStudyInAPipe(t *testing.T) {
	t.Parallel()
	v := examined()
	long := strings.Repeat("long", 20)
	v.Trials[5].Config["kind"] = long
	got := printed(t, v, 0, ShowStudyOptions{Limit: 3, Latest: true})
	for _, want := range []string{
		"\nTRIAL  STATE    VALUE  STEP  DURATION  ATTEMPTS  kind",
		"\n6      failed   -      -     -         1         true ",
		"\n5      waiting  -      -     -         1         " + long + "  -   16\n",
		"\n4      running  0.25   2     -         1         true ",
		"\n… and 4 more trials: --limit 0 shows all\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "no room") {
		t.Errorf("\n%s", got)
	}
}

func TestAStudyThatHasJustBegun(t *testing.T) {
	t.Parallel()
	v := examined()
	v.Trials, v.Counts, v.Best = v.Trials[5:6], map[study.TrialState]int{study.Waiting: 1}, nil
	got := printed(t, v, 80, ShowStudyOptions{})
	if !strings.Contains(got, "\n1 trial: 1 waiting\n\nPARAMETER  VALUES\n") || strings.Contains(got, "best") {
		t.Errorf("\n%s", got)
	}
	if got := printed(t, StudyView{Definition: map[string]any{}}, 80, ShowStudyOptions{}); !strings.Contains(got, "\n0 trials\n") {
		t.Errorf("\n%s", got)
	}
}

// tried is a study of 60 trials in which lr decides, and kind a little.
func tried() StudyView {
	v := examined()
	v.Trials = nil
	tree, _ := v.Definition["space"].(map[string]any)
	space, _ := strategy.ParseSpace(tree)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		trial := study.Trial{Number: i, State: study.Complete, Config: space.Sample(random), Value: new(float64)}
		if lr, ok := trial.Config["lr"].(float64); ok {
			*trial.Value = -math.Abs(math.Log10(lr) + 3)
		}
		v.Trials = append(v.Trials, trial)
	}
	v.Best = &v.Trials[0]
	return v
}

func TestImportanceIsShown(t *testing.T) {
	t.Parallel()
	v := tried()
	s := newStudyScreen(v, v.StartedAt, 80)
	lr := insight.Share{}
	for _, share := range s.importance.Shares {
		if share.Parameter == "lr" {
			lr = share
		}
	}
	got := printed(t, v, 80, ShowStudyOptions{})
	for _, want := range []string{
		fmt.Sprintf(" %2.0f%% %s (%d trials)\n", 100*lr.Share, strings.Repeat("█", int(math.Round(12*lr.Share))), lr.Trials),
		"\nsize       16, 32                                      16      0%\n",
		fmt.Sprintf("\nimportance: by fANOVA of 60 complete trials, explaining %.0f%% of their order\n", 100*s.importance.Explained),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if !strings.HasSuffix(strings.Split(got[strings.Index(got, "TRIAL"):], "\n")[0], "  size") {
		t.Errorf("the columns are not in the order of importance:\n%s", got)
	}
	v.Definition["space"] = map[string]any{"size": map[string]any{"values": []any{1, 2}}}
	if got := printed(t, v, 80, ShowStudyOptions{}); !strings.Contains(got, "importance: needs") {
		t.Errorf("\n%s", got)
	}
}

func TestStudyAsJSON(t *testing.T) {
	t.Parallel()
	v := examined()
	v.Best = &v.Trials[2] // with an intermediate value that is not finite
	var out bytes.Buffer
	if err := newStudyScreen(v, v.StartedAt, 0).printJSON(&out); err != nil {
		t.Fatal(err)
	}
	got := object[map[string]any](t, &out)
	best, trials := got["best"].(map[string]any), got["trials"].([]any)
	if got["study"] != "s" || len(trials) != 7 || best["point_values"].([]any)[1] != "NaN" || got["importance"] != nil ||
		got["importance_unknown"] != "needs at least 15 complete trials, has 2" {
		t.Errorf("%s", &out)
	}
	out.Reset()
	if err := newStudyScreen(tried(), v.StartedAt, 0).printJSON(&out); err != nil {
		t.Fatal(err)
	}
	got = object[map[string]any](t, &out)
	importance, _ := got["importance"].(map[string]any)
	if shares, _ := importance["shares"].([]any); len(shares) != 3 || importance["trials"] != 60.0 || got["importance_unknown"] != nil {
		t.Errorf("%v", importance)
	}
}

func TestTrialsAreRankedByTheGoal(t *testing.T) {
	t.Parallel()
	v := examined()
	for goal, want := range map[string]string{"maximize": "3 0 2 4 5 1 6", "minimize": "0 3 2 4 5 1 6"} {
		v.Definition["objective"] = map[string]any{"goal": goal}
		var got []string
		for _, trial := range newStudyScreen(v, v.StartedAt, 0).chosen(ShowStudyOptions{}) {
			got = append(got, fmt.Sprint(trial.Number))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, wanted %s", goal, got, want)
		}
	}
}

func TestFailuresAreGrouped(t *testing.T) {
	t.Parallel()
	v := examined()
	for i := range 20 {
		v.Trials = append(v.Trials, study.Trial{Number: 10 + i, State: study.TimedOut, Error: fmt.Sprint("reason ", max(0, i-13))})
	}
	got := printed(t, v, 0, ShowStudyOptions{})
	for _, want := range []string{
		"failed (1, 6): out", "failed (10, 11, 12, 13, 14 and 9 more): reason 0\n", "failed (24): reason 1\n", "failed (26): reason 3\n… and for 3 more reasons\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestParameterText(t *testing.T) {
	t.Parallel()
	for want, parameter := range map[string]map[string]any{
		"float 1e-05 to 0.1 log":         {"type": "float", "low": 1e-5, "high": 0.1, "log": true},
		"int 1 to 9 by 2":                {"type": "int", "low": int64(1), "high": int64(9), "step": int64(2)},
		"1, 2.5, all":                    {"values": []any{int64(1), 2.5, "all"}},
		"categorical a, true":            {"type": "categorical", "choices": []any{"a", true}},
		"1, 2 if a is 1 and b is x or y": {"values": []any{1, 2}, "when": map[string]any{"a": []any{1}, "b": []any{"x", "y"}}},
	} {
		if got := parameterText(parameter); got != want {
			t.Errorf("%q, wanted %q", got, want)
		}
	}
	if got := parameterText("nothing of the kind"); got != "" {
		t.Error(got)
	}
}

func TestCurveOfAnyValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.Float64Range(0.999999, 1), rapid.SampledFrom([]float64{0, 1, 5e-324, 1e-320, math.MaxFloat64, -1e300, 1e9, 1e9 + 1e-6}))
		values := rapid.SliceOfN(value, 2, 200).Draw(t, "values")
		width := rapid.IntRange(10, 60).Draw(t, "width")
		plot, _ := staircase(values, width)
		lines := strings.Split(plot, "\n")
		if len(lines) > curveHeight+1 || strings.Contains(plot, "NaN") || strings.Contains(plot, "Inf") {
			t.Fatalf("%v\n%s", values, plot)
		}
		for _, line := range lines {
			if runes(line) > width+labelWidth {
				t.Fatalf("%d columns\n%s", runes(line), plot)
			}
		}
	})
}

func TestCurveOnALogarithmicAxis(t *testing.T) {
	t.Parallel()
	plot, logarithmic := staircase([]float64{1000, 1, 0.001}, 30)
	if !logarithmic || !strings.Contains(plot, "     1 ┤         ╰─────────╮\n") || !strings.HasPrefix(plot, "   1000 ┼─────────╮\n") {
		t.Errorf("\n%s", plot)
	}
	if plot, logarithmic := staircase([]float64{5, -5, -5}, 10); logarithmic || !strings.HasPrefix(plot, "      5 ┼──╮\n") {
		t.Errorf("\n%s", plot)
	}
	if plot, _ := staircase([]float64{3, 3}, 10); plot != "      3 ┼─────────" {
		t.Errorf("\n%s", plot)
	}
}
