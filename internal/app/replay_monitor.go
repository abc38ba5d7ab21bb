package app

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/replay"
)

// replayMonitors are those to compare, with what each is for people.
func replayMonitors(g Globals, o ReplayOptions) (monitors []replay.Monitor, names []string, err error) {
	if o.Monitor == "" {
		config, err := g.Config()
		if err != nil {
			return nil, nil, err
		}
		treatment, err := config.coordinator(g.Version, false)
		if err != nil {
			return nil, nil, err
		}
		name := "config"
		monitors = append(monitors, replay.Monitor{Name: name, Of: treatment.Monitor})
		if g.ConfigFile != "" {
			name += ": " + g.ConfigFile
		} else {
			name += ": the built-in default"
		}
		names = append(names, name)
	}
	for _, given := range []struct{ flag, text string }{{"monitor", o.Monitor}, {"against", o.Against}} {
		if given.text == "" {
			continue
		}
		m, err := parseMonitor(given.text)
		if err != nil {
			return nil, nil, fmt.Errorf("--%s: %w", given.flag, err)
		}
		monitors = append(monitors, replay.Monitor{Name: given.flag, Of: func(string) *observer.Monitor { return m }})
		names = append(names, given.flag+": "+legendText(given.text))
	}
	return monitors, names, nil
}

// legendText fits a legend.
func legendText(text string) string {
	text = strings.Join(strings.Fields(printable(text)), " ")
	if letters := []rune(text); len(letters) > 90 {
		return string(letters[:90]) + "…"
	}
	return text
}

// parseMonitor reads what a monitor of worker.yaml may be, a rule alone, or the name of a detector; @file names a file.
func parseMonitor(text string) (*observer.Monitor, error) {
	body, file := []byte(text), ""
	if name, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if body, err = os.ReadFile(name); err != nil {
			return nil, err
		}
		file = name
	}
	m, err := monitorOf(body)
	if err != nil && file != "" {
		return nil, inFile(file, err)
	}
	return m, err
}

func monitorOf(body []byte) (*observer.Monitor, error) {
	root, err := parseYAML(body)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, errors.New("is empty: give a rule such as {metric: loss, detector: auto}")
	}
	var tree any
	if err := yaml.NodeToValue(root, &tree); err != nil {
		return nil, asMistake(err)
	}
	m, err := observer.Parse(asMonitor(tree))
	if err != nil {
		return nil, &mistake{line: nodeLine(ruleAt(root, err)), err: err}
	}
	return m, nil
}

// ruleAt is where the mistake is that the error names by a path such as monitor[1].window.
func ruleAt(root ast.Node, err error) ast.Node {
	path, _, _ := strings.Cut(err.Error(), ": ")
	index, rest, _ := strings.Cut(strings.TrimPrefix(path, "monitor"), ".")
	if list, ok := root.(*ast.SequenceNode); ok && len(list.Values) > 0 {
		i, _ := strconv.Atoi(strings.Trim(index, "[]"))
		root = list.Values[min(i, len(list.Values)-1)]
	}
	return nodeAt(root, rest)
}

// policyFields tell a policy from a rule.
var policyFields = []string{"rules", "when", "cool_down", "repeat", "stale_after", "late_after"}

func asMonitor(tree any) any {
	switch tree := tree.(type) {
	case string:
		return []any{map[string]any{"detector": tree}}
	case map[string]any:
		if tree["detector"] != nil || tree["metric"] != nil {
			return []any{tree}
		}
		for name := range tree {
			if slices.Contains(policyFields, name) {
				return tree
			}
		}
		return []any{tree}
	}
	return tree
}
