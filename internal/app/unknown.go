package app

import (
	"fmt"
	"maps"
	"slices"
)

// What a study has, by the contract. A message may have other fields, which say nothing; a file that somebody wrote
// by hand may not: of a bound that is misspelt none would be left.
var (
	studyFields = []string{
		"baseline", "enqueue", "max_duration", "max_trials", "model", "name", "objective", "options", "parallelism",
		"pruner", "retries", "seed", "space", "strategy", "trial_timeout", "warm_start",
	}
	objectiveFields = []string{"goal", "metric"}
	prunerFields    = []string{"options", "type"}
	parameterFields = []string{"choices", "high", "log", "low", "step", "type", "values", "when"}
)

// unknownInStudy refuses fields of a study that there are not. Like the others it begins with the path of the field.
func unknownInStudy(path string, study map[string]any) error {
	for _, part := range []struct {
		path  string
		tree  any
		known []string
	}{
		{path, study, studyFields},
		{path + "objective.", study["objective"], objectiveFields},
		{path + "pruner.", study["pruner"], prunerFields},
	} {
		if err := unknownField(part.path, part.tree, part.known); err != nil {
			return err
		}
	}
	return unknownInSpace(path+"space.", study["space"])
}

func unknownInSpace(path string, space any) error {
	parameters, _ := space.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if err := unknownField(path+name+".", parameters[name], parameterFields); err != nil {
			return err
		}
	}
	return nil
}

// unknownField leaves it to others to say that a tree is none.
func unknownField(path string, tree any, known []string) error {
	fields, _ := tree.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s%s: unknown field: %s", path, name, meant(name, known))
		}
	}
	return nil
}
