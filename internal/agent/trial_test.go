//go:build unix

package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// evaluate runs a shell script for a trial, and returns the steps it reported and what it showed.
func evaluate(t *testing.T, script string, stop, quit <-chan struct{}, change ...func(*Evaluation)) (Outcome, []string, string) {
	t.Helper()
	var mu sync.Mutex
	var steps []string
	var shown strings.Builder
	e := Evaluation{
		Trial: Trial{
			Model: "m", Study: "s", Number: 3, Attempt: 2, Objective: "loss",
			Config: map[string]any{"lr": 0.5, "opt": "sgd"}, Parameters: []string{"lr", "momentum", "opt"},
		},
		Command: []string{"sh", "-c", script, "sh"},
		Report:  func(m Measurement) { steps = append(steps, fmt.Sprint(*m.Step, m.Metrics)) },
		Show: func(line []byte, stderr bool) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&shown, "%v %s\n", stderr, line)
		},
	}
	for _, f := range change {
		f(&e)
	}
	return e.Run(stop, quit), steps, shown.String()
}

func TestAProgramIsATrial(t *testing.T) {
	t.Parallel()
	o, steps, shown := evaluate(t, `
echo "$RETUNE_MODEL $RETUNE_STUDY $RETUNE_TRIAL $RETUNE_ATTEMPT $RETUNE_CONFIG $*"
echo step=1 loss=0.5
echo warning >&2
printf 'bar\rstep=2 loss=0.25\rdone\n'
cat
echo 'loss=0.125 acc=1'
echo bye`, nil, nil, func(e *Evaluation) { e.Command = append(e.Command, "{args}") })
	if o.Err != nil || o.Told || fmt.Sprint(o.Metrics) != "map[acc:1 loss:0.125]" || o.Duration <= 0 {
		t.Errorf("%+v", o)
	}
	if got := strings.Join(steps, " "); got != "1 map[loss:0.5] 2 map[loss:0.25]" {
		t.Error(got)
	}
	for _, want := range []string{`false m s 3 2 {"lr":0.5,"opt":"sgd"} --lr=0.5 --opt=sgd` + "\n", "false done\n", "true warning\n", "false bye\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing in\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "0.25") {
		t.Errorf("what was overwritten is shown:\n%s", shown)
	}
}

func TestTheLastLineIsTheResult(t *testing.T) {
	t.Parallel()
	o, _, _ := evaluate(t, `echo '{"loss": 1, "state": "failed"}'; echo '{"loss": 0.5, "state": "complete"}'`, nil, nil)
	if o.Err != nil || o.Metrics["loss"] != 0.5 {
		t.Errorf("%+v", o)
	}
}

func TestHowATrialFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script, want string
		change             func(*Evaluation)
	}{
		{"exit code", "echo loss=1; echo first >&2; echo last >&2; exit 3", "exit status 3: first\nlast", nil},
		{"silent", "exit 1", "exit status 1, with nothing on standard error", nil},
		{"killed", "kill -9 $$", "signal: killed", nil},
		{"no objective", "echo accuracy=1", `without printing loss: print a line such as loss=0.25 or {"loss": 0.25}`, nil},
		{"says so", `echo loss=1; echo '{"loss": 0.2, "state": "failed", "error": "no data"}'`, "no data", nil},
		{"says so without a reason", `echo '{"metrics": {"loss": 0.2}, "step": 1, "state": "failed"}'`, `the program printed "state": "failed"`, nil},
		{"inactive parameter", "touch ran", "{momentum}", func(e *Evaluation) { e.Command = append(e.Command, "{momentum}") }},
		{"no such program", "", "no-such-program", func(e *Evaluation) { e.Command = []string{"no-such-program"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, _, _ := evaluate(t, c.script, nil, nil, func(e *Evaluation) {
				if c.change != nil {
					c.change(e)
				}
			})
			if o.Err == nil || o.Told || !strings.Contains(o.Err.Error(), c.want) || len(o.Err.Error()) > 3<<10 {
				t.Errorf("%+v", o)
			}
		})
	}
}

// descendants is a script whose child and grandchild note their process ids, and which then does what the test says.
const descendants = `
sh -c 'echo $$ > child; sleep 300 & echo $! > grandchild; echo ready; wait' &
`

