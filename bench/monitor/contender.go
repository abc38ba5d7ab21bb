package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/visutility/retune/internal/observer"
)

// contender is a detector that is compared: one of ours, or one of River's.
type contender struct {
	name    string
	monitor *observer.Monitor // nil: River's
}

// riverPrefix tells River's detectors from ours.
const riverPrefix = "river-"

// forBinary are the detectors that need values in [0, 1]; a threshold says nothing of 0 and 1.
var (
	forBinary = []string{"ddm", "eddm", "fhddm", "hddm_a", "hddm_w"}
	forReal   = []string{"threshold"}
)

// judges reports whether streams of a kind are for this detector.
func (c *contender) judges(k *kind) bool {
	if k.binary {
		return !slices.Contains(forReal, baseName(c.name))
	}
	return !slices.Contains(forBinary, baseName(c.name))
}

// baseName is that of a detector without where it comes from and its options.
func baseName(name string) string {
	name, _, _ = strings.Cut(strings.TrimPrefix(name, riverPrefix), ":")
	return name
}

// contenders lists the detectors asked for. Those of River that are not to be had here are noted and left out.
func (o *options) contenders(note io.Writer) ([]*contender, error) {
	var all []*contender
	for _, name := range o.detectorNames() {
		c, err := newOurs(name)
		if err != nil {
			return nil, fmt.Errorf("--detectors: %s: %w", name, err)
		}
		all = append(all, c)
	}
	for _, name := range o.riverNames(note) {
		all = append(all, &contender{name: riverPrefix + name})
	}
	return all, nil
}

// detectorNames spells out all and auto, and gives threshold, which has no default, a limit of three standard deviations.
func (o *options) detectorNames() []string {
	var names []string
	for _, name := range o.Detectors {
		switch name {
		case "none":
		case "all":
			names = append(names, observer.Detectors()...)
		default:
			names = append(names, name)
		}
	}
	var spelled []string
	for _, name := range names {
		switch name {
		case "auto":
			for _, n := range o.FalseAlarms {
				spelled = append(spelled, fmt.Sprintf("auto:false_alarms=%d", n))
			}
		case "threshold":
			spelled = append(spelled, fmt.Sprintf("threshold:limit=%v", o.Mean+3*o.SD))
		default:
			spelled = append(spelled, name)
		}
	}
	return spelled
}

// newOurs builds a detector; options follow the name as in cusum:h=4.77:k=0.5.
func newOurs(text string) (*contender, error) {
	name, rest, given := strings.Cut(text, ":")
	values := map[string]any{}
	for _, option := range strings.Split(rest, ":") {
		if !given {
			break
		}
		key, text, _ := strings.Cut(option, "=")
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("%q is not option=value: %w", option, err)
		}
		values[key] = value
	}
	m, err := observer.New(observer.Policy{Rules: []observer.Spec{{Metric: metricName, Detector: name, Options: values}}})
	return &contender{name: text, monitor: m}, err
}

const metricName = "loss"

// first is the number of the report with the first finding, 0 if there is none.
func (c *contender) first(values []float64) int {
	w := c.watch()
	for i, value := range values {
		if w.alarm(value) {
			return i + 1
		}
	}
	return 0
}

// watched is one model under one of our detectors.
type watched struct {
	monitor *observer.Monitor
	state   *observer.State
	report  [1]observer.Metric
}

func (c *contender) watch() *watched {
	return &watched{monitor: c.monitor, state: c.monitor.NewState(), report: [1]observer.Metric{{Name: metricName}}}
}

// alarm feeds the next value. It is the one place that knows how a monitor is fed.
func (w *watched) alarm(value float64) bool {
	w.report[0].Value = value
	_, told := w.monitor.Observe(w.state, observer.Report{Metrics: w.report[:]})
	return told
}
