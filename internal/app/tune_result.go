package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/visutility/retune/internal/agent"
	"github.com/visutility/retune/internal/wire"
)

// tuned is the result of a tune as JSON.
type tuned struct {
	Command     []string        `json:"command,omitempty"`      // of the best trial
	CommandLine string          `json:"command_line,omitempty"` // the same for a POSIX shell
	Study       json.RawMessage `json:"study"`                  // as worker study show prints it
}

// greet says what is about to happen and how to look at it from elsewhere.
func (t *tuning) greet(v StudyView, parallel int) {
	metric, goal := v.objective()
	trials := "trials"
	if n := v.expected(); n > 0 {
		trials = fmt.Sprintf("%d trials", n)
	}
	fmt.Fprintf(t.notes, "%s %s of model %s in study %s: %s, %d at once", goal, printable(metric), v.Model, v.Name, trials, parallel)
	if n := v.ended(); n > 0 {
		fmt.Fprintf(t.notes, ", going on after %d", n)
	}
	fmt.Fprintf(t.notes, "\n(from elsewhere: worker study show %s %s --nats %s)\n", v.Model, v.Name, t.host.bus.Server())
}

// conclude prints the result of a study that has ended. It is an error if there is none.
func (t *tuning) conclude(ctx context.Context, v StudyView) error {
	if err := v.loadTrials(ctx, t.host.bus); err != nil {
		return err
	}
	if err := t.print(v); err != nil {
		return err
	}
	if v.Best == nil {
		return t.fruitless(v)
	}
	return v.failure()
}

func (t *tuning) view(ctx context.Context) (StudyView, error) {
	v, err := findStudy(ctx, t.host.bus, t.file.Model, t.file.Name)
	if err == nil {
		err = v.loadTrials(ctx, t.host.bus)
	}
	return v, err
}

// bestShown trials are in the table.
const bestShown = 10

func (t *tuning) print(v StudyView) error {
	screen := newStudyScreen(v, t.host.bus.Now(), terminalWidth(t.out))
	if t.host.folder != "" {
		screen.whole = "the same command with --json"
	}
	command, line, err := t.again(v)
	if err != nil {
		return err
	}
	if t.JSON {
		var shown bytes.Buffer
		if err := screen.printJSON(&shown); err != nil {
			return err
		}
		return printJSON(t.out, tuned{Command: command, CommandLine: line, Study: shown.Bytes()})
	}
	var text strings.Builder
	screen.printBest(&text)
	if line != "" {
		fmt.Fprintf(&text, "\nthe best again:\n  %s\n", line)
	}
	_, err = io.WriteString(t.out, text.String())
	return err
}

// printBest prints all but the trials that are not among the best.
func (s *studyScreen) printBest(text *strings.Builder) {
	s.head(text)
	s.curve(text)
	s.parameters(text)
	all := s.Trials
	s.Trials = s.chosen(ShowStudyOptions{Limit: bestShown})
	s.table(text, ShowStudyOptions{})
	s.Trials = all
	s.failures(text)
}

// again is the command line of the best trial. There is none without it, or if agents with another command ran it.
func (t *tuning) again(v StudyView) (command []string, line string, err error) {
	if v.Best == nil {
		return nil, "", nil
	}
	space, _ := v.Definition["space"].(map[string]any)
	command, err = agent.FillIn(t.Command, slices.Sorted(maps.Keys(space)), v.Best.Config)
	if err != nil {
		return nil, "", nil
	}
	line = agent.Quote(command)
	if slices.Equal(command, t.Command) { // the program goes by its environment
		config, err := wire.Encode(v.Best.Config, wire.JSON)
		if err != nil {
			return nil, "", err
		}
		line = "RETUNE_CONFIG=" + agent.Quote([]string{string(config)}) + " " + line
	}
	return command, line, nil
}

// fruitless says why there is no best trial, and how to try again: the name of a study is used up.
func (t *tuning) fruitless(v StudyView) error {
	cause := v.Error
	for _, trial := range v.Trials {
		cause = cmp.Or(trial.Error, cause)
	}
	remedy := "give the next one another `name` in " + t.File
	if t.host.folder != "" {
		remedy += ", or remove " + t.host.folder
	}
	return fmt.Errorf("study %s of model %s ended (%s) without a complete trial: %s\nMend that, then %s", v.Name, v.Model, v.State, brief(cmp.Or(cause, "none was finished in time")), remedy)
}

// reportTime bounds what is still read after an interrupt.
const reportTime = 3 * time.Second

// interrupted says how far the study is and how to go on, which is all there is to do: nothing of it is lost.
func (t *tuning) interrupted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTime)
	defer cancel()
	v, err := t.view(ctx)
	if err != nil {
		return errors.Join(context.Canceled, err)
	}
	fmt.Fprintf(t.notes, "interrupted after %d trials", v.ended())
	if v.Best != nil {
		metric, _ := v.objective()
		fmt.Fprintf(t.notes, ", best %s %s in trial %d", printable(metric), numberText(*v.Best.Value), v.Best.Number)
	}
	fmt.Fprintln(t.notes, "; the same command goes on from here")
	if t.JSON {
		return t.print(v)
	}
	return nil
}
