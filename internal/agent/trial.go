package agent

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/visutility/retune/internal/wire"
)

// Trial is an attempt to evaluate a config.
type Trial struct {
	Model, Study string
	Number       int
	Attempt      int // from 1
	Config       map[string]any
	Parameters   []string // of the study's space, active or not
	Objective    string   // the metric that decides
}

// Evaluation runs a command for a trial.
type Evaluation struct {
	Trial
	Command []string
	// Report is called at once for each line of standard output that has the objective and a step.
	Report func(Measurement)
	// Show is called for each line that a terminal would keep; it is valid until Show returns. Calls may be
	// concurrent, one for each of the two outputs.
	Show func(line []byte, stderr bool)

	stopGrace time.Duration // default: StopGrace
}

// Outcome is how an evaluation ended.
type Outcome struct {
	Told     bool               // it was told to end: whatever it printed is no result
	Metrics  map[string]float64 // of the last line with the objective; nil: there was none
	Err      error              // why the trial failed; nil: it is complete
	Duration time.Duration
}

// Run returns when the program and all that it started have ended, which a close of stop or quit brings about: by
// SIGTERM, and after StopGrace or QuitGrace by SIGKILL.
func (e Evaluation) Run(stop, quit <-chan struct{}) Outcome {
	arguments, err := FillIn(e.Command, e.Parameters, e.Config)
	if err != nil {
		return Outcome{Err: err}
	}
	environment, err := e.environment()
	if err != nil {
		return Outcome{Err: err}
	}
	var last Measurement
	var complaints tail
	p := program{
		arguments: arguments, environment: environment, stopGrace: StopGrace,
		stdout: func(line []byte, overwritten bool) {
			if m, ok := ParseLine(line, e.Objective); ok {
				last = m
				if m.Step != nil {
					e.Report(m)
				}
			}
			e.show(line, overwritten, false)
		},
		stderr: func(line []byte, overwritten bool) {
			if !overwritten {
				complaints.add(line)
			}
			e.show(line, overwritten, true)
		},
	}
	if e.stopGrace > 0 {
		p.stopGrace = e.stopGrace
	}
	start := time.Now()
	exit := p.run(stop, quit)
	o := Outcome{Told: exit.told, Metrics: last.Metrics, Duration: time.Since(start)}
	if !exit.told {
		o.Err = e.failure(exit.err, complaints.String(), last)
	}
	return o
}

func (e Evaluation) show(line []byte, overwritten, stderr bool) {
	if !overwritten {
		e.Show(line, stderr)
	}
}

// environment tells the program what it evaluates.
func (e Evaluation) environment() ([]string, error) {
	config, err := wire.Encode(e.Config, wire.JSON)
	if err != nil {
		return nil, fmt.Errorf("RETUNE_CONFIG: %w", err)
	}
	variables := []string{
		"RETUNE_CONFIG=" + string(config), "RETUNE_MODEL=" + e.Model, "RETUNE_STUDY=" + e.Study,
		"RETUNE_TRIAL=" + strconv.Itoa(e.Number), "RETUNE_ATTEMPT=" + strconv.Itoa(e.Attempt),
	}
	if _, set := os.LookupEnv("PYTHONUNBUFFERED"); !set {
		variables = append(variables, "PYTHONUNBUFFERED=1") // or Python keeps its steps to itself until it ends
	}
	return variables, nil
}

// failure is what the trial's record says; nil if the program has done its work.
func (e Evaluation) failure(exit error, stderr string, last Measurement) error {
	switch {
	case exit != nil:
		return exitError(exit, stderr)
	case last.Failure != "":
		return errors.New(last.Failure)
	case last.Metrics == nil:
		return errors.New("the program ended without printing " + e.Objective + ": print a line such as " + e.Objective + `=0.25 or {"` + e.Objective + `": 0.25} on standard output`)
	}
	return nil
}

// exitError adds the last lines of standard error.
func exitError(exit error, stderr string) error {
	if stderr == "" {
		return fmt.Errorf("%w, with nothing on standard error", exit)
	}
	return fmt.Errorf("%w: %s", exit, strings.TrimSpace(stderr))
}
