package agent

import (
	"fmt"
	"time"
)

// Execution is one run of a program for its own sake, without measurements.
type Execution struct {
	Command     []string
	Environment []string      // beside that of this process
	Input       []byte        // its standard input
	Timeout     time.Duration // 0: none
	// Show is called for each line that a terminal would keep; it is valid until Show returns. Calls may be
	// concurrent, one for each of the two outputs.
	Show func(line []byte, stderr bool)

	stopGrace time.Duration // default: StopGrace
}

// Result is how an execution ended.
type Result struct {
	Interrupted bool  // by quit
	Err         error // nil: exit code 0
	Duration    time.Duration
}

// Run returns when the program and all that it started have ended. The timeout ends them by SIGTERM, and after
// StopGrace by SIGKILL; a close of quit does so after QuitGrace.
func (e Execution) Run(quit <-chan struct{}) Result {
	var complaints tail
	p := program{
		arguments: e.Command, environment: e.Environment, input: e.Input, stopGrace: StopGrace,
		stdout: func(line []byte, overwritten bool) {
			if !overwritten {
				e.Show(line, false)
			}
		},
		stderr: func(line []byte, overwritten bool) {
			if !overwritten {
				complaints.add(line)
				e.Show(line, true)
			}
		},
	}
	if e.stopGrace > 0 {
		p.stopGrace = e.stopGrace
	}
	late := make(chan struct{})
	if e.Timeout > 0 {
		timer := time.AfterFunc(e.Timeout, func() { close(late) })
		defer timer.Stop()
	}
	start := time.Now()
	exit := p.run(late, quit)
	r := Result{Duration: time.Since(start)}
	switch {
	case exit.told && closed(quit):
		r.Interrupted = true
	case exit.told:
		r.Err = fmt.Errorf("stopped after %s, its timeout", e.Timeout)
	case exit.err != nil:
		r.Err = exitError(exit.err, complaints.String())
	}
	return r
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
