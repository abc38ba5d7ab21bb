package problem

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Process is a Python script that answers each line of JSON with one. It is for one goroutine at a time.
type Process struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	Hello   map[string]any // its first line
}

// Start runs a script and reads its first line. The error says what the script said.
func Start(python, script string) (*Process, error) {
	p := &Process{command: exec.Command(python, "-u", "-c", script)}
	p.command.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "PYTHONSAFEPATH=1")
	var complaint tail
	p.command.Stderr = &complaint
	in, err := p.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	if err := p.answer(&p.Hello); err != nil {
		_ = p.Close() // its exit code says less than its last line
		return nil, fmt.Errorf("%s: %s", python, complaint.text())
	}
	return p, nil
}

// Call sends a request and reads its answer, or the error it holds.
func (p *Process) Call(request, answer any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return err
	}
	return p.answer(answer)
}

func (p *Process) answer(target any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	var failure struct{ Error string }
	if err := json.Unmarshal(line, &failure); err != nil {
		return err
	}
	if failure.Error != "" {
		return errors.New(failure.Error)
	}
	return json.Unmarshal(line, target)
}

// Close lets the script end, as it does at the end of its input.
func (p *Process) Close() error {
	return errors.Join(p.in.Close(), p.command.Wait())
}

// tail keeps the last line written to it.
type tail struct{ written []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.written = append(t.written, b...)
	t.written = t.written[max(0, len(t.written)-4096):]
	return len(b), nil
}

func (t *tail) text() string {
	lines := strings.Split(strings.TrimSpace(string(t.written)), "\n")
	return lines[len(lines)-1]
}
