package wire_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/goccy/go-yaml"

	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// schema is what the tests look at of one in docs/asyncapi.yaml.
type schema struct {
	Type       any               `yaml:"type"`
	Format     string            `yaml:"format"`
	Ref        string            `yaml:"$ref"`
	Enum       []string          `yaml:"enum"`
	Required   []string          `yaml:"required"`
	Properties map[string]schema `yaml:"properties"`
}

type document struct {
	Channels map[string]struct {
		Address string `yaml:"address"`
	} `yaml:"channels"`
	Components struct {
		Schemas map[string]schema `yaml:"schemas"`
	} `yaml:"components"`
}

func asyncapi(t *testing.T) (d document) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "docs", "asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAsyncAPIOutputs holds the fields of what goes out against their schemas, both ways.
func TestAsyncAPIOutputs(t *testing.T) {
	t.Parallel()
	schemas := asyncapi(t).Components.Schemas
	for _, v := range []any{wire.Config{}, wire.Stop{}, wire.Retrain{}, wire.Summary{}, wire.BestTrial{}, wire.TrialResult{}} {
		kind := reflect.TypeOf(v)
		s := schemas[kind.Name()]
		var names, required []string
		for i := range kind.NumField() {
			field := kind.Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			names = append(names, name)
			if options == "" {
				required = append(required, name)
			}
			if got, want := typeOf(s.Properties[name]), typeName(kind, field); got != want {
				t.Errorf("%s.%s: the schema says %s, the message has %s", kind.Name(), name, got, want)
			}
		}
		equal(t, kind.Name()+".properties", keys(s.Properties), names)
		equal(t, kind.Name()+".required", s.Required, required)
	}
}

func typeOf(s schema) string {
	if s.Ref != "" {
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	}
	name, _ := s.Type.(string)
	if s.Format != "" {
		return s.Format
	}
	return name
}

// typeName is how the schema calls the type of a field.
func typeName(message reflect.Type, field reflect.StructField) string {
	kind := field.Type
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	times := []string{"Time", "Since", "IssuedAt", "StartedAt", "FinishedAt"}
	switch {
	case slices.Contains(times, field.Name):
		return "date-time"
	case field.Name == "Config":
		return "Values"
	case message == reflect.TypeFor[wire.Retrain]() && (field.Name == "Value" || field.Name == "Reference"):
		return "Number" // a metric as it was reported
	case kind.Kind() == reflect.Struct:
		return kind.Name()
	}
	switch kind.Kind() {
	case reflect.String:
		return "string"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "array"
	case reflect.Map:
		return "object"
	default:
		return "integer"
	}
}

// TestAsyncAPIReport: each property is a field that the decoder reads, and each field one.
func TestAsyncAPIReport(t *testing.T) {
	t.Parallel()
	s := asyncapi(t).Components.Schemas["Report"]
	var fields []string
	for kind, i := reflect.TypeFor[wire.Report](), 0; i < kind.NumField(); i++ {
		if name := kind.Field(i).Name; name != "HasStep" {
			fields = append(fields, snake(name))
		}
	}
	equal(t, "Report.properties", keys(s.Properties), fields)
	for name := range s.Properties {
		_, err := wire.DecodeReport([]byte(`{"`+name+`": [1]}`), "application/json")
		var refused *wire.FieldError
		if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: a list is taken for it: %v", name, err)
		}
	}
	for _, state := range s.Properties["state"].Enum {
		if _, err := wire.DecodeReport([]byte(`{"metrics":{"loss":1},"state":"`+state+`"}`), ""); err != nil {
			t.Error(err)
		}
	}
	equal(t, "Report.state", s.Properties["state"].Enum, []string{wire.Running.String(), wire.Complete.String(), wire.Failed.String()})
}

