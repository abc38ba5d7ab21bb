package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// StudyFile is a study as a file describes it.
type StudyFile struct {
	Model      string         // "": the file names none
	Name       string         // "": it follows from the start command
	Definition map[string]any // as in a start command
}

// ReadStudyFile reads YAML or JSON from a file, "-" being standard input. A
// mistake is a *Misuse that says where it is.
func ReadStudyFile(path string, stdin io.Reader) (StudyFile, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return StudyFile{}, &Misuse{err}
		}
		defer f.Close()
		stdin = f
	} else {
		path = "standard input"
	}
	// The longest study is 512 KiB of msgpack; YAML may need more for the same.
	text, err := io.ReadAll(io.LimitReader(stdin, 8<<20))
	if err != nil {
		return StudyFile{}, err
	}
	file, err := parseStudy(text)
	if err != nil {
		return StudyFile{}, &Misuse{inFile(path, err)}
	}
	return file, nil
}

func parseStudy(text []byte) (StudyFile, error) {
	root, err := parseYAML(text)
	if err != nil {
		return StudyFile{}, err
	}
	if _, ok := root.(ast.MapNode); !ok {
		return StudyFile{}, errors.New("is no study: give a mapping with objective, space and a bound such as max_trials")
	}
	var tree map[string]any
	if err := yaml.NodeToValue(root, &tree, yaml.Strict()); err != nil {
		return StudyFile{}, asMistake(err)
	}
	file, err := checkStudy(tree)
	if err != nil {
		return StudyFile{}, located(root, err)
	}
	return file, nil
}

// checkStudy refuses what a worker would. Errors begin with the path of a field.
func checkStudy(tree map[string]any) (StudyFile, error) {
	if err := unknownInStudy("", tree); err != nil {
		return StudyFile{}, err
	}
	model, ok := tree["model"].(string)
	if !ok && tree["model"] != nil {
		return StudyFile{}, fmt.Errorf("model: %v is not a name: quote it", tree["model"])
	}
	if ok {
		if err := wire.CheckName("model", model); err != nil {
			return StudyFile{}, err
		}
	}
	delete(tree, "model")
	definition, err := study.Parse(tree)
	if err == nil {
		_, err = study.New(definition, "unnamed", 0, 0, nil, time.Time{})
	}
	if err != nil {
		return StudyFile{}, errors.New(strings.TrimPrefix(err.Error(), "study."))
	}
	return StudyFile{Model: model, Name: definition.Name, Definition: tree}, nil
}
