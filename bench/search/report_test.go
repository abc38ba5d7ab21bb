package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// handMade has tpe ten times better than Optuna's on branin, equal on pipeline, and a sampler with a
// result on one problem only.
func handMade() *view {
	v := &view{
		problems: []string{"branin", "pipeline"}, optimisers: []string{"tpe", "auto", "optuna-tpe", "optuna-gp"},
		parallel: []int{1}, budgets: []int{30}, seeds: 2, regrets: map[run]float64{}, seconds: map[run]float64{},
	}
	put := func(name, optimiser string, seed int, regret float64) {
		r := run{name, optimiser, 1, 30, seed}
		v.regrets[r], v.seconds[r] = regret, 0.25
	}
	for seed := range 2 {
		put("branin", "tpe", seed, 0.01)
		put("branin", "auto", seed, 0)
		put("branin", "optuna-tpe", seed, 0.1)
		put("pipeline", "tpe", seed, 0.5)
		put("pipeline", "auto", seed, 0.6)
		put("pipeline", "optuna-tpe", seed, 0.5)
	}
	return v
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	folder := t.TempDir()
	if err := writeReport(&out, handMade(), folder); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, wanted := range []string{
		"=== 30 trials, 1 in parallel",
		"over 4 problems × seeds",
		"tpe 1.75", "auto 2.00", "optuna-tpe 2.25", // of three
		"auto and Optuna", "auto 1.50",
		"tpe − optuna-tpe -0.500",
		"-1.000 … +0.000 (4)",
		"branin 0.01 0 0.1",
	} {
		if !strings.Contains(text, wanted) {
			t.Errorf("%q is missing in\n%s", wanted, out.String())
		}
	}
	if strings.Contains(text, "optuna-gp") {
		t.Error("an optimiser without results is in the report")
	}
	summary, err := os.ReadFile(filepath.Join(folder, "summary.csv"))
	if err != nil || !strings.Contains(string(summary), "30,1,optuna-tpe,log10_difference_by_problem,,tpe,-0.5,-1,0,4\n") {
		t.Errorf("%v, summary:\n%s", err, summary)
	}
}

func TestPlotIsXML(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := writePlot(&b, handMade()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(b.String(), "<path")
	if wanted := 3 + 4; lines != wanted { // three have results, four are in the legend
		t.Errorf("%d paths instead of %d", lines, wanted)
	}
	if strings.Contains(b.String(), ">300<") || !strings.Contains(b.String(), ">30<") {
		t.Error("the axis shows other budgets than those with results")
	}
	for d := xml.NewDecoder(&b); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRegretsOfStore(t *testing.T) {
	t.Parallel()
	p := smallPlan(t)
	v, err := newView(p, executed(t, p, ""))
	if err != nil {
		t.Fatal(err)
	}
	random, auto := run{"branin", "random", 1, 15, 0}, run{"branin", "auto", 1, 15, 0}
	if regret := v.regrets[random]; regret <= 0 || regret > 1 || len(v.blocks(cell{1, 15}, p.optimisers)) != 4 {
		t.Errorf("regret %v, %d blocks", regret, len(v.blocks(cell{1, 15}, p.optimisers)))
	}
	if _, ok := v.regrets[auto]; !ok {
		t.Error("auto has no result")
	}
	early := random
	early.budget = 5
	if v.regrets[early] < v.regrets[random] {
		t.Errorf("more trials made it worse: %v, %v", v.regrets[early], v.regrets[random])
	}
	if fmt.Sprint(cell{1, 15}) != "15 trials, 1 in parallel" {
		t.Error(cell{1, 15})
	}
}

func TestBlocksAreComplete(t *testing.T) {
	t.Parallel()
	v := handMade()
	v.regrets[run{"branin", "optuna-gp", 1, 30, 1}] = 0.3
	blocks := v.blocks(cell{1, 30}, v.optimisers)
	if fmt.Sprint(blocks) != "[{branin [0.01 0 0.1 0.3]}]" {
		t.Errorf("blocks are %v", blocks)
	}
}
