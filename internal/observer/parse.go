package observer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/visutility/retune/internal/duration"
)

// Parse reads `monitor` of worker.yaml and compiles it: a list of rules, or a mapping with rules, when (any, all or
// n of m), cool_down, repeat, stale_after and late_after. A rule is a mapping with metric, detector, goal, severity, for,
// confirm, recover and the detector's options. Errors name the place, the value and the remedy:
// `monitor[0].window: 0 is not an integer from 2 to 10000: …`.
func Parse(tree any) (*Monitor, error) {
	switch tree := tree.(type) {
	case nil:
		return New(Policy{LateAfter: DefaultLateAfter})
	case []any:
		return parseRules(Policy{LateAfter: DefaultLateAfter}, tree, "monitor", nil)
	case map[string]any:
		return parsePolicy(tree)
	}
	return nil, mistake("monitor", tree, "a list of rules or a mapping", "give - {metric: loss, detector: auto}")
}

var policyFields = []string{"rules", "when", "cool_down", "repeat", "stale_after", "late_after"}

func parsePolicy(tree map[string]any) (*Monitor, error) {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if !slices.Contains(policyFields, name) {
			return nil, fmt.Errorf("monitor.%s: is not a field of a monitor: remove it or give one of %s; what is of one rule stands in rules",
				name, strings.Join(policyFields, ", "))
		}
	}
	rules := []any{map[string]any{}}
	if given, ok := tree["rules"]; ok {
		if rules, ok = given.([]any); !ok {
			return nil, mistake("monitor.rules", given, "a list of rules", "give - {metric: loss, detector: auto}")
		}
	}
	p := Policy{LateAfter: DefaultLateAfter}
	for _, field := range []struct {
		name string
		to   *time.Duration
	}{{"cool_down", &p.CoolDown}, {"repeat", &p.Repeat}, {"stale_after", &p.StaleAfter}, {"late_after", &p.LateAfter}} {
		if err := parseDuration("monitor."+field.name, tree[field.name], field.to); err != nil {
			return nil, err
		}
	}
	return parseRules(p, rules, "monitor.rules", tree["when"])
}

func parseRules(p Policy, rules []any, path string, when any) (_ *Monitor, err error) {
	p.Rules = make([]Spec, len(rules))
	for i, node := range rules {
		if p.Rules[i], err = parseSpec(fmt.Sprintf("%s[%d]", path, i), node); err != nil {
			return nil, err
		}
	}
	if p.Need, err = parseWhen(when, len(rules)); err != nil {
		return nil, err
	}
	return compile(p, path)
}

func parseWhen(value any, rules int) (int, error) {
	switch value {
	case nil, "any":
		return 1, nil
	case "all":
		return max(rules, 1), nil
	}
	text, _ := value.(string)
	if n, of, ok := parseOf(text); ok && n >= 1 && n <= of && of == rules {
		return n, nil
	}
	return 0, mistake("monitor.when", value, "any, all or n of m", fmt.Sprintf("give one of them; there are %d rules, so m is %d", rules, rules))
}

// parseOf reads "2 of 3".
func parseOf(text string) (n, of int, ok bool) {
	first, second, _ := strings.Cut(text, " of ")
	n, err := strconv.Atoi(strings.TrimSpace(first))
	of, err2 := strconv.Atoi(strings.TrimSpace(second))
	return n, of, err == nil && err2 == nil
}

// parseDuration leaves the default where there is no value.
func parseDuration(path string, value any, to *time.Duration) error {
	if value == nil {
		return nil
	}
	text, _ := value.(string)
	d, err := duration.Parse(text)
	if err != nil {
		return mistake(path, value, "a duration", "give one such as 90s, 36h or 7d")
	}
	*to = d
	return nil
}

var ruleFields = []string{"metric", "detector", "goal", "severity", "for", "confirm", "recover"}

func parseSpec(path string, node any) (s Spec, err error) {
	tree, ok := node.(map[string]any)
	if !ok {
		return Spec{}, mistake(path, node, "a mapping", "give {metric: loss, detector: auto}")
	}
	s.Options = maps.Clone(tree)
	maps.DeleteFunc(s.Options, func(name string, _ any) bool { return slices.Contains(ruleFields, name) })
	if s.Metric, ok = tree["metric"].(string); tree["metric"] != nil && (!ok || s.Metric == "") {
		return Spec{}, mistake(path+".metric", tree["metric"], "a metric's name", "name one that the model reports, as in metric: loss, or leave it out for the main one")
	}
	if s.Detector, ok = tree["detector"].(string); tree["detector"] == nil {
		s.Detector = "auto"
	} else if !ok {
		return Spec{}, unknownDetector(path, tree["detector"])
	}
	if s.Goal, err = parseGoal(path+".goal", tree["goal"], s.Metric); err != nil {
		return Spec{}, err
	}
	return s, s.parseHolding(path, tree)
}

// parseGoal falls back on what the metric's name tells.
func parseGoal(path string, value any, metric string) (Goal, error) {
	switch {
	case value == nil:
		goal, _ := goalOf(metric)
		return goal, nil
	case metric == "":
		return Minimize, mistake(path, value, "used without a metric", "name the metric, or leave the goal out")
	case value == "minimize":
		return Minimize, nil
	case value == "maximize":
		return Maximize, nil
	}
	return Minimize, mistake(path, value, "a goal", "give minimize or maximize")
}

// parseHolding reads when a rule holds.
func (s *Spec) parseHolding(path string, tree map[string]any) (err error) {
	switch value := tree["severity"]; value {
	case nil, string(Warning):
		s.Severity = Warning
	case string(Critical):
		s.Severity = Critical
	default:
		return mistake(path+".severity", value, "a severity", "give warning or critical")
	}
	if err = parseDuration(path+".for", tree["for"], &s.For); err != nil {
		return err
	}
	s.Confirm = Confirm{1, 1}
	if value := tree["confirm"]; value != nil {
		text, _ := value.(string)
		n, of, ok := parseOf(text)
		if s.Confirm = (Confirm{n, of}); !ok || n < 1 || n > of || of > 64 {
			return confirmMistake(path, value)
		}
	}
	given := &options{path: path, values: tree}
	s.Recover = given.integer("recover", 1, 1, 10_000)
	return given.err
}

func confirmMistake(path string, value any) error {
	return mistake(path+".confirm", value, "n of m with 1 ≤ n ≤ m ≤ 64", `give one such as "3 of 5", or leave it out for every report`)
}
