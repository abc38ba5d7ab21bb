package problem

// Functions returns the test functions: plain ones, ones with logarithmic, whole and stepped
// parameters, mixed and conditional ones, noisy ones.
func Functions() []*Problem {
	return append(append(plain(), scaled()...), append(mixed(), noisy()...)...)
}

// plain are functions over floats. Where the reach is 0, the optimum lies at no special place.
func plain() []*Problem {
	return []*Problem{
		floats("branin", branin(), 0),
		floats("camel", camel(), 0.3),
		floats("goldstein-price", goldsteinPrice(), 0.3),
		floats("hartmann3", hartmann3(), 0),
		floats("hartmann6", hartmann6(), 0),
		floats("shekel", shekel(), 0.2),
		floats("michalewicz5", michalewicz5(), 0.12), // further out its period would show another optimum
		floats("ackley5", ackley(5), 0.35),
		floats("ackley10", ackley(10), 0.35),
		floats("rosenbrock4", rosenbrock(4), 0.25),
		floats("rosenbrock10", rosenbrock(10), 0.25),
		floats("rosenbrock20", rosenbrock(20), 0.25),
		floats("levy6", levy(6), 0.3),
		floats("rastrigin5", rastrigin(5), 0.35),
		floats("griewank6", griewank(6), 0.35),
		floats("styblinski-tang8", styblinskiTang(8), 0.1),
		floats("zakharov6", zakharov(6), 0.3),
		floats("ellipsoid8", ellipsoid(8), 0.35),
		floats("sphere20", sphere(20), 0.35),
	}
}

// scaled are functions whose parameters are seldom plain floats.
func scaled() []*Problem {
	rate, units, count, share := logarithmic(1e-6, 1), logIntegers(4, 1024), integers(1, 50), steps(20)
	return []*Problem{
		placed("hartmann6-log", hartmann6(), []axis{rate, rate, rate, rate, rate, rate}, 0),
		placed("rosenbrock4-log", rosenbrock(4), []axis{rate, linear(0, 1), rate, linear(0, 1)}, 0.25),
		placed("levy6-int", levy(6), []axis{count, count, count, units, units, units}, 0.3),
		placed("griewank6-step", griewank(6), []axis{share, share, share, share, share, share}, 0.35),
		placed("zakharov6-mixed", zakharov(6), []axis{rate, units, count, share, linear(0, 1), rate}, 0.3),
		placed("sphere8-mixed", sphere(8), []axis{rate, rate, units, units, count, share, share, linear(0, 1)}, 0.35),
	}
}

func noisy() []*Problem {
	a, b := floats("branin-noisy", branin(), 0), floats("hartmann6-noisy", hartmann6(), 0)
	a.noise, b.noise = 2, 0.1
	return []*Problem{a, b}
}

func floats(name string, f formula, reach float64) *Problem {
	axes := make([]axis, len(f.low))
	for i := range axes {
		axes[i] = linear(f.low[i], f.high[i])
	}
	return placed(name, f, axes, reach)
}

// placed makes a problem of a formula over axes; reach as in place.
func placed(name string, f formula, axes []axis, reach float64) *Problem {
	coordinates, values := f.place(name, axes, reach)
	parameters := names("x", len(axes))
	tree, best := map[string]any{}, map[string]any{}
	for i, p := range parameters {
		tree[p], best[p] = axes[i].tree, values[i]
	}
	evaluate := func(config map[string]any) (float64, error) {
		return f.at(config, parameters, coordinates), nil
	}
	return newProblem(name, tree, evaluate, f.value, best)
}
