//go:build !unix

package agent

import (
	"os"
	"os/exec"
)

// isolate does nothing: here a program ends alone.
func isolate(*exec.Cmd) (release func()) { return func() {} }

// group is the program alone; there is no gentle way to end it.
type group struct{ leader *os.Process }

func (g group) terminate() { g.kill() }

func (g group) kill() { _ = g.leader.Kill() }

func (g group) alive() bool { return false }
