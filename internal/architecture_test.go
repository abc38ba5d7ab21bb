// Package internal_test holds the rules of who may import whom.
package internal_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/visutility/retune/"

// mayImport names, for each package of ours, those of ours that it may import.
var mayImport = map[string][]string{
	"cmd/worker":             {"internal/app", "internal/bench", "internal/bus", "internal/demo"},
	"internal/app":           {"internal/agent", "internal/bench", "internal/bus", "internal/coordinator", "internal/demo", "internal/duration", "internal/insight", "internal/observer", "internal/observer/sink", "internal/replay", "internal/strategy", "internal/study", "internal/tracing", "internal/wire"},
	"internal/bench":         {"internal/bus", "internal/coordinator", "internal/observer", "internal/strategy", "internal/wire"},
	"internal/replay":        {"internal/coordinator", "internal/observer", "internal/wire"},
	"internal/coordinator":   {"internal/bus", "internal/observer", "internal/strategy", "internal/study", "internal/wire"},
	"internal/bus":           {"internal/wire"},
	"internal/bus/bustest":   {"internal/bus", "internal/wire"},
	"internal/wire":          {},
	"internal/tracing":       {"internal/coordinator"},
	"internal/study":         {"internal/duration", "internal/pruner", "internal/strategy"},
	"internal/pruner":        {"internal/strategy"},
	"internal/insight":       {"internal/strategy"},
	"internal/agent":         {"internal/wire"},
	"internal/strategy":      {},
	"internal/observer":      {"internal/duration"},
	"internal/observer/sink": {},
	"internal/demo":          {},
	"internal/duration":      {},
	"internal/e2e":           {},
	"bench/search":           {"bench/search/problem", "internal/pruner", "internal/strategy"},
	"bench/search/problem":   {"internal/strategy"},
	"examples/clients/go":    {},
	"bench/monitor":          {"bench/search/problem", "internal/observer"},
	"bench/soak":             {},
}

// only names who may import modules of others; tests may import any.
var only = map[string][]string{
	"github.com/nats-io/nats":  {"bench/soak", "examples/clients/go", "internal/bus", "internal/bus/bustest"}, // nats.go and nats-server
	"github.com/vmihailenco/":  {"internal/wire"},
	"github.com/alecthomas/":   {"bench/monitor", "bench/search", "cmd/worker"},
	"github.com/prometheus/":   {"internal/app", "internal/bench", "internal/coordinator"},
	"github.com/goccy/go-yaml": {"internal/app"},
	"github.com/gofrs/flock":   {"internal/bus"},
	"github.com/synadia-io/":   {"internal/bus"},
	"go.opentelemetry.io/":     {"internal/tracing"},
}

// pure packages are called with all that they need: no other module but gonum's
// mathematics, and of the standard library nothing that reaches out of the process or
// draws its own seed.
var (
	pure    = []string{"internal/strategy", "internal/pruner", "internal/study", "internal/observer", "internal/insight"}
	outside = []string{"os", "net", "syscall", "sync", "context", "log", "runtime", "crypto/rand", "math/rand", "io"}
)

// exempt: strategies guard what they have computed before, which only saves time.
var exempt = map[string][]string{"internal/strategy": {"sync"}}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, mistake := range check(t, "..") {
		t.Error(mistake)
	}
}

// check lists the imports under the root that break a rule.
func check(t *testing.T, root string) (mistakes []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, i := range file.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			if why := refusal(filepath.ToSlash(folder), imported); why != "" {
				mistakes = append(mistakes, fmt.Sprintf("%s imports %s: %s", path, imported, why))
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files: %v", files, err)
	}
	return mistakes
}

// refusal says why a package may not import another; "" if it may.
func refusal(folder, imported string) string {
	ours, known := mayImport[folder]
	if !known {
		return "the package is not in mayImport: say there what it may import"
	}
	if name, own := strings.CutPrefix(imported, module); own {
		if !slices.Contains(ours, name) {
			return fmt.Sprintf("it may import %q of ours", ours)
		}
		return ""
	}
	for prefix, allowed := range only {
		if strings.HasPrefix(imported, prefix) && !slices.Contains(allowed, folder) {
			return fmt.Sprintf("only %q may", allowed)
		}
	}
	if slices.Contains(pure, folder) && !slices.Contains(exempt[folder], imported) && !strings.HasPrefix(imported, "gonum.org/v1/gonum/") {
		return impure(imported)
	}
	return ""
}

func impure(imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	if strings.Contains(first, ".") {
		return "a pure package needs gonum and the standard library only"
	}
	if slices.Contains(outside, first) || slices.Contains(outside, imported) {
		return "a pure package reaches for nothing outside itself"
	}
	return ""
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder, imported string
		refused          bool
	}{
		{"internal/study", module + "internal/strategy", false},
		{"internal/strategy", module + "internal/study", true},
		{"internal/strategy", "math/rand/v2", false},
		{"internal/strategy", "math/rand", true},
		{"internal/strategy", "gonum.org/v1/gonum/mat", false},
		{"internal/strategy", "sync", false},
		{"internal/study", "sync", true},
		{"internal/observer", "github.com/nats-io/nats.go", true},
		{"internal/study", "os/signal", true},
		{"internal/study", "github.com/vmihailenco/msgpack/v5", true},
		{"internal/coordinator", "github.com/nats-io/nats.go/jetstream", true},
		{"internal/bus", "github.com/nats-io/nats-server/v2/server", false},
		{"internal/bus", "github.com/vmihailenco/msgpack/v5", true},
		{"internal/wire", module + "internal/bus", true},
		{"internal/new", "fmt", true},
	} {
		if got := refusal(c.folder, c.imported); (got != "") != c.refused {
			t.Errorf("%s imports %s: %q", c.folder, c.imported, got)
		}
	}
}