func TestAStopEndsAllDescendants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		quit         bool
		least, most  time.Duration
	}{
		{"that obey", descendants + "wait", false, 0, time.Second},
		{"of a script that has handled it", "trap 'exit 0' TERM\n" + descendants + "wait", true, 0, time.Second},
		{"in a group of their own", "timeout 300 sh -c " + Quote([]string{descendants + "wait"}) + " & wait", false, 0, time.Second},
		{"that do not listen", "trap '' TERM\n" + descendants + "wait", false, time.Second, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			told := make(chan struct{})
			var stop, quit <-chan struct{} = told, nil
			if c.quit {
				stop, quit = nil, told
			}
			var start time.Time
			o, _, _ := evaluate(t, "cd "+folder+"\n"+c.script, stop, quit, func(e *Evaluation) {
				e.stopGrace = time.Second
				e.Show = func(line []byte, _ bool) {
					if string(line) == "ready" {
						start = time.Now()
						close(told)
					}
				}
			})
			took := time.Since(start)
			if !o.Told || o.Err != nil || took < c.least || took > c.most {
				t.Errorf("%+v after %s", o, took)
			}
			for _, name := range []string{"child", "grandchild"} {
				gone(t, filepath.Join(folder, name))
			}
		})
	}
}

// gone fails if the process in the file runs.
func gone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) { // init has to reap it
		if syscall.Kill(pid, 0) != nil || zombie(pid) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, process %d, still runs", filepath.Base(file), pid)
		}
	}
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestAQuitShortensAStop(t *testing.T) {
	t.Parallel()
	g := group{&os.Process{Pid: 1 << 30}} // nobody has that number
	ended, quit := make(chan error, 1), make(chan struct{})
	close(quit)
	start := time.Now()
	time.AfterFunc(100*time.Millisecond, func() { ended <- nil })
	if err := g.end(ended, quit, time.Hour); err != nil || time.Since(start) > time.Second {
		t.Error(err, time.Since(start))
	}
}

func TestWhatAProgramLeavesBehindEnds(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	start := time.Now()
	o, _, shown := evaluate(t, "cd "+folder+"\nsleep 300 & echo $! > left; echo loss=1", nil, nil)
	if o.Err != nil || o.Metrics["loss"] != 1 || time.Since(start) > 5*time.Second {
		t.Errorf("%+v %s", o, shown)
	}
	gone(t, filepath.Join(folder, "left"))
}

func TestManyLinesComeInOrder(t *testing.T) {
	t.Parallel()
	o, steps, _ := evaluate(t, `awk 'BEGIN { for (i = 0; i < 20000; i++) print "step=" i " loss=" i }'`, nil, nil)
	if o.Err != nil || len(steps) != 20000 || o.Metrics["loss"] != 19999 {
		t.Errorf("%+v, %d steps", o, len(steps))
	}
	for i, s := range steps {
		if s != fmt.Sprintf("%d map[loss:%d]", i, i) {
			t.Fatalf("%d: %s", i, s)
		}
	}
}

func TestADetachedPrinterDoesNotHoldATrial(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip(err)
	}
	start := time.Now()
	o, _, _ := evaluate(t, `setsid sh -c 'n=0; while [ $n -lt 100 ]; do echo x; n=$((n+1)); sleep 0.1; done' & sleep 0.5; echo loss=1`, nil, nil)
	if took := time.Since(start); o.Err != nil || o.Metrics["loss"] != 1 || took > 8*time.Second {
		t.Errorf("%+v after %s", o, took)
	}
}

func TestASignalToAgentAndProgramIsNoFailure(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"exec sleep 5", "trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done"} {
		for range 20 {
			t.Run(script, func(t *testing.T) {
				t.Parallel()
				folder, quit := t.TempDir(), make(chan struct{})
				var signal func()
				signal = func() {
					text, _ := os.ReadFile(filepath.Join(folder, "pid"))
					if pid, _ := strconv.Atoi(strings.TrimSpace(string(text))); pid <= 1 || syscall.Kill(pid, syscall.SIGTERM) != nil {
						time.AfterFunc(10*time.Millisecond, signal) // not yet up
						return
					}
					time.AfterFunc(time.Millisecond, func() { close(quit) })
				}
				time.AfterFunc(200*time.Millisecond, signal)
				if o, _, _ := evaluate(t, "echo $$ > "+folder+"/pid; "+script, nil, quit); !o.Told || o.Err != nil {
					t.Errorf("%+v", o)
				}
			})
		}
	}
}
