package study

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/visutility/retune/internal/duration"
	"github.com/visutility/retune/internal/pruner"
	"github.com/visutility/retune/internal/strategy"
)

// fields reads one object of a definition. The first error is kept, shared
// with the objects inside.
type fields struct {
	path string
	tree map[string]any
	err  *error
}

func (f *fields) fail(err error) {
	if *f.err == nil {
		*f.err = err
	}
}

func (f *fields) name(field string) string { return f.path + "." + field }

func (f *fields) refuse(field, remedy string) {
	f.fail(invalid(f.name(field), f.tree[field], remedy))
}

func (f *fields) object(field string) *fields {
	tree, ok := f.tree[field].(map[string]any)
	if !ok && f.tree[field] != nil {
		f.refuse(field, "give an object")
	}
	return &fields{path: f.name(field), tree: tree, err: f.err}
}

func (f *fields) text(field, absent string) string {
	if f.tree[field] == nil {
		return absent
	}
	s, ok := f.tree[field].(string)
	if !ok || s == "" {
		f.refuse(field, "give a string that is not empty")
	}
	return s
}

func (f *fields) required(field, remedy string) string {
	if f.tree[field] == nil {
		f.fail(missing(f.name(field), remedy))
	}
	return f.text(field, "")
}

func (f *fields) integer(field string, low, high, absent int) int {
	if f.tree[field] == nil {
		return absent
	}
	n, ok := integral(f.tree[field])
	if !ok || n < int64(low) || n > int64(high) {
		f.refuse(field, fmt.Sprintf("give a whole number from %d to %d", low, high))
	}
	return int(n)
}

func (f *fields) seed(field string) *uint64 {
	if f.tree[field] == nil {
		return nil
	}
	n, ok := integral(f.tree[field])
	if !ok || n < 0 {
		f.refuse(field, "give a whole number from 0 to 9223372036854775807")
	}
	seed := uint64(n)
	return &seed
}

func (f *fields) number(field string) *float64 {
	if f.tree[field] == nil {
		return nil
	}
	x, ok := float(f.tree[field])
	if !ok || !finite(x) {
		f.refuse(field, "give a finite number")
	}
	return &x
}

func (f *fields) duration(field string) time.Duration {
	if f.tree[field] == nil {
		return 0
	}
	s, _ := f.tree[field].(string)
	d, err := duration.Parse(s)
	if err != nil || d <= 0 {
		f.refuse(field, `give a positive duration such as "90s" or "10m"`)
	}
	return d
}

func (f *fields) goal(field string) strategy.Goal {
	goal, err := strategy.ParseGoal(f.required(field, "give minimize or maximize"))
	if err != nil {
		f.refuse(field, "give minimize or maximize")
	}
	return goal
}

func (f *fields) space(field string) *strategy.Space {
	object := f.object(field)
	if len(object.tree) == 0 {
		f.fail(missing(f.name(field), "give the parameters to search"))
		return nil
	}
	space, err := strategy.ParseSpace(object.tree)
	if err != nil {
		f.fail(fmt.Errorf("%s.%w", f.path, err))
	}
	return space
}

func (f *fields) configs(field string) []map[string]any {
	list, ok := f.tree[field].([]any)
	if !ok && f.tree[field] != nil {
		f.refuse(field, "give a list of configs")
	}
	configs := make([]map[string]any, 0, len(list))
	for i, item := range list {
		config, ok := item.(map[string]any)
		if !ok {
			f.fail(invalid(fmt.Sprintf("%s[%d]", f.name(field), i), item, "give a config"))
		}
		configs = append(configs, NormalConfig(config))
	}
	return configs
}

func (f *fields) pruner(field string) pruner.Pruner {
	object := f.object(field)
	built, err := pruner.New(object.text("type", "none"), object.object("options").tree)
	if err != nil {
		f.fail(fmt.Errorf("%s.%w", f.path, err))
	}
	return built
}

// maxSources bounds what a start command makes a worker read.
const maxSources = 5

func (f *fields) sources(field string) []Source {
	list, ok := f.tree[field].([]any)
	if !ok && f.tree[field] != nil || len(list) > maxSources {
		f.refuse(field, fmt.Sprintf(`give a list of at most %d earlier studies, each as "study" or "model/study"`, maxSources))
		return nil
	}
	var sources []Source
	for i, item := range list {
		text, _ := item.(string)
		model, name, other := strings.Cut(text, "/")
		if !other {
			model, name = "", text
		}
		if !namePattern.MatchString(name) || other && !namePattern.MatchString(model) {
			f.fail(invalid(fmt.Sprintf("%s[%d]", f.name(field), i), item, `give the name of an earlier study as "study" or "model/study"`))
		}
		sources = append(sources, Source{model, name})
	}
	return sources
}

func missing(path, remedy string) error {
	return fmt.Errorf("%s: missing: %s", path, remedy)
}

func invalid(path string, value any, remedy string) error {
	text := fmt.Sprintf("%v", value)
	if body, err := json.Marshal(value); err == nil {
		text = string(body)
	}
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "…"
	}
	return fmt.Errorf("%s: %s is not valid: %s", path, text, remedy)
}

// normal gives a number of any width as int64 or float64, anything else as it is.
func normal(v any) any {
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return r.Int()
	case r.CanUint() && r.Uint() > math.MaxInt64:
		return float64(r.Uint())
	case r.CanUint():
		return int64(r.Uint())
	case r.CanFloat():
		return r.Float()
	}
	return v
}

// NormalConfig gives the values of a decoded config the types they have
// everywhere: float64, int64, string and bool.
func NormalConfig(config map[string]any) map[string]any {
	if config == nil {
		return nil
	}
	normalized := make(map[string]any, len(config))
	for name, value := range config {
		normalized[name] = normal(value)
	}
	return normalized
}

// integral accepts whole floats: Python writes 3.0 for a computed 3.
func integral(v any) (int64, bool) {
	switch n := normal(v).(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), n == math.Trunc(n) && math.Abs(n) < 1<<63
	}
	return 0, false
}

func float(v any) (float64, bool) {
	switch n := normal(v).(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func sameTree(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && contains(a, other) && contains(other, a)
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, sameTree)
	}
	a, b = normal(a), normal(b)
	m, whole := integral(a)
	if n, ok := integral(b); ok && whole {
		return m == n
	}
	return reflect.DeepEqual(a, b)
}

// contains reports whether b has every field of a with the same value.
func contains(a, b map[string]any) bool {
	for name, value := range a {
		if !sameTree(value, b[name]) {
			return false
		}
	}
	return true
}
