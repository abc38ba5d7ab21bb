package problem

import (
	"math"
	"strconv"

	"github.com/visutility/retune/internal/strategy"
)

// mixed are spaces with categories and conditions.
func mixed() []*Problem {
	return []*Problem{ackleyMixed(), branches(), network(), pipeline()}
}

func categorical(choices ...any) map[string]any {
	return map[string]any{"type": "categorical", "choices": choices}
}

// when adds a condition to the description of a parameter.
func when(tree map[string]any, parent string, values ...any) map[string]any {
	conditional := map[string]any{"when": map[string]any{parent: values}}
	for name, v := range tree {
		conditional[name] = v
	}
	return conditional
}

// ackleyMixed is Ackley's function of two floats, two integers, one stepped number, one unordered
// choice of five and a switch: the choice's and the switch's coordinates have no order to learn from.
func ackleyMixed() *Problem {
	const name = "ackley-mixed"
	f := ackley(7)
	axes := []axis{linear(0, 1), logarithmic(1e-5, 1), integers(0, 30), logIntegers(1, 512), steps(10)}
	coordinates, values := f.place(name, axes, 0.35)
	choices := map[any]float64{"a": 9, "b": -3, "c": 0, "d": 20, "e": 2}
	parameters := names("x", len(axes))
	tree := map[string]any{"choice": categorical("a", "b", "c", "d", "e"), "switch": categorical(false, true)}
	best := map[string]any{"choice": "c", "switch": true}
	for i, p := range parameters {
		tree[p], best[p] = axes[i].tree, values[i]
	}
	evaluate := func(config map[string]any) (float64, error) {
		x := make([]float64, len(parameters), 7)
		for i, p := range parameters {
			x[i] = coordinates[i](config[p])
		}
		off := 4.0
		if config["switch"] == true {
			off = 0
		}
		return f.f(append(x, choices[config["choice"]], off)), nil
	}
	return newProblem(name, tree, evaluate, 0, best)
}

// branches is one of three functions, each with parameters of its own, brought to like scales. The
// middle one holds the optimum, the others end a little above.
func branches() *Problem {
	type branch struct {
		name         string
		formula      formula
		reach        float64
		scale, above float64
	}
	all := []branch{
		{"branin", branin(), 0, 30, 0.02},
		{"hartmann", hartmann6(), 0, 3, 0},
		{"levy", levy(4), 0.3, 25, 0.05},
	}
	tree, best := map[string]any{}, map[string]any{"function": "hartmann"}
	evaluators := map[any]func(map[string]any) float64{}
	var choices []any
	for _, b := range all {
		axes := make([]axis, len(b.formula.low))
		for i := range axes {
			axes[i] = linear(b.formula.low[i], b.formula.high[i])
		}
		coordinates, values := b.formula.place("branches-"+b.name, axes, b.reach)
		parameters := names(b.name, len(axes))
		for i, p := range parameters {
			tree[p] = when(axes[i].tree, "function", b.name)
			if b.above == 0 {
				best[p] = values[i]
			}
		}
		choices = append(choices, b.name)
		evaluators[b.name] = func(config map[string]any) float64 {
			return b.above + (b.formula.at(config, parameters, coordinates)-b.formula.value)/b.scale
		}
	}
	tree["function"] = categorical(choices...)
	evaluate := func(config map[string]any) (float64, error) {
		return evaluators[config["function"]](config), nil
	}
	return newProblem("branches", tree, evaluate, 0, best)
}

