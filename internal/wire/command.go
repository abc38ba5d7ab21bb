package wire

import (
	"fmt"
	"maps"
	"slices"
)

const maxStudy = 512 << 10 // bytes of msgpack

// Command is a decoded study command.
type Command struct {
	Op     string         // start, stop, enqueue, baseline or forget
	Name   string         // of the study, for stop and enqueue
	Study  map[string]any // for start: the definition, as a tree
	Config map[string]any // for enqueue
}

// DecodeCommand decodes one study command and checks that it has what its op needs. An error is a *FieldError.
func DecodeCommand(body []byte, contentType string) (Command, error) {
	if err := checkMap(body, contentType); err != nil {
		return Command{}, err
	}
	tree, err := DecodeTree(body, contentType)
	if err != nil {
		return Command{}, err
	}
	fields, ok := tree.(map[string]any)
	if !ok {
		return Command{}, &FieldError{"body", "", "is not a study command", "send a msgpack map or a JSON object"}
	}
	op, _ := fields["op"].(string)
	c := Command{Op: op}
	switch op {
	case "start":
		c.Study, err = definition(fields["study"])
	case "stop":
		c.Name, err = studyName(fields["name"])
	case "enqueue":
		if c.Name, err = studyName(fields["name"]); err == nil {
			c.Config, err = config(fields["config"])
		}
	case "baseline", "forget":
	default:
		err = &FieldError{"op", showTree(fields["op"]), "is not an operation", "send start, stop, enqueue, baseline or forget"}
	}
	return c, err
}

func definition(tree any) (map[string]any, error) {
	study, ok := tree.(map[string]any)
	if !ok {
		return nil, &FieldError{"study", showTree(tree), "is not a study", "send a map with its definition"}
	}
	b, err := MarshalState(study)
	if err == nil && len(b) > maxStudy {
		err = &FieldError{"study", "", fmt.Sprintf("has %d bytes", len(b)), fmt.Sprintf("send at most %d", maxStudy)}
	}
	return study, err
}

func studyName(tree any) (string, error) {
	name, ok := tree.(string)
	if !ok {
		return "", &FieldError{"name", showTree(tree), "is not a name", "send the name of a study"}
	}
	return name, CheckName("name", name)
}

// config checks the types of a config and leaves out its nulls.
func config(tree any) (map[string]any, error) {
	entries, ok := tree.(map[string]any)
	if !ok {
		return nil, &FieldError{"config", showTree(tree), "is not a config", "send a map of names and values"}
	}
	if len(entries) > maxConfig {
		return nil, &FieldError{"config", "", fmt.Sprintf("has %d entries", len(entries)),
			fmt.Sprintf("send at most %d", maxConfig)}
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		switch value := entries[name].(type) {
		case nil:
			delete(entries, name)
		case map[string]any, []any:
			return nil, &FieldError{path("config", []byte(name)), showTree(value), "is not a hyper-parameter",
				"send a number, a string or a boolean"}
		}
	}
	return entries, nil
}

// showTree renders a node for an error.
func showTree(node any) string {
	b, err := encode(node)
	if err != nil {
		return ""
	}
	r := reader{b: b}
	t, _ := r.next()
	return t.show()
}
