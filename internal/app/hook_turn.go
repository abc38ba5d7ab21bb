package app

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/visutility/retune/internal/agent"
	"github.com/visutility/retune/internal/bus"
)

// hookTurn is an event in the hands of this hook.
type hookTurn struct {
	output  bus.Output
	model   string
	body    []byte // JSON
	event   hookEvent
	release func() // ends keep
}

// hookEvent is what a program gets to know in its environment. Numbers stay as they are written.
type hookEvent struct {
	ID        string          `json:"id"`
	Trigger   string          `json:"trigger"`
	Reason    string          `json:"reason"`
	Severity  string          `json:"severity"`
	Metric    string          `json:"metric"`
	Detector  string          `json:"detector"`
	Value     json.RawMessage `json:"value"`
	Reference json.RawMessage `json:"reference"`
	Config    json.RawMessage `json:"config"`
	BestTrial json.RawMessage `json:"best_trial"`
	Study     string          `json:"study"`
	Version   string          `json:"version"`
	RunID     string          `json:"run_id"`
	Time      string          `json:"time"`
}

func newHookTurn(output bus.Output) (*hookTurn, error) {
	e := event{output}.Event()
	t := &hookTurn{output: output, model: e.Model, body: e.Body}
	if err := json.Unmarshal(e.Body, &t.event); err != nil {
		return nil, err
	}
	return t, nil
}

// keep tells the server that the event is in good hands, until release is called.
func (t *hookTurn) keep(every time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(ctx, every); ctx.Err() == nil; pause(ctx, every) {
			_ = t.output.Working() // without a connection there is nothing to be done
		}
	}()
	t.release = func() { cancel(); <-done }
}

func (h *hook) execute(ctx context.Context, t *hookTurn, attempt int) agent.Result {
	h.Log.Info().Str("id", t.event.ID).Str("model", t.model).Int("attempt", attempt).Str("reason", printable(t.event.Reason)).Msg("run starts")
	prefix := "[" + t.model + "] "
	return agent.Execution{
		Command: h.Command, Environment: t.environment(attempt), Input: t.body, Timeout: h.Timeout,
		Show: func(line []byte, stderr bool) {
			h.printing.Lock()
			defer h.printing.Unlock()
			to := h.Out
			if stderr {
				to = h.Err
			}
			writeLine(to, prefix, line)
		},
	}.Run(ctx.Done())
}

// environment has all names always: this process may have some of its own.
func (t *hookTurn) environment(attempt int) []string {
	e := t.event
	var variables []string
	for _, v := range []struct{ name, value string }{
		{"EVENT", string(t.body)}, {"ID", e.ID}, {"MODEL", t.model}, {"TRIGGER", e.Trigger}, {"REASON", e.Reason},
		{"SEVERITY", e.Severity}, {"METRIC", e.Metric}, {"DETECTOR", e.Detector}, {"VALUE", numeral(e.Value)},
		{"REFERENCE", numeral(e.Reference)}, {"CONFIG", string(e.Config)}, {"BEST_TRIAL", string(e.BestTrial)},
		{"STUDY", e.Study}, {"VERSION", e.Version}, {"RUN_ID", e.RunID}, {"TIME", e.Time}, {"ATTEMPT", strconv.Itoa(attempt)},
	} {
		variables = append(variables, "RETUNE_"+v.name+"="+fitting(v.value))
	}
	return variables
}

// numeral is NaN, not "NaN".
func numeral(value json.RawMessage) string { return strings.Trim(string(value), `"`) }

// longestVariable is below what Linux lets one have, 128 KiB with its name (execve(2), MAX_ARG_STRLEN).
const longestVariable = 96 << 10

// fitting leaves out what would keep a program from being started.
func fitting(value string) string {
	if len(value) > longestVariable {
		return ""
	}
	return strings.ReplaceAll(value, "\x00", "")
}
