package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/visutility/retune/bench/search/problem"
)

func smallPlan(t testing.TB) *plan {
	return &plan{
		problems:   []*problem.Problem{function(t, "branin"), function(t, "pipeline")},
		optimisers: []string{"random", "auto"},
		budgets:    []int{5, 15},
		parallel:   []int{1, 3},
		seeds:      2,
		jobs:       2,
	}
}

func executed(t testing.TB, p *plan, folder string) *store {
	t.Helper()
	s, err := openStore(folder)
	if err != nil {
		t.Fatal(err)
	}
	err = p.execute(context.Background(), s, p.optimisers, func() *builder { return &builder{} }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRunsAreTakenUpAgain(t *testing.T) {
	t.Parallel()
	p, folder := smallPlan(t), t.TempDir()
	// random: 2 problems × 2 modes × 2 seeds; auto as often for each budget
	if s, _ := openStore(folder); len(p.missing(s, p.optimisers)) != 8+16 {
		t.Errorf("%d runs are missing at first", len(p.missing(s, p.optimisers)))
	}
	s := executed(t, p, folder)
	again, err := openStore(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.missing(again, p.optimisers)) != 0 || len(again.rows) != len(s.rows) {
		t.Errorf("%d runs are missing of %d rows", len(p.missing(again, p.optimisers)), len(again.rows))
	}
	for key, r := range s.rows {
		if again.rows[key].best != r.best {
			t.Errorf("%+v was read as %+v", r, again.rows[key])
		}
	}
	p.seeds = 3
	if n := len(p.missing(again, p.optimisers)); n != 12 {
		t.Errorf("a third seed needs %d runs", n)
	}
}

func TestRefreshDropsRowsOfOneOptimiser(t *testing.T) {
	t.Parallel()
	p, folder := smallPlan(t), t.TempDir()
	s := executed(t, p, folder)
	if err := s.drop([]string{"auto"}); err != nil {
		t.Fatal(err)
	}
	again, err := openStore(folder)
	if err != nil {
		t.Fatal(err)
	}
	missing := p.missing(again, p.optimisers)
	if len(missing) != 16 || missing[0].optimiser != "auto" || !reflect.DeepEqual(missing, p.missing(s, p.optimisers)) {
		t.Errorf("missing: %+v", missing)
	}
}

// The order serves whoever looks at partial results: all problems with one seed, then the next.
func TestSeedsComeInTurn(t *testing.T) {
	t.Parallel()
	p := smallPlan(t)
	p.seedsAt = map[int]int{15: 1}
	runs := p.missing(&store{}, []string{"random"})
	if len(runs) != 8 {
		t.Fatalf("%d runs", len(runs))
	}
	for i, r := range runs {
		if r.seed != i/4 || r.budget != []int{15, 5}[r.seed] {
			t.Errorf("run %d is %+v", i, r)
		}
	}
}

func TestBrokenFileIsNamed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text := strings.Join(header, ",") + "\nbranin,random,1,x,0,1.5,0.1\n"
	if err := os.WriteFile(filepath.Join(folder, "runs.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(folder); err == nil || !strings.Contains(err.Error(), "runs.csv") || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("the error is %v", err)
	}
}

func TestFailuresDoNotStopTheOthers(t *testing.T) {
	t.Parallel()
	p := smallPlan(t)
	p.optimisers = []string{"nonsense", "random"}
	s, _ := openStore("")
	err := p.execute(context.Background(), s, p.optimisers, func() *builder { return &builder{} }, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "nonsense on branin") {
		t.Errorf("the error is %v", err)
	}
	if n := len(p.missing(s, []string{"random"})); n != 0 {
		t.Errorf("%d runs of random are missing", n)
	}
}
