package strategy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A report carries at most this many config values.
const maxParameters = 1000

// ParseSpace reads the space of a study or of a tuner: a map from the name of each parameter to its
// description. Every error is a *FieldError with a path such as space.lr.low.
func ParseSpace(tree map[string]any) (*Space, error) {
	if len(tree) == 0 {
		return nil, &FieldError{"space", "has no parameter", "give at least one, such as lr: {type: float, low: 0.001, high: 0.1}"}
	}
	if len(tree) > maxParameters {
		return nil, &FieldError{"space", fmt.Sprintf("%d parameters are too many", len(tree)), fmt.Sprintf("give at most %d", maxParameters)}
	}
	s := &Space{byName: make(map[string]*parameter, len(tree))}
	described := make(map[string]fields, len(tree))
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		f, err := parameterFields(name, tree[name])
		if err != nil {
			return nil, err
		}
		p, err := f.parameter(name)
		if err != nil {
			return nil, err
		}
		described[name] = f
		s.parameters = append(s.parameters, p)
		s.byName[name] = p
	}
	if err := s.compile(described); err != nil {
		return nil, err
	}
	return s, nil
}

// compile adds what needs all parameters: conditions, their order, the grid.
func (s *Space) compile(described map[string]fields) error {
	for _, p := range s.parameters {
		if err := s.addConditions(p, described[p.Name]); err != nil {
			return err
		}
	}
	if err := s.order(); err != nil {
		return err
	}
	s.grid = newGrid(s)
	return nil
}

// fields is the description of one parameter and its path in errors. Null fields count as absent.
type fields struct {
	path string
	tree map[string]any
}

func parameterFields(name string, v any) (fields, error) {
	path := "space." + cut(name)
	tree, ok := v.(map[string]any)
	if !ok {
		return fields{}, &FieldError{path, show(v) + " is not a map", "give {type: float, low: …, high: …} or {values: […]}"}
	}
	if name == "" {
		return fields{}, &FieldError{"space", "a name is empty", "name every parameter"}
	}
	return fields{path, tree}, nil
}

func (f fields) wrong(name, problem, remedy string) error {
	return &FieldError{f.path + "." + name, problem, remedy}
}

// kindFields are the fields a kind may have besides type and when.
var kindFields = map[Kind][]string{
	Float:       {"low", "high", "log", "step"},
	Int:         {"low", "high", "log", "step"},
	Categorical: {"choices"},
	Values:      {"values"},
}

func (f fields) parameter(name string) (*parameter, error) {
	kind, err := f.kind()
	if err != nil {
		return nil, err
	}
	p := &parameter{Parameter: Parameter{Name: name, Kind: kind}}
	switch kind {
	case Float:
		err = f.float(p)
	case Int:
		err = f.int(p)
	default:
		err = f.choices(p, kindFields[kind][0])
	}
	return p, err
}

func (f fields) kind() (Kind, error) {
	kind := Values
	if name, given := f.tree["type"], f.tree["type"] != nil; given || f.tree["values"] == nil {
		kind = Kind(slices.IndexFunc([]Kind{Float, Int, Categorical}, func(k Kind) bool { return name == k.String() }))
		if kind < 0 {
			return 0, f.wrong("type", show(name)+" is not a type", "give float, int or categorical, or values without a type")
		}
	}
	for _, field := range []string{"low", "high", "log", "step", "choices", "values"} {
		if f.tree[field] != nil && !slices.Contains(kindFields[kind], field) {
			return 0, f.wrong(field, "does not go with "+kind.String(), "leave it out; "+kind.String()+" has "+strings.Join(kindFields[kind], ", "))
		}
	}
	return kind, nil
}

func (f fields) float(p *parameter) error {
	low, err := f.number("low", "give the smallest value")
	if err != nil {
		return err
	}
	high, err := f.number("high", "give the largest value")
	if err != nil {
		return err
	}
	p.Low, p.High = low, high
	if err := f.bounds(p); err != nil {
		return err
	}
	if math.IsInf(high-low, 0) {
		return f.wrong("high", show(high)+" is too far from low", "give a range below 1.7e308")
	}
	if f.tree["step"] == nil {
		p.axis = continuous(low, high, p.Log)
		return nil
	}
	if p.Step, err = f.floatStep(low, high); err != nil {
		return err
	}
	p.axis = newStepped(low, high, p.Step)
	return nil
}

