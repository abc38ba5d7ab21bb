//go:build unix

package agent

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate gives the command a session of its own, so that a signal from the terminal does not reach it and one from
// us reaches all that it starts. release is called, by the same goroutine, when the program has ended.
func isolate(cmd *exec.Cmd) (release func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return dieTogether(cmd.SysProcAttr)
}

// group is a program and all that it started and that did not leave its session.
type group struct{ leader *os.Process }

func (g group) terminate() { g.signal(syscall.SIGTERM) }

func (g group) kill() { g.signal(syscall.SIGKILL) }

func (g group) alive() bool { return len(g.groups()) > 0 }

// signal sends to each process once: to many programs a second signal says that the first was not heeded.
func (g group) signal(s syscall.Signal) {
	_ = syscall.Kill(-g.leader.Pid, s)
	for id := range g.groups() {
		if id != g.leader.Pid {
			_ = syscall.Kill(-id, s)
		}
	}
}
