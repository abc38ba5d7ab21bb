//go:build unix && !linux

package agent

import (
	"errors"
	"syscall"
)

// dieTogether does nothing: here a program outlives an agent that is killed by SIGKILL.
func dieTogether(*syscall.SysProcAttr) (release func()) { return func() {} }

// groups is the one process group that can be known, while somebody is in it.
func (g group) groups() map[int]bool {
	if errors.Is(syscall.Kill(-g.leader.Pid, 0), syscall.ESRCH) {
		return nil
	}
	return map[int]bool{g.leader.Pid: true}
}
