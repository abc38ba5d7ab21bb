package agent

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/visutility/retune/internal/wire"
)

func TestParseLine(t *testing.T) {
	t.Parallel()
	const none = -1
	for _, c := range []struct {
		line string
		loss float64 // the objective
		step int64
		also string // other metrics
	}{
		{"loss=0.5", 0.5, none, "map[]"},
		{"step=3 loss=0.5", 0.5, 3, "map[]"},
		{"epoch=3, loss=0.5, acc=0.9", 0.5, 3, "map[acc:0.9]"},
		{"Epoch 3/10: loss = 5e-1 (val_loss=0.7, 12s)", 0.5, none, "map[val_loss:0.7]"},
		{"step=7 epoch=1 loss=1", 1, 7, "map[epoch:1]"},
		{"step=1.5 epoch=2 loss=1", 1, 2, "map[step:1.5]"},
		{"step=-1 loss=1", 1, none, "map[step:-1]"},
		{"loss=1 loss=2", 2, none, "map[]"},
		{"loss=nan", math.NaN(), none, "map[]"},
		{"loss=-nan step=1", math.NaN(), 1, "map[]"},
		{"loss=inf", math.Inf(1), none, "map[]"},
		{"loss=-Infinity", math.Inf(-1), none, "map[]"},
		{"loss=1e999", math.Inf(1), none, "map[]"},
		{"  \tloss=2\r", 2, none, "map[]"},
		{"lr=0.1;loss=2", 2, none, "map[lr:0.1]"},
		{"epoch=3,loss=0.25,5x=1", 0.25, 3, "map[5x:1]"},
		{"loss=1e-3,12s", 1e-3, none, "map[]"},
		{"lr=0,1 loss=2,acc=3", 2, none, "map[acc:3]"},
		{"\x1b[1;32mINFO\x1b[0m \x1b[32mloss=0.5\x1b[0m", 0.5, none, "map[]"},
		{`{"loss": 0.5}`, 0.5, none, "map[]"},
		{`{"loss": 1, "step": 4, "note": "x", "list": [1], "acc": 0.5}`, 1, 4, "map[acc:0.5]"},
		{`{"metrics": {"loss": 1, "acc": 2, "step": 9}, "epoch": 4}`, 1, 4, "map[acc:2 step:9]"},
		{`{"metrics": {"loss": 1}, "step": 2.0}`, 1, 2, "map[]"},
		{`{"loss": NaN}`, math.NaN(), none, "map[]"},
		{`{"loss": "-Infinity", "acc": "high"}`, math.Inf(-1), none, "map[]"},
		{`{"loss": 12345678901234567890}`, 12345678901234567890, none, "map[]"},
		{`{broken loss=3}`, 3, none, "map[]"},
	} {
		m, ok := ParseLine([]byte(c.line), "loss")
		got := m.Metrics["loss"]
		if !ok || got != c.loss && !(math.IsNaN(got) && math.IsNaN(c.loss)) {
			t.Errorf("%s: %v %v", c.line, m, ok)
			continue
		}
		if c.step == none && m.Step != nil || c.step != none && (m.Step == nil || *m.Step != c.step) {
			t.Errorf("%s: step %v", c.line, m.Step)
		}
		delete(m.Metrics, "loss")
		if also := fmt.Sprint(m.Metrics); also != c.also {
			t.Errorf("%s: also %s", c.line, also)
		}
	}
	for _, line := range []string{
		"", "loss", "loss=", "loss=0,5", "loss = -1,5e3", "loss=high", "val_loss=1", "--loss=1", "loss: 0.5", "loss==1", "{}", "{", `{"loss": null}`,
		`{"loss": "0.5"}`, `{"metrics": {"acc": 1}, "loss": 3}`, `["loss"]`, `{"loss": true}`, "\xff\xfe",
	} {
		if m, ok := ParseLine([]byte(line), "loss"); ok {
			t.Errorf("%s: %v", line, m)
		}
	}
	if m, ok := ParseLine([]byte("step=3"), "step"); !ok || m.Metrics["step"] != 3 || m.Step != nil {
		t.Errorf("an objective named step: %v %v", m, ok)
	}
}

func TestALineWithAFloodOfMetricsKeepsItsObjective(t *testing.T) {
	t.Parallel()
	var line strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&line, "m%d=1 ", i)
	}
	m, ok := ParseLine([]byte(line.String()+"loss=2 step=1"), "loss")
	if !ok || m.Metrics["loss"] != 2 || len(m.Metrics) > maxMetrics+1 || *m.Step != 1 {
		t.Errorf("%d metrics, %v", len(m.Metrics), ok)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{"loss=0.5 step=1", `{"metrics": {"loss": NaN}, "step": 3}`, "{loss=1", "epoch=9007199254740993 loss=-nan", "a=b=c loss = = 1"} {
		f.Add([]byte(seed), "loss")
	}
	f.Fuzz(func(t *testing.T, line []byte, objective string) {
		m, ok := ParseLine(line, objective)
		if !ok {
			return
		}
		if _, there := m.Metrics[objective]; !there || m.Step != nil && *m.Step < 0 {
			t.Fatalf("%v", m)
		}
		// What is read here has to be a report that a worker takes.
		body, err := wire.Encode(map[string]any{"study": "s", "trial": 0, "metrics": m.Metrics}, wire.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.DecodeReport(body, wire.JSON.ContentType()); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	})
}

func TestLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\nb\n":        "a|b|",
		"a\r\nb":        "a|b|",
		"a\rb\nc\r":     "~a|b|c|",
		"\n\n":          "||",
		"\ra\r\rb\n":    "~|~a|b|",
		"":              "",
		"x\r\r\n":       "x|",
		"no end":        "no end|",
		"\rstep\rstep2": "~|~step|step2|",
	} {
		for chunk := 1; chunk < 4; chunk++ {
			var got strings.Builder
			l := lines{emit: func(line []byte, overwritten bool) {
				if overwritten {
					got.WriteByte('~')
				}
				fmt.Fprintf(&got, "%s|", line)
			}}
			for rest := text; rest != ""; rest = rest[min(chunk, len(rest)):] {
				l.write([]byte(rest[:min(chunk, len(rest))]))
			}
			l.close()
			if got.String() != want {
				t.Errorf("%q in pieces of %d: %q, wanted %q", text, chunk, &got, want)
			}
		}
	}
}

func TestALongLineIsCut(t *testing.T) {
	t.Parallel()
	var got []int
	l := lines{emit: func(line []byte, _ bool) { got = append(got, len(line)) }}
	l.write([]byte(strings.Repeat("x", 3*maxLine) + "\nend\n"))
	if len(got) != 2 || got[0] != maxLine || got[1] != 3 {
		t.Error(got)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	add := func(lines ...string) string {
		var k tail
		for _, line := range lines {
			k.add([]byte(line))
		}
		return k.String()
	}
	if got := add("a", "b\xff\x1b[31mc"); got != "a\nb·[31mc" {
		t.Errorf("%q", got)
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("line %d é", i))
	}
	got := add(many...)
	if len(got) > maxTail || !strings.HasPrefix(got, "line ") || !strings.HasSuffix(got, "line 999 é") {
		t.Errorf("%d bytes: %.30q", len(got), got)
	}
	if got := add(strings.Repeat("é", 5000)); len(got) > maxTail || len(got) < maxTail-4 {
		t.Errorf("%d bytes of one line", len(got))
	}
}
