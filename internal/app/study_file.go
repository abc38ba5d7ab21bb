package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// studyFields are those of the contract; a message may have others, a file that
// somebody wrote by hand may not: a misspelled bound would be none.
var studyFields = []string{
	"baseline", "enqueue", "max_duration", "max_trials", "model", "name", "objective", "options", "parallelism",
	"pruner", "retries", "seed", "space", "strategy", "trial_timeout", "warm_start",
}

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
	}
	// The longest study is 512 KiB of msgpack; YAML may need more for the same.
	text, err := io.ReadAll(io.LimitReader(stdin, 8<<20))
	if err != nil {
		return StudyFile{}, err
	}
	file, err := parseStudy(text)
	if err != nil {
		return StudyFile{}, &Misuse{fmt.Errorf("%s:%w", path, err)}
	}
	return file, nil
}

// parseStudy gives errors that begin with the line.
func parseStudy(text []byte) (StudyFile, error) {
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		return StudyFile{}, atLine(err)
	}
	var tree map[string]any
	if err := yaml.UnmarshalWithOptions(text, &tree, yaml.Strict()); err != nil {
		return StudyFile{}, atLine(err)
	}
	if len(tree) == 0 || len(parsed.Docs) != 1 {
		return StudyFile{}, errors.New("1: give one study: a map with objective, space and a bound such as max_trials")
	}
	for name := range tree {
		if !slices.Contains(studyFields, name) {
			return StudyFile{}, fmt.Errorf("%d: %s is not a field of a study: those are %s", lineOf(parsed, name), name, strings.Join(studyFields, ", "))
		}
	}
	model, ok := tree["model"].(string)
	if !ok && tree["model"] != nil || ok && wire.CheckName("model", model) != nil {
		return StudyFile{}, fmt.Errorf("%d: model: %v is not a name: use 1 to 128 of the characters A-Z a-z 0-9 _ -", lineOf(parsed, "model"), tree["model"])
	}
	delete(tree, "model")
	name, err := checkStudy(tree)
	if err != nil {
		return StudyFile{}, fmt.Errorf("%d: %w", lineOf(parsed, fieldOf(err)), err)
	}
	return StudyFile{Model: model, Name: name, Definition: tree}, nil
}

// checkStudy refuses what a worker would.
func checkStudy(tree map[string]any) (name string, err error) {
	definition, err := study.Parse(tree)
	if err != nil {
		return "", err
	}
	_, err = study.New(definition, "checked", 0, 0, time.Time{})
	return definition.Name, err
}

// atLine says only what is wrong and where; the library would quote the file.
func atLine(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return fmt.Errorf("1: %w", err)
	}
	return fmt.Errorf("%d: %s", at.GetToken().Position.Line, at.GetMessage())
}

var fieldPattern = regexp.MustCompile(`^study\.([^:]+):`)

// fieldOf is the path that an error of package study begins with.
func fieldOf(err error) string {
	if m := fieldPattern.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}

var stepPattern = regexp.MustCompile(`[^.\[\]]+`)

// lineOf is where the field stands, or the nearest that is there of those around it.
func lineOf(file *ast.File, field string) int {
	node := file.Docs[0].Body
	line := node.GetToken().Position.Line
	for _, step := range stepPattern.FindAllString(field, -1) {
		if node = child(node, step, &line); node == nil {
			break
		}
	}
	return line
}

// child is the value under a name or an index, and sets its line.
func child(node ast.Node, step string, line *int) ast.Node {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == step {
				*line = v.Key.GetToken().Position.Line
				return v.Value
			}
		}
	case *ast.SequenceNode:
		for i, v := range n.Values {
			if fmt.Sprint(i) == step {
				*line = v.GetToken().Position.Line
				return v
			}
		}
	}
	return nil
}
