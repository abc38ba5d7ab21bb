package main

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/visutility/retune/bench/search/problem"
)

func TestOptuna(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts Python")
	}
	process, err := problem.Start(cmp.Or(os.Getenv("RETUNE_PYTHON"), "python3"), optunaScript)
	if err != nil {
		t.Skipf("no Optuna: %v", err)
	}
	for _, name := range []string{"pipeline", "network", "ackley-mixed", "sphere8-mixed"} {
		for _, sampler := range []string{"random", "tpe"} {
			checkProtocol(t, process, name, sampler)
		}
	}
	checkHistory(t, process)
	if _, err := newOptuna(process, "nonsense", function(t, "branin"), 1, nil); err == nil || !strings.Contains(err.Error(), "nonsense is not a sampler: give one of tpe") {
		t.Errorf("the error is %v", err)
	}
	if err := process.Close(); err != nil {
		t.Error(err)
	}
}

// checkProtocol: every kind of parameter and condition goes to Optuna and comes back inside the space,
// which ask checks.
func checkProtocol(t *testing.T, process *problem.Process, name, sampler string) {
	t.Helper()
	p := function(t, name)
	o, err := newOptuna(process, sampler, p, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := execute(run{name, optunaPrefix + sampler, 3, 14, 0}, p, o)
	if err != nil || len(result.observed) != 14 {
		t.Errorf("%s on %s: %d trials, %v", sampler, name, len(result.observed), err)
	}
}

func checkHistory(t *testing.T, process *problem.Process) {
	t.Helper()
	p := function(t, "pipeline")
	_, known, err := randomHistory(p, 20)
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOptuna(process, "tpe", p, 7, known)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takeTurns(p, []optimiser{o}, []int{0}, 2); err != nil {
		t.Error(err)
	}
	var b strings.Builder
	if err := (measure{"random", "random", 20, 3}).run(&b, p, process); err != nil || !strings.Contains(b.String(), "ratio") {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// Without Python the strategies of this project are compared all the same.
func TestWithoutPython(t *testing.T) {
	t.Parallel()
	var out, note strings.Builder
	o := options{
		Strategies: []string{"random"}, Samplers: []string{"tpe"}, Problems: []string{"trainings", "branin"},
		Budget: []int{10}, Parallel: []int{1}, Seeds: 1, Jobs: 1, Data: t.TempDir(), Python: "no-python-here",
	}
	err := o.run(t.Context(), &out, &note)
	if err == nil || !strings.Contains(err.Error(), `"trainings" is not a problem here`) {
		t.Errorf("the error is %v", err)
	}
	o.Problems = []string{"all"}
	o.Strategies = []string{"random", "nonsense"}
	if err := o.run(t.Context(), &out, &note); err == nil || !strings.Contains(err.Error(), "--strategies: nonsense") {
		t.Errorf("the error is %v", err)
	}
	o.Strategies = []string{"random"}
	if err := o.run(t.Context(), &out, &note); err != nil {
		t.Error(err)
	}
	for _, wanted := range []string{"no Optuna, its samplers are left out", "no scikit-learn, the trainings are left out", "no table"} {
		if !strings.Contains(note.String(), wanted) {
			t.Errorf("%q is missing in %s", wanted, note.String())
		}
	}
	if !strings.Contains(out.String(), "rosenbrock20") {
		t.Errorf("the report is\n%s", out.String())
	}
}
