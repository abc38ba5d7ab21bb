package problem

import (
	_ "embed"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"sync"
)

//go:embed training.py
var trainingScript string

// trainingSamples is small as each takes milliseconds.
const trainingSamples = 200

// Trainings are problems that a Python process evaluates. Its results are kept, so that no config is
// trained twice.
type Trainings struct {
	Problems []*Problem
	process  *Process
	lock     sync.Mutex
	known    map[string]float64 // by name and config
}

// OpenTrainings starts the process. It fails where Python or scikit-learn is missing.
func OpenTrainings(python string) (*Trainings, error) {
	process, err := Start(python, trainingScript)
	if err != nil {
		return nil, err
	}
	t := &Trainings{process: process, known: map[string]float64{}}
	spaces := trainingSpaces()
	for _, name := range slices.Sorted(maps.Keys(spaces)) {
		p := newProblem(name, spaces[name], func(config map[string]any) (float64, error) { return t.train(name, config) }, math.NaN(), nil)
		p.median = sync.OnceValues(func() (float64, error) { return p.sampledMedian(trainingSamples) })
		t.Problems = append(t.Problems, p)
	}
	return t, nil
}

// Close ends the process.
func (t *Trainings) Close() error { return t.process.Close() }

func trainingSpaces() map[string]map[string]any {
	kernels := func(c, gamma map[string]any) map[string]any {
		return map[string]any{
			"C":      c,
			"kernel": categorical("linear", "rbf", "poly"),
			"gamma":  when(gamma, "kernel", "rbf", "poly"),
			"degree": when(integers(2, 5).tree, "kernel", "poly"),
		}
	}
	svr := kernels(logarithmic(1e-3, 100).tree, logarithmic(1e-4, 1).tree)
	svr["epsilon"] = logarithmic(1e-3, 1).tree
	return map[string]map[string]any{
		"svc": kernels(logarithmic(1e-3, 1e3).tree, logarithmic(1e-5, 1).tree),
		"svr": svr,
		"mlp": {
			"hidden":             logIntegers(4, 64).tree,
			"activation":         categorical("relu", "tanh", "logistic"),
			"solver":             categorical("adam", "sgd"),
			"learning_rate_init": logarithmic(1e-4, 0.3).tree,
			"momentum":           when(linear(0, 0.99).tree, "solver", "sgd"),
			"alpha":              logarithmic(1e-6, 1).tree,
			"batch_size":         map[string]any{"values": []any{int64(20), int64(40), int64(100), int64(200)}},
		},
	}
}

func (t *Trainings) train(name string, config map[string]any) (float64, error) {
	request := struct {
		Training string         `json:"training"`
		Config   map[string]any `json:"config"`
	}{name, config}
	key, err := json.Marshal(request)
	if err != nil {
		return 0, err
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	if value, ok := t.known[string(key)]; ok {
		return value, nil
	}
	var answer struct{ Value float64 }
	if err := t.process.Call(request, &answer); err != nil {
		return 0, err
	}
	t.known[string(key)] = answer.Value
	return answer.Value, nil
}
