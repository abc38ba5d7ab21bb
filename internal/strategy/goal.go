package strategy

// Goal says which values of an objective are better.
type Goal int8

// The goals. Minimize is the default.
const (
	Minimize Goal = iota
	Maximize
)

// ParseGoal reads "minimize" or "maximize". Its error is a *FieldError.
func ParseGoal(s string) (Goal, error) {
	for _, g := range []Goal{Minimize, Maximize} {
		if s == g.String() {
			return g, nil
		}
	}
	return Minimize, &FieldError{"goal", show(s) + " is not a goal", "give minimize or maximize"}
}

func (g Goal) String() string {
	if g == Maximize {
		return "maximize"
	}
	return "minimize"
}

// Better reports whether a is strictly better than b. NaN is never better, and nothing is better than NaN.
func (g Goal) Better(a, b float64) bool {
	if g == Maximize {
		return a > b
	}
	return a < b
}
