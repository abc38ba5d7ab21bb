//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tuneFolder holds a study of four trials. The third waits for a file, and writes down its process id.
func tuneFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"t.yaml":   "objective: {metric: loss, goal: minimize}\nspace: {x: {values: [4, 3, 2, 1]}}\nstrategy: grid\n",
		"train.sh": "if [ $RETUNE_TRIAL = 2 ]; then echo $$ > pid; echo up >&2; while [ ! -e go ]; do sleep 0.05; done; fi; echo loss=$1",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func tuneChild(t *testing.T, folder string, flags ...string) *exec.Cmd {
	t.Helper()
	c := child(t, append(append([]string{"tune", "-f", "t.yaml", "-v"}, flags...), "--", "sh", "train.sh", "{x}")...)
	c.Dir = folder
	return c
}

// untilUp starts a tune and waits until its third trial runs.
func untilUp(t *testing.T, c *exec.Cmd) *bufio.Scanner {
	t.Helper()
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(stderr)
	for said.Scan() {
		if said.Text() == "up" {
			return said
		}
	}
	t.Fatal("it ended before the third trial")
	return nil
}

// finish goes on with a tune to its end.
func finish(t *testing.T, folder string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	c := tuneChild(t, folder, "--json")
	c.Stdout, c.Stderr = &stdout, &stderr
	start := time.Now()
	if err := c.Run(); err != nil {
		t.Fatal(err, &stderr)
	}
	var printed struct {
		Study struct {
			State  string
			Counts map[string]int
			Best   struct{ Value float64 }
			Trials []struct{ Attempt int }
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &printed); err != nil {
		t.Fatal(err, &stdout)
	}
	result := printed.Study
	if result.State != "exhausted" || result.Counts["complete"] != 4 || result.Best.Value != 1 || result.Trials[2].Attempt != 1 {
		t.Errorf("%s", &stdout)
	}
	if !strings.Contains(stderr.String(), "going on after 2") || strings.Contains(stderr.String(), "trial 1 (") {
		t.Errorf("%s", &stderr)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s: the trial that was in hand came late", took)
	}
}

func TestATuneThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	folder := tuneFolder(t)
	c := tuneChild(t, folder)
	untilUp(t, c)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if runtime.GOOS == "linux" {
		programGone(t, folder)
	}
	finish(t, folder)
}

func TestATuneThatIsInterruptedLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			folder := tuneFolder(t)
			c := tuneChild(t, folder)
			said := untilUp(t, c)
			start := time.Now()
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			var rest strings.Builder
			for said.Scan() {
				rest.WriteString(said.Text() + "\n")
			}
			if err := c.Wait(); err != nil || time.Since(start) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(start))
			}
			if !strings.Contains(rest.String(), "interrupted after 2 trials, best loss 3 in trial 1; the same command goes on from here\n") {
				t.Errorf("%s", &rest)
			}
			programGone(t, folder)
			finish(t, folder)
		})
	}
}

// TestATuneUnderNohup goes on when the terminal closes.
func TestATuneUnderNohup(t *testing.T) {
	t.Parallel()
	c := tuneChild(t, tuneFolder(t))
	c.Args = append([]string{"sh", "-c", `trap '' HUP; exec "$0" "$@"`, c.Path}, c.Args[1:]...)
	c.Path = "/bin/sh"
	said := untilUp(t, c)
	gone := make(chan bool)
	go func() {
		defer close(gone)
		for said.Scan() {
		}
	}()
	if err := c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
		t.Error("it has ended")
	case <-time.After(time.Second):
	}
	_ = c.Process.Signal(os.Interrupt)
	<-gone
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// programGone fails if the program of the third trial still runs.
func programGone(t *testing.T, folder string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) { // init has to reap it
		stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if syscall.Kill(pid, 0) != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func TestCommandsAfterTheDashes(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"tune", "-f", "t.yaml", "--", "sh", "train.sh", "{x}"},
		{"tune", "-f", "t.yaml", "sh", "train.sh", "{x}", "--parallel", "--"}, // all after the program is its own
	} {
		folder := tuneFolder(t)
		if err := os.WriteFile(filepath.Join(folder, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c := child(t, args...)
		c.Dir = folder
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "\n  sh train.sh 1") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}
