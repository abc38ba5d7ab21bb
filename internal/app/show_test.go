package app

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestShowWorkersAndModels(t *testing.T) {
	t.Parallel()
	c := newCommandBundle(t)
	var out bytes.Buffer
	if err := Show(t.Context(), c.bus, 10, false, &out); err != nil || !strings.Contains(out.String(), "workers: 0, partitions: 4, models: 0") || !strings.Contains(out.String(), "no models") {
		t.Fatalf("%v\n%s", err, &out)
	}
	c.worker()
	for i := range 5 {
		c.report(fmt.Sprintf("m%d", i), `{"metrics":{"loss":1},"config":{"lr":0.5}}`)
	}
	if _, err := c.start(StartOptions{Model: "m3"}, quadratic+"max_trials: 5\n"); err != nil {
		t.Fatal(err)
	}
	// One input a model has an output, so all are stored once the last is seen.
	if err := Watch(t.Context(), c.bus, WatchOptions{Kind: "configs", Since: time.Unix(1, 0), Count: 6}, new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := Show(t.Context(), c.bus, 4, true, &out); err != nil {
		t.Fatal(err)
	}
	o := object[Overview](t, &out)
	if len(o.Workers) != 1 || o.Workers[0].Version != "test" || len(o.Workers[0].Partitions) != 4 || o.Known != 5 || len(o.Models) != 4 {
		t.Fatalf("%+v", o)
	}
	if m := o.Models[3]; m.Model != "m3" || m.Study != "s" || m.Reports != 1 || m.Configs != 1 || m.Owner != o.Workers[0].ID {
		t.Errorf("%+v", m)
	}
	out.Reset()
	if err := Show(t.Context(), c.bus, 4, false, &out); err != nil || !strings.Contains(out.String(), "… and 1 more models") {
		t.Errorf("%v\n%s", err, &out)
	}

	out.Reset()
	if err := ShowModel(t.Context(), c.bus, "m3", &out); err != nil {
		t.Fatal(err)
	}
	v := object[map[string]any](t, &out)
	state, _ := v["state"].(map[string]any)
	if v["partition"] != float64(o.Models[3].Partition) || v["owner"] != o.Workers[0].ID || state["reports"] != 1.0 || v["running_study"] == nil || len(v["studies"].([]any)) != 1 {
		t.Errorf("%s", &out)
	}
	if err := ShowModel(t.Context(), c.bus, "unknown", &out); err == nil || !strings.Contains(err.Error(), "model unknown is not known") {
		t.Error(err)
	}
}
