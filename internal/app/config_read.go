package app

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// LoadConfig reads worker.yaml and fills in the defaults. A mistake is a *Misuse
// such as `worker.yaml:3: lease: "5" is not a duration: give one such as …`.
func LoadConfig(file string) (Config, error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return Config{}, &Misuse{fmt.Errorf("--config: %w", err)}
	}
	config, err := parseConfig(body, os.LookupEnv)
	if err != nil {
		return Config{}, &Misuse{inFile(file, err)}
	}
	return config, nil
}

func inFile(file string, err error) error {
	var m *mistake
	if errors.As(err, &m) && m.line > 0 {
		return fmt.Errorf("%s:%d: %w", file, m.line, err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

func parseConfig(body []byte, env func(string) (string, bool)) (Config, error) {
	root, err := parseYAML(body)
	if err != nil {
		return Config{}, err
	}
	config := Config{}.WithDefaults() // beforehand, so that a 0 in the file is refused
	if root != nil {
		if err := decodeConfig(root, env, &config); err != nil {
			return Config{}, asMistake(err)
		}
	}
	config = config.withoutNil() // null is absent
	if err := config.validate(); err != nil {
		return Config{}, located(root, err)
	}
	return config, nil
}

func decodeConfig(root ast.Node, env func(string) (string, bool), config *Config) error {
	if err := expand(root, env); err != nil {
		return err
	}
	if err := checkNode(root, reflectConfig); err != nil {
		return err
	}
	return yaml.NodeToValue(root, config, yaml.Strict())
}

// parseYAML returns the root of the one document in body; nil if it is empty.
func parseYAML(body []byte) (ast.Node, error) {
	file, err := parser.ParseBytes(bytes.TrimPrefix(body, []byte("\ufeff")), 0)
	if err != nil {
		return nil, asMistake(err)
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			return nil, mistakeAt(doc.Body, "a second document: give one only")
		}
		root = doc.Body
	}
	if root == nil || root.Type() == ast.NullType {
		return nil, nil
	}
	return root, mend(root)
}

// Floats of YAML 1.2 (core schema, 10.3.2) that the parser takes for strings.
var exponent = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$`)

// mend makes numbers of plain scalars such as 1e-5.
func mend(root ast.Node) error {
	return replaceStrings(root, func(n *ast.StringNode) (ast.Node, error) {
		if n.Token.Type != token.StringType || !exponent.MatchString(n.Value) {
			return n, nil
		}
		value, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			return nil, mistakeAt(n, "%s is no number that fits 64 bits", n.Value)
		}
		return &ast.FloatNode{BaseNode: n.BaseNode, Token: n.Token, Value: value}, nil
	})
}

var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// expand replaces ${NAME} in string values by environment variables.
func expand(root ast.Node, env func(string) (string, bool)) error {
	return replaceStrings(root, func(n *ast.StringNode) (ast.Node, error) {
		var wrong error
		n.Value = reference.ReplaceAllStringFunc(n.Value, func(found string) string {
			if strings.HasPrefix(found, "$$") {
				return found[1:]
			}
			name := variable.FindStringSubmatch(found)
			if name == nil {
				wrong = mistakeAt(n, "%q is not a variable: write ${NAME}, or $${ for a plain ${", found)
				return found
			}
			value, set := env(name[1])
			if !set {
				wrong = mistakeAt(n, "the environment variable %s is not set: set it, or write $${ for a plain ${", name[1])
			}
			return value
		})
		return n, wrong
	})
}

// replaceStrings puts what f makes of them in place of all values that are strings. Keys
// stay as they are.
func replaceStrings(n ast.Node, f func(*ast.StringNode) (ast.Node, error)) error {
	var err error
	child := func(at *ast.Node) {
		if s, ok := (*at).(*ast.StringNode); ok && err == nil {
			*at, err = f(s)
		} else if err == nil {
			err = replaceStrings(*at, f)
		}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			child(&v.Value)
		}
	case *ast.MappingValueNode:
		child(&n.Value)
	case *ast.SequenceNode:
		for i := range n.Values {
			child(&n.Values[i])
		}
	case *ast.AnchorNode:
		child(&n.Value)
	case *ast.LiteralNode:
		_, err = f(n.Value)
	}
	return err
}
