package strategy

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

type tree = map[string]any

// mustParse fails the test if the space does not parse.
func mustParse(t testing.TB, description tree) *Space {
	t.Helper()
	s, err := ParseSpace(description)
	if err != nil {
		t.Fatalf("ParseSpace: %v", err)
	}
	return s
}

// drawnParameter is a generated parameter with the values its axis must have, nil if continuous.
type drawnParameter struct {
	name   string
	values []any
	tree   tree
}

// drawSpace generates spaces whose conditions point both up and down the order of names.
func drawSpace(t *rapid.T, discreteOnly bool) (tree, []drawnParameter) {
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "names")
	names = names[:rapid.IntRange(1, len(names)).Draw(t, "parameters")]
	description := tree{}
	var drawn []drawnParameter
	for _, name := range names {
		p := drawParameter(t, name, discreteOnly)
		for _, parent := range drawn {
			if parent.values != nil && rapid.IntRange(0, 2).Draw(t, "depends") == 0 {
				allowed := rapid.SliceOfN(rapid.SampledFrom(parent.values), 1, 3).Draw(t, "allowed")
				when, _ := p.tree["when"].(tree)
				if when == nil {
					when = tree{}
				}
				when[parent.name] = allowed
				p.tree["when"] = when
			}
		}
		description[name] = p.tree
		drawn = append(drawn, p)
	}
	return description, drawn
}

func drawParameter(t *rapid.T, name string, discreteOnly bool) drawnParameter {
	n := rapid.IntRange(1, 4).Draw(t, "size")
	kinds := 4
	if !discreteOnly {
		kinds = 6
	}
	p := drawnParameter{name: name}
	switch kind := rapid.IntRange(0, kinds-1).Draw(t, "kind"); kind {
	case 0:
		p.tree = tree{"type": "int", "low": -3, "high": -3 + 2*(n-1) + 1, "step": 2}
		for k := range n {
			p.values = append(p.values, int64(-3+2*k))
		}
	case 1:
		p.tree = tree{"type": "float", "low": 0.25, "high": 0.25 + 0.5*float64(n-1) + 0.3, "step": 0.5}
		for k := range n {
			p.values = append(p.values, 0.25+0.5*float64(k))
		}
	case 2, 3:
		for k := range n {
			p.values = append(p.values, []any{fmt.Sprint("v", k), int64(k), k%2 == 0, float64(k) + 0.5}[(k+kind)%4])
		}
		p.tree = tree{"values": p.values}
		if kind == 3 {
			p.tree = tree{"type": "categorical", "choices": p.values}
		}
	case 4:
		p.tree = tree{"type": "float", "low": 1e-3, "high": 1e2, "log": true}
	case 5:
		p.tree = tree{"type": "int", "low": 1, "high": int64(1_000_000_000_000_000_000), "log": true}
	}
	return p
}
