package pruner

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

// TestGoldens: where both define the same, every decision is the one that Optuna 5.0 takes;
// testdata/goldens.py says where that is.
func TestGoldens(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		t.Run(fmt.Sprint(i, " ", c.Kind), func(t *testing.T) {
			t.Parallel()
			if got := c.replay(t); !slices.EqualFunc(got, c.Pruned, slices.Equal) {
				t.Errorf("%s %v %s from step %d: pruned at\n%v, Optuna at\n%v", c.Kind, c.Options, c.Goal, c.First, got, c.Pruned)
			}
		})
	}
}

// golden is a study of trials that report one after the other.
type golden struct {
	Kind    string
	Options map[string]any
	Stop    bool // a pruned trial ends
	Goal    string
	First   int64 // the first step
	Curves  [][]float64
	Pruned  [][]int64 // by trial, the steps at which it is to be pruned
}

func (c golden) replay(t *testing.T) [][]int64 {
	goal, err := strategy.ParseGoal(c.Goal)
	if err != nil {
		t.Fatal(err)
	}
	p := build(t, c.Kind, c.Options)
	var others []Curve
	pruned := make([][]int64, len(c.Curves))
	for number, values := range c.Curves {
		trial := Curve{Number: number}
		for i, value := range values {
			trial.Points = append(trial.Points, Point{c.First + int64(i), value})
			if _, prune := p.Prune(request(goal, trial, others...)); prune {
				pruned[number] = append(pruned[number], c.First+int64(i))
				trial.State = strategy.Pruned
				if c.Stop {
					break
				}
			}
		}
		if !c.Stop || len(pruned[number]) == 0 {
			trial.State = strategy.Complete
		}
		others = append(others, trial)
	}
	return pruned
}
