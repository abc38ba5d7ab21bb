package strategy

import (
	"maps"
	"slices"
	"strings"
)

// registry holds how each strategy is built. The conformance tests run against every entry.
var registry = map[string]func(options map[string]any, space *Space) (Strategy, error){
	"auto":    newAuto,
	"cmaes":   newCMAES,
	"explore": newExplore,
	"gp":      newGP,
	"grid":    newGridSearch,
	"local":   newLocal,
	"random":  newRandom,
	"sobol":   newSobol,
	"step":    newStep,
	"tpe":     newTPE,
}

// New builds the strategy of that name. space is nil when there is none: step, explore and local then treat
// every number as a float, the others refuse it. Errors are *FieldError: an unknown name,
// an unknown option, a wrong value, a space the strategy cannot search.
func New(name string, options map[string]any, space *Space) (Strategy, error) {
	build, ok := registry[name]
	if !ok {
		return nil, &FieldError{"strategy", show(name) + " is not a strategy", "give one of " + strings.Join(Names(), ", ")}
	}
	return build(options, space)
}

// Names returns the names that New knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }

func needSpace(name string, space *Space) error {
	if space == nil {
		return &FieldError{"space", "is missing", "give one: strategy " + name + " searches it"}
	}
	return nil
}

func onlyOptions(options map[string]any, known ...string) error {
	remedy := "leave it out; the strategy has no options"
	if len(known) > 0 {
		remedy = "use " + strings.Join(known, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !slices.Contains(known, name) {
			return &FieldError{"options." + cut(name), "is not an option of the strategy", remedy}
		}
	}
	return nil
}

// numberOption reads a finite number; absent or null means the default.
func numberOption(options map[string]any, name string, absent float64) (float64, error) {
	v := options[name]
	if v == nil {
		return absent, nil
	}
	f, ok := finiteNumber(v)
	if !ok {
		return 0, &FieldError{"options." + name, show(v) + " is not a finite number", "give one such as " + show(absent)}
	}
	return f, nil
}
