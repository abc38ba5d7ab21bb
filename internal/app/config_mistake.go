package app

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// mistake is what is wrong in a file, and where.
type mistake struct {
	line int // from 1; 0: not known
	err  error
}

func (m *mistake) Error() string { return m.err.Error() }

func (m *mistake) Unwrap() error { return m.err }

// mistakeAt speaks of the value or key n.
func mistakeAt(n ast.Node, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if path := strings.TrimPrefix(strings.TrimPrefix(n.GetPath(), "$"), "."); path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return &mistake{line: nodeLine(n), err: err}
}

// asMistake gives an error of the YAML parser its line without the excerpt that it
// prints otherwise.
func asMistake(err error) error {
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		return &mistake{line: syntax.GetToken().Position.Line, err: errors.New(syntax.GetMessage())}
	}
	return err
}

// located gives the error of a field, `path: problem`, the line of that field.
func located(root ast.Node, err error) error {
	path, _, _ := strings.Cut(err.Error(), ": ")
	if root == nil {
		return err
	}
	return &mistake{line: nodeLine(nodeAt(root, path)), err: err}
}

// nodeAt returns the node at a path such as models[0].tuner.options, or the last one
// on the way there.
func nodeAt(n ast.Node, path string) ast.Node {
	step, rest, _ := strings.Cut(path, ".")
	key, index, indexed := strings.Cut(step, "[")
	value := valueOf(n, key)
	if value == nil {
		return n
	}
	if indexed {
		list, ok := value.(*ast.SequenceNode)
		i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if !ok || err != nil || i >= len(list.Values) {
			return value
		}
		value = list.Values[i]
	}
	if rest == "" {
		return value
	}
	return nodeAt(value, rest)
}

func valueOf(n ast.Node, key string) ast.Node {
	entries, ok := n.(ast.MapNode)
	if !ok {
		return nil
	}
	for each := entries.MapRange(); each.Next(); {
		if each.Key().String() == key {
			return each.Value()
		}
	}
	return nil
}

// nodeLine is where a node begins: a block mapping's token is its first colon.
func nodeLine(n ast.Node) int {
	if entries, ok := n.(*ast.MappingNode); ok && len(entries.Values) > 0 {
		n = entries.Values[0].Key
	}
	return n.GetToken().Position.Line
}

var (
	reflectConfig    = reflect.TypeFor[Config]()
	unmarshalsItself = reflect.TypeFor[yaml.NodeUnmarshaler]()
)

// checkNode finds, before the parser decodes n into a t, what it would say in Go's
// terms or not at all: an unknown field, a broken number for a whole one, a value
// of another shape.
func checkNode(n ast.Node, t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Type() == ast.NullType || n.Type() == ast.AliasType || reflect.PointerTo(t).Implements(unmarshalsItself) {
		return nil
	}
	if anchor, ok := n.(*ast.AnchorNode); ok {
		return checkNode(anchor.Value, t)
	}
	switch t.Kind() {
	case reflect.Struct:
		return checkStruct(n, t)
	case reflect.Slice:
		return checkList(n, t)
	case reflect.Map:
		if _, ok := n.(ast.MapNode); !ok {
			return mistakeAt(n, "%s is not a mapping: give name: value", shown(n))
		}
	case reflect.Int:
		text, _ := scalar(n)
		if _, err := strconv.Atoi(strings.ReplaceAll(text, "_", "")); err != nil {
			return mistakeAt(n, "%s is not a whole number: give one", shown(n))
		}
	case reflect.String:
		if _, ok := scalar(n); !ok {
			return mistakeAt(n, "%s is not a string: give one", shown(n))
		}
	}
	return nil
}

func checkStruct(n ast.Node, t reflect.Type) error {
	entries, ok := n.(ast.MapNode)
	known := fieldsOf(t)
	if !ok {
		return mistakeAt(n, "%s is not a mapping: give one with %s", shown(n), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	for each := entries.MapRange(); each.Next(); {
		if each.Key().IsMergeKey() {
			continue
		}
		name := each.Key().String()
		field, ok := known[name]
		if !ok {
			return mistakeAt(each.KeyValue(), "unknown field: %s", meant(name, slices.Sorted(maps.Keys(known))))
		}
		if err := checkNode(each.Value(), field); err != nil {
			return err
		}
	}
	return nil
}

func checkList(n ast.Node, t reflect.Type) error {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return mistakeAt(n, "%s is not a list: give one, as in [a, b] or on lines that begin with -", shown(n))
	}
	for _, value := range list.Values {
		if err := checkNode(value, t.Elem()); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf are those that worker.yaml may give of a struct.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	known := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("yaml")] = t.Field(i).Type
	}
	return known
}

// scalar is the text of a string, number or boolean.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return scalar(n.Value)
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// shown is the value as the file has it: what variables stand for may be secret.
func shown(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return strconv.Quote(s.Token.Value)
	}
	switch text, ok := scalar(n); {
	case ok:
		return strconv.Quote(text)
	case n.Type() == ast.SequenceType:
		return "a list"
	}
	return "a mapping"
}

// meant suggests the known name that was probably meant, else lists all.
func meant(name string, known []string) string {
	best, least := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "known here are " + strings.Join(known, ", ")
}

// distance is how many letters must be put in, taken out, changed or swapped with
// their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