// continuous makes a single point of an interval without width, so that a grid may hold it.
func continuous(low, high float64, log bool) axis {
	if low == high {
		return newList([]any{low})
	}
	return interval{low, high, log}
}

func (f fields) floatStep(low, high float64) (float64, error) {
	step, err := f.number("step", "give a positive number")
	if err != nil {
		return 0, err
	}
	// Below four units in the last place neighbours would coincide.
	if smallest := math.Ldexp(max(math.Abs(low), math.Abs(high)), -50); step <= 0 || step < smallest {
		return 0, f.wrong("step", show(step)+" is too small", "give a positive number of at least "+show(smallest))
	}
	return step, nil
}

func (f fields) int(p *parameter) error {
	low, err := f.integer("low", "give the smallest value")
	if err != nil {
		return err
	}
	high, err := f.integer("high", "give the largest value")
	if err != nil {
		return err
	}
	step := int64(1)
	if f.tree["step"] != nil {
		if step, err = f.integer("step", "give a positive integer"); err != nil {
			return err
		}
	}
	if step < 1 {
		return f.wrong("step", show(step)+" is not positive", "give an integer of at least 1")
	}
	if low > high {
		return f.reversed(low, high)
	}
	p.Low, p.High, p.Step = float64(low), float64(high), float64(step)
	if err := f.bounds(p); err != nil {
		return err
	}
	p.axis = integers{low, high, step, p.Log}
	return nil
}

// bounds reads log and checks what Float and Int have in common.
func (f fields) bounds(p *parameter) error {
	if p.Low > p.High {
		return f.reversed(p.Low, p.High)
	}
	if v := f.tree["log"]; v != nil {
		log, ok := v.(bool)
		if !ok {
			return f.wrong("log", show(v)+" is not a bool", "give true or false")
		}
		p.Log = log
	}
	if p.Log && p.Low <= 0 {
		return f.wrong("low", show(p.Low)+" is not positive", "give a positive low, or leave out log")
	}
	if p.Log && f.tree["step"] != nil {
		return f.wrong("step", "does not go with log", "leave out one of them")
	}
	return nil
}

func (f fields) reversed(low, high any) error {
	return f.wrong("low", show(low)+" is above high, "+show(high), "exchange them")
}

func (f fields) choices(p *parameter, field string) error {
	given, ok := f.tree[field].([]any)
	if !ok {
		return f.wrong(field, show(f.tree[field])+" is not a list", "give a list of numbers, strings or bools")
	}
	if len(given) == 0 {
		return f.wrong(field, "the list is empty", "give at least one value")
	}
	seen := make(map[any]bool, len(given))
	for i, v := range given {
		at := fmt.Sprintf("%s[%d]", field, i)
		known, err := f.choice(at, v)
		if err != nil {
			return err
		}
		if seen[identity(known)] {
			return f.wrong(at, show(v)+" is there twice", "leave out one of them")
		}
		seen[identity(known)] = true
		p.Choices = append(p.Choices, known)
	}
	p.axis = newList(p.Choices)
	return nil
}

func (f fields) choice(at string, v any) (any, error) {
	known, ok := scalar(v)
	if x, isFloat := known.(float64); isFloat {
		_, ok = finiteNumber(x)
	}
	if !ok {
		return nil, f.wrong(at, show(v)+" cannot be a value", "give a finite number, a string or a bool, and quote what YAML reads otherwise")
	}
	return known, nil
}

func newList(choices []any) list {
	a := list{choices, make(map[any]uint64, len(choices))}
	for i, v := range choices {
		a.indexes[identity(v)] = uint64(i)
	}
	return a
}

func (f fields) number(name, remedy string) (float64, error) {
	v, ok := finiteNumber(f.tree[name])
	if !ok {
		return 0, f.wrong(name, f.found(name, "a number"), remedy)
	}
	return v, nil
}

func (f fields) integer(name, remedy string) (int64, error) {
	v, ok := integer(f.tree[name])
	if !ok {
		return 0, f.wrong(name, f.found(name, "an integer"), remedy)
	}
	return v, nil
}

func (f fields) found(name, wanted string) string {
	v := f.tree[name]
	if v == nil {
		return "is missing"
	}
	if x, ok := number(v); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
		return show(v) + " is not finite"
	}
	return show(v) + " is not " + wanted
}