// TestAsyncAPICommand: the operations, and the fields of a study, are those that are read.
func TestAsyncAPICommand(t *testing.T) {
	t.Parallel()
	schemas := asyncapi(t).Components.Schemas
	_, err := wire.DecodeCommand([]byte(`{"op":"none"}`), "")
	for _, op := range schemas["Command"].Properties["op"].Enum {
		if !strings.Contains(err.Error(), op) {
			t.Errorf("%s is not among what there is: %v", op, err)
		}
		body := `{"op":"` + op + `","name":"s","config":{},"study":{}}`
		if _, err := wire.DecodeCommand([]byte(body), ""); err != nil {
			t.Error(err)
		}
	}
	if n := len(regexp.MustCompile(`send (.*)`).FindStringSubmatch(err.Error())[1]); n != len("start, stop, enqueue, baseline or forget") {
		t.Errorf("there are others: %v", err)
	}
	equal(t, "Command.properties", keys(schemas["Command"].Properties), []string{"op", "name", "study", "config"})
	var fields []string
	for kind, i := reflect.TypeFor[study.Definition](), 0; i < kind.NumField(); i++ {
		if name := kind.Field(i).Name; !slices.Contains([]string{"Metric", "Goal", "Tree"}, name) {
			fields = append(fields, snake(name))
		}
	}
	equal(t, "Study.properties", keys(schemas["Study"].Properties), append(fields, "objective"))
	for name := range schemas["Study"].Properties {
		definition := map[string]any{
			"objective": map[string]any{"metric": "loss", "goal": "minimize"}, "max_trials": 1,
			"space": map[string]any{"x": map[string]any{"type": "float", "low": 0, "high": 1}},
		}
		if _, err := study.Parse(definition); err != nil {
			t.Fatal(err)
		}
		definition[name] = []any{[]any{}}
		if _, err := study.Parse(definition); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("study.%s: a list of a list is taken for it: %v", name, err)
		}
		delete(definition, name)
		_, err := study.Parse(definition)
		if required := slices.Contains(schemas["Study"].Required, name); required != (err != nil && name != "max_trials") {
			t.Errorf("study.%s: required %v, without it: %v", name, required, err)
		}
	}
}

// TestAsyncAPIEnums are those whose values other packages name.
func TestAsyncAPIEnums(t *testing.T) {
	t.Parallel()
	schemas := asyncapi(t).Components.Schemas
	for field, want := range map[string][]string{
		"Retrain.severity":  {string(observer.Warning), string(observer.Critical)},
		"Retrain.trigger":   {string(observer.Degraded), string(observer.Stale), "improved"},
		"Stop.reason":       {study.StopPruned, study.StopTimedOut, study.StopStudyEnded},
		"Summary.reason":    {study.EndMaxTrials, study.EndMaxDuration, study.EndExhausted, study.EndStopped, study.EndFailing},
		"TrialResult.state": {string(study.Complete), string(study.Pruned), string(study.Failed), string(study.TimedOut), string(study.Stopped)},
	} {
		message, name, _ := strings.Cut(field, ".")
		equal(t, field, schemas[message].Properties[name].Enum, want)
	}
}

// TestAsyncAPISubjects: the channels are the subjects.
func TestAsyncAPISubjects(t *testing.T) {
	t.Parallel()
	s := wire.Subjects{Prefix: "retune"}
	want := []string{
		s.Metrics("MODEL"), s.StudyCommand("MODEL"), s.TrialConfig("MODEL", "STUDY", 7), s.LiveConfig("MODEL"), s.Stop("MODEL", "STUDY", 7),
		s.Retrain("MODEL", "ID"), s.Summary("MODEL", "STUDY"), s.Dead(3, 5),
	}
	example := strings.NewReplacer("{model}", "MODEL", "{study}", "STUDY", "{trial}", "7", "{id}", "ID", "{partition}", "3", "{slot}", "5")
	var got []string
	for _, c := range asyncapi(t).Channels {
		got = append(got, example.Replace(c.Address))
	}
	equal(t, "channels", got, want)
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: docs/asyncapi.yaml has %q, the code %q", what, got, want)
	}
}

func keys(properties map[string]schema) (names []string) {
	for name := range properties {
		names = append(names, name)
	}
	return names
}

// snake is the name of a field in messages: DurationMS is duration_ms.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && unicode.IsLower(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
