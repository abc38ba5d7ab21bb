package strategy

import (
	"maps"
	"slices"
	"strings"
)

// addConditions reads `when`: the parameters p depends on, each with the values that let p exist.
func (s *Space) addConditions(p *parameter, f fields) error {
	if f.tree["when"] == nil {
		return nil
	}
	when, ok := f.tree["when"].(map[string]any)
	if !ok {
		return f.wrong("when", show(f.tree["when"])+" is not a map", "give {name: [values]}")
	}
	for _, name := range slices.Sorted(maps.Keys(when)) {
		parent := s.byName[name]
		if parent == nil || parent == p {
			return f.wrong("when."+cut(name), "is not another parameter", "name one of the space")
		}
		values, err := conditionValues(parent, f, when[name])
		if err != nil {
			return err
		}
		p.addCondition(parent, values)
	}
	return nil
}

func (p *parameter) addCondition(parent *parameter, values []any) {
	c := condition{parent, make(map[any]bool, len(values))}
	for _, v := range values {
		c.values[identity(v)] = true
	}
	p.conditions = append(p.conditions, c)
	if p.When == nil {
		p.When = make(map[string][]any)
	}
	p.When[parent.Name] = values
}

func conditionValues(parent *parameter, f fields, v any) ([]any, error) {
	field := "when." + parent.Name
	given, ok := v.([]any)
	if !ok || len(given) == 0 {
		return nil, f.wrong(field, show(v)+" is not a list of values", parent.axis.describe()+", as a list")
	}
	values := make([]any, len(given))
	for i, v := range given {
		if values[i], ok = parent.axis.accept(v); !ok {
			return nil, f.wrong(field, show(v)+" is no value of "+parent.Name, parent.axis.describe())
		}
	}
	return values, nil
}

// order sorts the parameters so that parents come first, and refuses cycles.
func (s *Space) order() error {
	placed := make(map[*parameter]bool, len(s.parameters))
	for len(s.causal) < len(s.parameters) {
		before := len(s.causal)
		for _, p := range s.parameters {
			if !placed[p] && p.unplacedParent(placed) == nil {
				placed[p] = true
				s.causal = append(s.causal, p)
			}
		}
		if len(s.causal) == before {
			return s.cycle(placed)
		}
	}
	return nil
}

func (p *parameter) unplacedParent(placed map[*parameter]bool) *parameter {
	for _, c := range p.conditions {
		if !placed[c.parent] {
			return c.parent
		}
	}
	return nil
}

// cycle names the parameters of one cycle: from any parameter left over, unplaced parents lead into it.
func (s *Space) cycle(placed map[*parameter]bool) error {
	p := s.parameters[slices.IndexFunc(s.parameters, func(p *parameter) bool { return !placed[p] })]
	var path []*parameter
	for !slices.Contains(path, p) {
		path = append(path, p)
		p = p.unplacedParent(placed)
	}
	var names []string
	for _, q := range append(path[slices.Index(path, p):], p) {
		names = append(names, q.Name)
	}
	return &FieldError{"space." + cut(p.Name) + ".when", cut(strings.Join(names, " → ")) + " is a cycle", "drop one of these conditions"}
}
