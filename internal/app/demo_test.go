package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/visutility/retune/internal/demo"
)

// runDemoFast runs a demo as fast as it goes, in a temporary folder of its own.
// Tests that call it look for goroutines left behind, so they are not parallel.
func runDemoFast(t *testing.T, ctx context.Context, o DemoOptions) (string, error) {
	t.Helper()
	ignored := goleak.IgnoreCurrent()
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	var out bytes.Buffer
	o.Out, o.Log = &out, zerolog.Nop()
	err := RunDemo(ctx, o)
	left, readErr := os.ReadDir(folder)
	if readErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, readErr)
	}
	goleak.VerifyNone(t, ignored)
	return out.String(), err
}

func TestDemoFindsTheDriftAndNothingElse(t *testing.T) {
	out, err := runDemoFast(t, t.Context(), DemoOptions{Seed: 1, JSON: true})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := runDemoFast(t, t.Context(), DemoOptions{Seed: 1, JSON: true}); again != out {
		t.Errorf("the same seed told another story: %v\n%s\n%s", err, out, again)
	}
	var s demo.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	for _, o := range s.Models {
		if o.DriftAt == 0 {
			if len(o.Alarms) > 0 {
				t.Errorf("%s does not drift: %+v", o.Model, o.Alarms)
			}
			continue
		}
		if len(o.Alarms) == 0 || o.Alarms[0].False || o.Delay < 1 || o.Delay > 6 {
			t.Errorf("%s drifts from report %d: %+v", o.Model, o.DriftAt, o.Alarms)
		}
		if o.Study == nil || !o.Study.Finished || o.Study.Done != searchTrials || o.Study.Best >= o.Study.Baseline {
			t.Errorf("%s: study %+v", o.Model, o.Study)
		}
		if o.ErrorWorst < 1.5*o.ErrorBefore || o.ErrorEnd > 1.5*o.ErrorBefore || o.ErrorSince >= o.ErrorAlone {
			t.Errorf("%s: %+v", o.Model, o)
		}
	}
}

// stopWriter cancels when it is first written to.
type stopWriter struct {
	written bytes.Buffer
	cancel  context.CancelFunc
}

func (w *stopWriter) Write(p []byte) (int, error) {
	w.cancel()
	return w.written.Write(p)
}

func TestDemoStopsInTheMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &stopWriter{cancel: cancel}
	terminal := &demo.Terminal{Writer: w, Size: func() (int, int) { return 80, 24 }}
	_, err := runDemoFast(t, ctx, DemoOptions{Seed: 1, Live: terminal})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if !strings.HasSuffix(w.written.String(), "\x1b[?25h") {
		t.Error("the cursor stays hidden")
	}
}