// network imitates the tuning of a small neural network: the units of a layer exist where the layer
// does, momentum for one optimiser only, and the best learning rate depends on the optimiser.
func network() *Problem {
	units := logIntegers(8, 512)
	tree := map[string]any{
		"optimiser":     categorical("sgd", "adam", "rmsprop"),
		"learning_rate": logarithmic(1e-5, 1).tree,
		"momentum":      when(linear(0, 0.99).tree, "optimiser", "sgd"),
		"layers":        integers(1, 4).tree,
		"dropout":       categorical(false, true),
		"dropout_rate":  when(map[string]any{"type": "float", "low": 0.05, "high": 0.8, "step": 0.05}, "dropout", true),
	}
	for i := range 4 {
		enough := []any{int64(1), int64(2), int64(3), int64(4)}[i:]
		tree["units_"+strconv.Itoa(i+1)] = when(units.tree, "layers", enough...)
	}
	best := map[string]any{
		"optimiser": "adam", "learning_rate": 0.003, "layers": int64(3), "dropout": true, "dropout_rate": 0.35,
		"units_1": int64(200), "units_2": int64(90), "units_3": int64(40),
	}
	return newProblem("network", tree, func(config map[string]any) (float64, error) {
		return networkLoss(config), nil
	}, 0, best)
}

func networkLoss(config map[string]any) float64 {
	square := func(v float64) float64 { return v * v }
	base := map[any]float64{"adam": 0, "rmsprop": 0.15, "sgd": 0.08}[config["optimiser"]]
	rate := map[any]float64{"adam": 0.003, "rmsprop": 0.0008, "sgd": 0.05}[config["optimiser"]]
	loss := base + 0.3*square(math.Log10(number(config["learning_rate"])/rate))
	if momentum, ok := config["momentum"]; ok {
		loss += square(number(momentum) - 0.9)
	}
	layers := int(number(config["layers"]))
	loss += []float64{0.4, 0.12, 0, 0.07}[layers-1]
	for i, ideal := range []float64{200, 90, 40, 20}[:layers] {
		loss += 0.15 * square(math.Log2(number(config["units_"+strconv.Itoa(i+1)])/ideal)) / float64(layers)
	}
	if config["dropout"] == true {
		return loss + 2*square(number(config["dropout_rate"])-0.35)
	}
	return loss + 0.1
}

// pipeline has conditions on conditions: a model with a kernel with parameters of its own, to be maximised.
func pipeline() *Problem {
	tree := map[string]any{
		"scaler": categorical("none", "standard", "quantile"),
		"model":  categorical("linear", "kernel", "forest"),
		"alpha":  when(logarithmic(1e-6, 10).tree, "model", "linear"),
		"c":      when(logarithmic(1e-3, 1e3).tree, "model", "kernel"),
		"kernel": when(categorical("rbf", "polynomial"), "model", "kernel"),
		"gamma":  when(logarithmic(1e-5, 10).tree, "kernel", "rbf"),
		"degree": when(integers(1, 8).tree, "kernel", "polynomial"),
		"trees":  when(logIntegers(5, 500).tree, "model", "forest"),
		"depth":  when(map[string]any{"values": []any{int64(2), int64(3), int64(5), int64(8), int64(13), int64(21)}}, "model", "forest"),
	}
	best := map[string]any{"scaler": "standard", "model": "kernel", "kernel": "rbf", "c": 20.0, "gamma": 0.01}
	p := newProblem("pipeline", tree, func(config map[string]any) (float64, error) {
		return 0.97 - pipelineLoss(config), nil
	}, 0.97, best)
	p.Goal = strategy.Maximize
	return p
}

func pipelineLoss(config map[string]any) float64 {
	off := func(name string, ideal float64) float64 {
		distance := math.Log10(number(config[name]) / ideal)
		return distance * distance
	}
	scaler := map[any]float64{"none": 1, "standard": 0, "quantile": 0.4}[config["scaler"]]
	switch config["model"] {
	case "linear":
		return 0.08 + 0.02*scaler + 0.01*off("alpha", 0.01)
	case "forest":
		return 0.03 + 0.05*max(0, math.Log10(300/number(config["trees"]))) + 0.04*off("depth", 10)
	}
	loss := 0.1*scaler + 0.03*off("c", 20)
	if config["kernel"] == "rbf" {
		valley := math.Log10(number(config["gamma"])/0.01) + 0.7*math.Log10(number(config["c"])/20)
		return loss + 0.06*valley*valley
	}
	return loss + 0.02 + 0.05*math.Abs(number(config["degree"])-3)
}
