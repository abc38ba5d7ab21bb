package agent

import (
	"errors"
	"os"
	"os/exec"
	"time"
)

// How long a program may take to end before it is killed.
const (
	StopGrace = 10 * time.Second // after a stop
	QuitGrace = 5 * time.Second  // when the agent itself stops
	// leftoverGrace is for what a program that ended by itself left running.
	leftoverGrace = time.Second
	// hearTime is how long after the program the agent may hear of a signal that was sent to both.
	hearTime = 500 * time.Millisecond
	// drainTime is how long the output has to be silent for its end, if somebody outside the group could still write.
	drainTime = 500 * time.Millisecond
	// drainLimit bounds the wait for that silence.
	drainLimit = 2 * time.Second
)

// program is one run of a command, in a session of its own.
type program struct {
	arguments      []string
	environment    []string // beside that of this process
	input          []byte   // its standard input
	stdout, stderr func(line []byte, overwritten bool)
	stopGrace      time.Duration
}

// exit is how a program ended.
type exit struct {
	err  error // nil: exit code 0
	told bool  // it was told to end
}

// run returns when the program, its group and its output have ended. When stop or quit is closed it is told to end
// by SIGTERM, and killed after the grace.
func (p program) run(stop, quit <-chan struct{}) exit {
	cmd := exec.Command(p.arguments[0], p.arguments[1:]...)
	cmd.Env = append(os.Environ(), p.environment...)
	release := isolate(cmd)
	defer release()
	stdout, err := newOutput(p.stdout)
	if err != nil {
		return exit{err: err}
	}
	stderr, err := newOutput(p.stderr)
	if err != nil {
		drain(stdout)
		return exit{err: err}
	}
	defer drain(stdout, stderr)
	cmd.Stdout, cmd.Stderr = stdout.w, stderr.w
	if len(p.input) > 0 {
		stdin, err := newInput(p.input)
		if err != nil {
			return exit{err: err}
		}
		defer stdin.close()
		cmd.Stdin = stdin.r
	}
	if err := cmd.Start(); err != nil {
		return exit{err: err}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return p.conclude(group{cmd.Process}, ended, stop, quit)
}

func (p program) conclude(g group, ended <-chan error, stop, quit <-chan struct{}) exit {
	grace := p.stopGrace
	select {
	case err := <-ended:
		if g.alive() {
			g.terminate()
			_ = g.end(nil, nil, leftoverGrace)
		}
		return exit{err: err, told: err != nil && closesWithin(hearTime, stop, quit)}
	case <-stop:
	case <-quit:
		grace, quit = QuitGrace, nil
	}
	g.terminate()
	return exit{err: g.end(ended, quit, grace), told: true}
}

// closesWithin waits for a close of either: a program that fails may have been told to end together with the agent,
// as Slurm and systemd do.
func closesWithin(d time.Duration, stop, quit <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
	case <-quit:
	case <-timer.C:
		return false
	}
	return true
}

// pollTime is how often a group is asked whether anybody is left.
const pollTime = 50 * time.Millisecond

// end waits until the program (ended is nil when it has) and the rest of its group are gone, and kills them after
// the grace, which quit shortens.
func (g group) end(ended <-chan error, quit <-chan struct{}, grace time.Duration) (err error) {
	last := time.Now().Add(grace)
	kill, poll := time.NewTimer(grace), time.NewTicker(pollTime)
	defer kill.Stop()
	defer poll.Stop()
	for ended != nil || g.alive() {
		select {
		case err = <-ended:
			ended = nil
		case <-poll.C:
		case <-quit:
			quit = nil
			kill.Reset(min(QuitGrace, time.Until(last)))
		case <-kill.C:
			g.kill()
			if ended != nil {
				err = <-ended
			}
			return err
		}
	}
	return err
}

// input gives a program what it reads. It may leave it.
type input struct {
	r, w *os.File
	done chan struct{}
}

func newInput(text []byte) (*input, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	i := &input{r: r, w: w, done: make(chan struct{})}
	go func() {
		defer close(i.done)
		_, _ = w.Write(text)
		_ = w.Close()
	}()
	return i, nil
}

// close gives up what nobody has read, though somebody who left the group may keep the pipe open.
func (i *input) close() {
	_ = i.r.Close()
	_ = i.w.Close()
	<-i.done
}

// output follows what a program prints.
type output struct {
	r, w *os.File
	done chan struct{}
}

func newOutput(emit func([]byte, bool)) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{r: r, w: w, done: make(chan struct{})}
	go o.follow(lines{emit: emit})
	return o, nil
}

// pipeSize is how much a pipe holds at most unless somebody changes it; see pipe(7).
const pipeSize = 64 << 10

// follow reads to the end, or, once drain has set a deadline, until nothing has come for a while: somebody who left
// the group may keep the pipe open. One who goes on printing is not heard beyond drainLimit.
func (o *output) follow(l lines) {
	defer close(o.done)
	defer l.close()
	buffer := make([]byte, pipeSize)
	var limit time.Time
	for late := false; ; {
		n, err := o.r.Read(buffer)
		l.write(buffer[:n])
		switch now := time.Now(); {
		case errors.Is(err, os.ErrDeadlineExceeded) && !late:
			late = true // perhaps emit took so long, and there is more to read
			if limit.IsZero() {
				limit = now.Add(drainLimit - drainTime)
			}
			_ = o.r.SetReadDeadline(now.Add(drainTime))
		case err != nil:
			return
		case late && now.After(limit):
			return // that was all that the program itself can have left in the pipe
		default:
			late = false
		}
	}
}

// drain waits until all that the program printed is read.
func drain(outputs ...*output) {
	for _, o := range outputs {
		_ = o.w.Close()
		_ = o.r.SetReadDeadline(time.Now().Add(drainTime))
	}
	for _, o := range outputs {
		<-o.done
		_ = o.r.Close()
	}
}
