package strategy

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Space is a set of configs: the parameters, their values, and where each of them exists.
// It is immutable and safe for concurrent use.
type Space struct {
	parameters []*parameter // sorted by name
	byName     map[string]*parameter
	causal     []*parameter // parents before the parameters that depend on them
	grid       *grid        // nil: an axis is continuous, or the conditions are too entangled to count
}

// Parameter describes one parameter of a Space.
type Parameter struct {
	Name      string
	Kind      Kind
	Low, High float64          // inclusive bounds of a Float or Int
	Log       bool             // sampled log-uniformly
	Step      float64          // counts from Low; 0: continuous
	Choices   []any            // of a Categorical, or the ordered list of Values
	When      map[string][]any // exists only where all these parameters have one of these values; nil: always
}

// Kind is the kind of a parameter.
type Kind int8

// The kinds. Values is an ordered list, Categorical an unordered one.
const (
	Float Kind = iota
	Int
	Categorical
	Values
)

func (k Kind) String() string {
	return [...]string{"float", "int", "categorical", "values"}[k]
}

// parameter is a Parameter with what was compiled from it.
type parameter struct {
	Parameter
	axis       axis
	conditions []condition
}

type condition struct {
	parent *parameter
	values map[any]bool // by identity
}

// activeIn reports whether p exists where its parents have the values of config.
func (p *parameter) activeIn(config map[string]any) bool {
	for _, c := range p.conditions {
		if !c.values[identity(config[c.parent.Name])] {
			return false
		}
	}
	return true
}

// Parameters returns the parameters, sorted by name.
func (s *Space) Parameters() []Parameter {
	all := make([]Parameter, len(s.parameters))
	for i, p := range s.parameters {
		all[i] = p.Parameter
		all[i].Choices = slices.Clone(p.Choices)
		all[i].When = maps.Clone(p.When)
		for name, values := range all[i].When {
			all[i].When[name] = slices.Clone(values)
		}
	}
	return all
}

// Size returns the number of configs on the grid. It saturates at MaxUint64. finite is false when an
// axis is continuous, or the conditions are too entangled to count.
func (s *Space) Size() (n uint64, finite bool) {
	if s.grid == nil {
		return math.MaxUint64, false
	}
	return s.grid.total, true
}

// At returns the i-th config of the grid, nil if there is none. The order is that of the full product,
// names sorted and the last varying fastest, with inactive parameters dropped and repetitions skipped.
// Nothing is enumerated: the cost does not depend on i, but grows with the parameters and their conditions, to some
// 30 ms for a choice among a hundred models with three parameters each, and half a second for a chain of 200 conditions.
func (s *Space) At(i uint64) map[string]any {
	if n, finite := s.Size(); !finite || i >= n {
		return nil
	}
	indexes := s.grid.unrank(i)
	values := make(map[string]any, len(indexes))
	for k, p := range s.parameters {
		values[p.Name] = p.axis.(discrete).at(indexes[k])
	}
	for _, p := range s.causal {
		if !p.activeIn(values) {
			delete(values, p.Name)
		}
	}
	return values
}

// Sample draws a config: uniform or log-uniform per active parameter.
func (s *Space) Sample(r *rand.Rand) map[string]any {
	config, _ := s.resolve(nil, func(p *parameter) (any, error) { return p.axis.sample(r), nil })
	return config
}

// Check returns nil if config is exactly in the space: each active parameter with a value of its own,
// and nothing else. Numbers compare by value: 3.0 is an integer. Its error is a *FieldError.
func (s *Space) Check(config map[string]any) error {
	_, err := s.resolve(config, func(p *parameter) (any, error) {
		return nil, &FieldError{"config." + p.Name, "is missing", p.axis.describe()}
	})
	return err
}

// Complete returns a config of the space with the values of fixed, then those of proposed where they
// fit, then sampled ones. A fixed value outside the space is an error, a *FieldError.
func (s *Space) Complete(fixed, proposed map[string]any, r *rand.Rand) (map[string]any, error) {
	return s.resolve(fixed, func(p *parameter) (any, error) {
		if v, ok := p.axis.accept(proposed[p.Name]); ok {
			return v, nil
		}
		return p.axis.sample(r), nil
	})
}

// Clamp returns a copy of config with each number that has a parameter moved to the nearest value of that
// parameter, in its type. Anything else stays as it is: other names, strings and bools, inactive parameters.
func (s *Space) Clamp(config map[string]any) map[string]any {
	clamped := maps.Clone(config)
	for name, v := range config {
		if p := s.byName[name]; p != nil {
			clamped[name] = p.axis.nearest(v)
		}
	}
	return clamped
}

// adopt moves a config from elsewhere into the space, value by value; what it lacks is sampled.
func (s *Space) adopt(config map[string]any, r *rand.Rand) map[string]any {
	adopted, _ := s.Complete(nil, s.Clamp(config), r) // nothing is fixed, so there is no error
	return adopted
}

// resolve builds a config of the space from given values, asking missing for active parameters without one.
func (s *Space) resolve(given map[string]any, missing func(*parameter) (any, error)) (map[string]any, error) {
	if err := s.checkNames(given); err != nil {
		return nil, err
	}
	config := make(map[string]any, len(s.causal))
	for _, p := range s.causal {
		v := given[p.Name]
		if !p.activeIn(config) {
			if v != nil {
				return nil, p.inactive(v)
			}
			continue
		}
		var err error
		if v == nil {
			v, err = missing(p)
		} else {
			v, err = p.check(v)
		}
		if err != nil {
			return nil, err
		}
		config[p.Name] = v
	}
	return config, nil
}

func (s *Space) checkNames(config map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if s.byName[name] == nil {
			return &FieldError{"config." + cut(name), "is no parameter of the space", "leave it out"}
		}
	}
	return nil
}

func (p *parameter) check(v any) (any, error) {
	known, ok := p.axis.accept(v)
	if !ok {
		return nil, &FieldError{"config." + p.Name, show(v) + " is outside the space", p.axis.describe()}
	}
	return known, nil
}

func (p *parameter) inactive(v any) error {
	problem := show(v) + " is given where the parameter does not exist"
	remedy := "leave it out, or meet its condition on"
	for i, name := range slices.Sorted(maps.Keys(p.When)) {
		if i > 0 {
			remedy += ","
		}
		remedy += " " + name
	}
	return &FieldError{"config." + p.Name, problem, remedy}
}
