package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

const commandsHead = "# Commands\n\n" +
	"What `--help` prints. What the commands promise is in [contract.md](contract.md#commands). A test compares this\n" +
	"page with the program; `go test ./cmd/worker -run TestCommandsPage -update` writes it anew.\n\n" +
	"The flags under `worker` go with every command and are left out below.\n"

// TestCommandsPage compares docs/commands.md with the help of each command.
func TestCommandsPage(t *testing.T) {
	t.Parallel()
	page := new(strings.Builder)
	page.WriteString(commandsHead)
	writeHelp(page, "worker", help(t))
	parser := kong.Must(new(commands), kong.Name("worker"), kong.Vars{"version": ""})
	for _, command := range parser.Model.Leaves(true) {
		path := strings.Fields(command.FullPath())
		writeHelp(page, strings.Join(path, " "), withoutCommonFlags(help(t, path[1:]...)))
	}
	file := filepath.Join("..", "..", "docs", "commands.md")
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(file)
	if err != nil || string(written) != page.String() {
		t.Errorf("docs/commands.md is not what --help prints: go test ./cmd/worker -run TestCommandsPage -update (%v)", err)
	}
}

func writeHelp(page *strings.Builder, command, help string) {
	page.WriteString("\n## " + command + "\n\n```\n" + help + "```\n")
}

// help is what a command prints with --help, 100 columns wide and whatever the environment has.
func help(t *testing.T, command ...string) string {
	t.Helper()
	c := child(t, append(command, "--help")...)
	c.Env = append(c.Env, "COLUMNS=100", "RETUNE_PREFIX=")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("worker %q --help: %v", command, err)
	}
	return string(out)
}

// withoutCommonFlags drops the first paragraph of flags, which all commands have.
func withoutCommonFlags(help string) string {
	before, flags, _ := strings.Cut(help, "Flags:\n")
	_, own, found := strings.Cut(flags, "\n\n")
	if !found {
		return strings.TrimRight(before, "\n") + "\n"
	}
	return before + "Flags:\n" + own
}
