package problem

import (
	"cmp"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func TestTrainings(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts Python")
	}
	trainings, err := OpenTrainings(cmp.Or(os.Getenv("RETUNE_PYTHON"), "python3"))
	if err != nil {
		t.Skipf("no scikit-learn: %v", err)
	}
	defer trainings.Close()
	for _, p := range trainings.Problems {
		if _, known := p.Optimum(); known {
			t.Errorf("%s knows its optimum", p.Name)
		}
		r := rand.New(rand.NewPCG(5, 5))
		for range 5 {
			checkTraining(t, p, p.Space.Sample(r))
		}
	}
	if _, err := trainings.train("svc", map[string]any{"kernel": "nonsense"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a wrong config: %v", err)
	}
}

func checkTraining(t *testing.T, p *Problem, config map[string]any) {
	t.Helper()
	value, err := p.Evaluate(config)
	if err != nil || math.IsNaN(value) || value <= 0 {
		t.Errorf("%s: %v, %v of %v", p.Name, value, err, config)
	}
	if again, err := p.Evaluate(config); err != nil || again != value {
		t.Errorf("%s: %v, then %v (%v)", p.Name, value, again, err)
	}
}

func TestNoPython(t *testing.T) {
	t.Parallel()
	if _, err := OpenTrainings("no-python-here"); err == nil {
		t.Error("trainings without Python")
	}
}
