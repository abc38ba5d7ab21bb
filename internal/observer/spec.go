package observer

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
)

// Goal says which values of a metric are better.
type Goal int8

const (
	// Minimize is for losses and errors. It is the default.
	Minimize Goal = iota
	// Maximize is for accuracies and scores.
	Maximize
)

// String returns the goal as worker.yaml writes it.
func (g Goal) String() string {
	if g == Maximize {
		return "maximize"
	}
	return "minimize"
}

// Spec says which detector watches which metric.
type Spec struct {
	Metric   string
	Detector string // a registered name: rolling_mean
	Goal     Goal
	Options  map[string]any // of the detector; what is absent or nil has its default
}

// ParseSpecs reads the list `monitor` of worker.yaml: mappings with metric, detector, goal and the detector's options.
// It checks all that New does. Errors name the place, the value and the remedy:
// `monitor[0].window: 0 is not an integer from 2 to 10000: …`.
func ParseSpecs(tree []any) ([]Spec, error) {
	specs := make([]Spec, len(tree))
	for i, node := range tree {
		spec, err := parseSpec(fmt.Sprintf("monitor[%d]", i), node)
		if err != nil {
			return nil, err
		}
		specs[i] = spec
	}
	if _, err := New(specs); err != nil {
		return nil, err
	}
	return specs, nil
}

func parseSpec(path string, node any) (spec Spec, err error) {
	tree, ok := node.(map[string]any)
	if !ok {
		return Spec{}, mistake(path, node, "a mapping", "give {metric: loss, detector: rolling_mean}")
	}
	spec.Options = maps.Clone(tree)
	maps.DeleteFunc(spec.Options, func(name string, _ any) bool {
		return name == "metric" || name == "detector" || name == "goal"
	})
	if spec.Metric, ok = tree["metric"].(string); !ok {
		return Spec{}, mistake(path+".metric", tree["metric"], "a metric's name", "name one that the model reports, as in metric: loss")
	}
	if spec.Detector, ok = tree["detector"].(string); !ok {
		return Spec{}, unknownDetector(path, tree["detector"])
	}
	spec.Goal, err = parseGoal(path+".goal", tree["goal"])
	return spec, err
}

func parseGoal(path string, value any) (Goal, error) {
	switch value {
	case nil, "minimize":
		return Minimize, nil
	case "maximize":
		return Maximize, nil
	}
	return Minimize, mistake(path, value, "a goal", "give minimize or maximize")
}

func unknownDetector(path string, value any) error {
	known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	return mistake(path+".detector", value, "a known detector", "give one of "+known)
}

// compile builds the detector of one spec, which stands at path.
func compile(path string, spec Spec) (watch, error) {
	if spec.Metric == "" {
		return watch{}, mistake(path+".metric", "", "a metric's name", "name one that the model reports, as in metric: loss")
	}
	kind, ok := kinds[spec.Detector]
	if !ok {
		return watch{}, unknownDetector(path, spec.Detector)
	}
	given := &options{path: path, values: spec.Options}
	w := watch{metric: spec.Metric, name: spec.Detector, against: kind.against, detector: kind.build(given, spec.Goal)}
	if err := given.finish(); err != nil {
		return watch{}, err
	}
	w.hash = spec.hash(given.changed)
	return w, nil
}

// hash identifies a spec in storage: readable as to what is watched, short as to how.
// Options count where they differ from their default. So writing a default out, or a release that adds an option,
// costs no model its memory.
func (s Spec) hash(changed []string) string {
	h := fnv.New64a()
	fmt.Fprint(h, s.Goal, changed)
	return fmt.Sprintf("%s/%s/%016x", s.Metric, s.Detector, h.Sum64())
}
