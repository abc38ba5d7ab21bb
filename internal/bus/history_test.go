package bus_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/visutility/retune/internal/bus/bustest"
)

func TestHistoryGivesWhatIsStoredAndEnds(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Open(t, srv.ClientURL(), bustest.Settings())
	_, js := bustest.Client(t, srv.ClientURL())
	publish := func(model string, n int) {
		t.Helper()
		if _, err := js.Publish(t.Context(), "retune.metrics."+model, fmt.Append(nil, n)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(model string, since time.Time, meanwhile func()) (bodies []string, last time.Time) {
		t.Helper()
		h, err := b.History(t.Context(), model, since)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		meanwhile()
		for {
			in, err := h.Next(t.Context())
			if errors.Is(err, io.EOF) {
				return bodies, last
			}
			if err != nil {
				t.Fatal(err)
			}
			bodies, last = append(bodies, string(in.Body)), in.Time
		}
	}
	nothing := func() {}
	if got, _ := read("*", time.Time{}, nothing); got != nil {
		t.Errorf("of an empty stream: %q", got)
	}
	for i := range 600 {
		publish(fmt.Sprint("model", i%7), i)
	}
	all, last := read("*", time.Time{}, func() { publish("model0", 600) })
	if len(all) != 600 || !slices.IsSortedFunc(all, byNumber) {
		t.Errorf("%d inputs", len(all))
	}
	if got, _ := read("model6", time.Time{}, func() { publish("model6", 601) }); len(got) != 85 || got[84] != "594" {
		t.Errorf("%q", got)
	}
	if got, _ := read("*", last, nothing); len(got) != 3 || got[0] != "599" {
		t.Errorf("since %s: %q", last, got)
	}
	if got, _ := read("unknown", time.Time{}, nothing); got != nil {
		t.Errorf("of a model without inputs: %q", got)
	}
	stream, err := js.Stream(t.Context(), "RETUNE_METRICS")
	if err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, 10*time.Second, "no consumer is left", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Consumers == 0
	})
}

func byNumber(a, b string) int {
	var x, y int
	fmt.Sscan(a, &x)
	fmt.Sscan(b, &y)
	return x - y
}
