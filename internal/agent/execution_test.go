//go:build unix

package agent

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// execute runs a shell script, and returns what it showed.
func execute(t *testing.T, script string, quit <-chan struct{}, change ...func(*Execution)) (Result, string) {
	t.Helper()
	var mu sync.Mutex
	var shown strings.Builder
	e := Execution{Command: []string{"sh", "-c", script}, Show: func(line []byte, stderr bool) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&shown, "%v %s\n", stderr, line)
	}}
	for _, f := range change {
		f(&e)
	}
	return e.Run(quit), shown.String()
}

func TestAnExecution(t *testing.T) {
	t.Parallel()
	r, shown := execute(t, `cat; echo "$A"; printf 'bar\rdone\n'; sleep 0.1; echo warning >&2`, nil, func(e *Execution) {
		e.Input, e.Environment = []byte("one\ntwo\n"), []string{"A=b c"}
	})
	if r.Err != nil || r.Interrupted || r.Duration <= 0 || shown != "false one\nfalse two\nfalse b c\nfalse done\ntrue warning\n" {
		t.Errorf("%+v\n%s", r, shown)
	}
	r, _ = execute(t, "cat; echo first >&2; echo last >&2; exit 3", nil)
	if r.Err == nil || r.Err.Error() != "exit status 3: first\nlast" {
		t.Errorf("%+v", r)
	}
	r, _ = execute(t, "", nil, func(e *Execution) { e.Command, e.Input = []string{"no-such-program"}, make([]byte, 1<<20) })
	if r.Err == nil || !strings.Contains(r.Err.Error(), "no-such-program") {
		t.Errorf("%+v", r)
	}
}

// TestAnInputThatIsNotRead is larger than a pipe, and a process that has left the group keeps that open.
func TestAnInputThatIsNotRead(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip(err)
	}
	for script, want := range map[string]string{
		"true":              "",
		"wc -c | tr -d ' '": "false 1048576\n",
		"head -c 3; echo":   "false abc\n",
		"exec 3<&0; setsid sleep 2 <&3 >/dev/null 2>&1 & echo left": "false left\n",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			r, shown := execute(t, script, nil, func(e *Execution) { e.Input = []byte(strings.Repeat("abcd", 1<<18)) })
			if took := time.Since(start); r.Err != nil || shown != want || took > 1800*time.Millisecond {
				t.Errorf("%+v after %s: %s", r, took, shown)
			}
		})
	}
}

func TestHowAnExecutionIsEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		quit         bool
		want         string // of the error; "": interrupted
	}{
		{"by its timeout", "wait", false, "stopped after 1s, its timeout"},
		{"by its timeout, with exit code 0", "trap 'exit 0' TERM; wait; wait", false, "stopped after 1s, its timeout"},
		{"by force", "trap '' TERM; wait", false, "stopped after 1s, its timeout"},
		{"by quit", "wait", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder, quit := t.TempDir(), make(chan struct{})
			start := time.Now()
			r, _ := execute(t, "cd "+folder+"\n"+descendants+c.script, quit, func(e *Execution) {
				e.Timeout, e.stopGrace = time.Second, time.Second
				if c.quit {
					e.Timeout = time.Hour
					show := e.Show
					e.Show = func(line []byte, stderr bool) {
						show(line, stderr)
						close(quit)
					}
				}
			})
			if r.Interrupted != (c.want == "") || r.Err != nil && r.Err.Error() != c.want || (r.Err == nil) != (c.want == "") || time.Since(start) > 5*time.Second {
				t.Errorf("%+v after %s", r, time.Since(start))
			}
			for _, name := range []string{"child", "grandchild"} {
				gone(t, filepath.Join(folder, name))
			}
		})
	}
}
