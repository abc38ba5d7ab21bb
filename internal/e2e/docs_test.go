package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// documents are the pages whose commands are run, in the order of the page, as a reader would.
var documents = []string{"README.md", "docs/tutorial.md"}

// workerFromSource is how the pages start what is built here once.
const workerFromSource = "go run ./cmd/worker"

// programs are what the commands may call: nothing that a machine with Go may lack.
var programs = []string{workerFromSource, "sh"}

// skipped says why a command of the pages is not run.
var skipped = map[string]string{
	"go test ./...":                "this is one of those tests",
	workerFromSource + " demo":     "half a minute; internal/app tests it",
	"nats sub 'retune.config.>' &": "needs the nats CLI",
	natsPublish:                    "needs the nats CLI",
}

const natsPublish = `nats pub retune.metrics.my-model '{"metrics": {"loss": 0.42}, "config": {"learning_rate": 0.01}}'`

// lasting are the beginnings of commands that a reader leaves running, and what they say when they are under way.
var lasting = map[string]*regexp.Regexp{
	workerFromSource + " agent ": regexp.MustCompile(`waiting for the model's first study`),
	workerFromSource + " hook ":  regexp.MustCompile(`run done`),
}

const (
	commandTime = 20 * time.Second
	pageTime    = 30 * time.Second
)

// TestDocumentedCommands runs what README.md and the tutorial tell a reader to run.
func TestDocumentedCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the commands of the documents")
	}
	workerBinary(t) // takes longer than the pages
	used := map[string]bool{}
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(t)
			for _, command := range commandsOf(string(text)) {
				if skipped[command] != "" {
					used[command] = true
					continue
				}
				r.run(command)
			}
			r.stop()
		})
	}
	for _, command := range slices.Sorted(maps.Keys(skipped)) {
		if !used[command] {
			t.Errorf("no document has the skipped command %q any more", command)
		}
	}
}

// shells are the names that a fenced block of commands may have.
var shells = []string{"sh", "bash", "shell", "console"}

// commandsOf lists the commands in the fenced blocks of a page; of console those after a $.
func commandsOf(page string) (commands []string) {
	block, begun := "", ""
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		if marker, isFence := strings.CutPrefix(strings.TrimSpace(line), "```"); isFence {
			block = marker
			continue
		}
		if block == "console" && begun == "" {
			after, isCommand := strings.CutPrefix(line, "$ ")
			if !isCommand {
				continue
			}
			line = after
		}
		if !slices.Contains(shells, block) || strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if part, goesOn := strings.CutSuffix(line, `\`); goesOn {
			begun += part
			continue
		}
		commands, begun = append(commands, strings.TrimSpace(begun+line)), ""
	}
	return commands
}

// reader has one folder, and one worker with a NATS of its own.
type reader struct {
	t       *testing.T
	ctx     context.Context
	folder  string
	nats    string // its address, once the worker runs
	lasting []*process
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{t: t, folder: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), pageTime)
	t.Cleanup(cancel)
	r.ctx = ctx
	if err := os.CopyFS(filepath.Join(r.folder, "examples"), os.DirFS(filepath.Join("..", "..", "examples"))); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reader) run(command string) {
	r.t.Helper()
	program := slices.ContainsFunc(programs, func(p string) bool { return command == p || strings.HasPrefix(command, p+" ") })
	switch {
	case !program:
		r.t.Errorf("%s\nneeds a program that may be missing: let it call one of %q, or list it in skipped with the reason", command, programs)
	case command == workerFromSource:
		r.nats = r.begin(command, " --port 0 --log-format json", regexp.MustCompile(`"nats":"([^"]+)".*ready for reports`))
	default:
		for beginning, ready := range lasting {
			if strings.HasPrefix(command, beginning) {
				r.begin(command, "", ready)
				return
			}
		}
		r.finish(command)
	}
}

// finish runs a command to its end.
func (r *reader) finish(command string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, commandTime)
	defer cancel()
	start := time.Now()
	c := r.shell(ctx, command)
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %s: list it in lasting, or in skipped with the reason", time.Since(start))
	}
	if err != nil {
		r.t.Errorf("%s\n%v\n%s", command, err, tail(string(out), 20))
		return
	}
	r.t.Logf("%s (%s)", command, time.Since(start).Round(time.Millisecond))
}

// begin starts a command that lasts, and waits until it says that it is under way. It returns the first group of that.
func (r *reader) begin(command, more string, ready *regexp.Regexp) string {
	r.t.Helper()
	name := fmt.Sprintf("lasting-%d", len(r.lasting))
	p := &process{t: r.t, name: command, log: filepath.Join(r.folder, name+".log"), build: func() *exec.Cmd {
		return r.shell(context.Background(), "exec "+command+more)
	}}
	r.t.Cleanup(func() {
		if p.cmd.Process != nil {
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	p.start()
	r.lasting = append(r.lasting, p)
	for deadline := time.Now().Add(commandTime); ; time.Sleep(50 * time.Millisecond) {
		log, _ := os.ReadFile(p.log)
		if m := ready.FindSubmatch(log); m != nil {
			return string(m[len(m)-1])
		}
		if time.Now().After(deadline) || r.ctx.Err() != nil {
			r.t.Fatalf("%s\nhas not said %q:\n%s", command, ready, tail(string(log), 20))
		}
	}
}

// shell runs a line as a reader's shell would, in a process group of its own. Only a command that starts its own NATS goes
// without the address of the worker's, which for the reader is the default.
func (r *reader) shell(ctx context.Context, line string) *exec.Cmd {
	address := r.nats
	if strings.HasPrefix(line, workerFromSource+" tune ") {
		address = ""
	}
	c := exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(line, workerFromSource, workerBinary(r.t)))
	c.Dir = r.folder
	c.Env = append(os.Environ(), "NATS_URL="+address, "RETUNE_PREFIX=")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	return c
}

// stop ends what lasts as Ctrl-C does, the latest first; each must end with 0.
func (r *reader) stop() {
	r.t.Helper()
	for _, p := range slices.Backward(r.lasting) {
		p.terminate()
	}
}

func TestCommandsOfAPage(t *testing.T) {
	t.Parallel()
	page := "```sh\n# no\none \\\n  two\n\nthree\n```\ntext\n```\noutput\n```\n```console\n$ four\noutput\n$ five \\\n  six\n```\n```yaml\nseven: 7\n```\n"
	if got := fmt.Sprintf("%q", commandsOf(page)); got != `["one   two" "three" "four" "five   six"]` {
		t.Error(got)
	}
}
