package bench

import (
	"os"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

func TestBenchDev(t *testing.T) {
	if os.Getenv("BENCHDEV") == "" {
		t.Skip()
	}
	e, err := bus.StartEmbedded(t.TempDir(), 0, 30<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	f, _ := os.Create("/tmp/cpu.prof")
	defer pprof.StopCPUProfile()
	b := &run{ctx: t.Context(), options: Options{Events: 100_000, Rounds: 2, Pings: 100}, note: t.Logf, open: func(prefix string) (*bus.Bus, error) {
		return bus.Open(bus.Connection{Name: "bench", URL: e.URL()}, bus.Settings{Subjects: wire.Subjects{Prefix: prefix}, Partitions: 32, Replicas: 1, InputAge: time.Hour, InputBytes: 4 << 30, BucketBytes: 4 << 30, Lease: 5 * time.Second}, zerolog.Nop())
	}}
	models := 1000
	if os.Getenv("MODELS") != "" {
		models = 100_000
	}
	if w := os.Getenv("BENCHDEV"); w == "mon" {
		_, err = b.timed(models, 400_000, false, func(g *bus.Bus, last []uint64) error {
			pprof.StartCPUProfile(f)
			t0 := time.Now()
			defer func() { t.Log(400_000 / time.Since(t0).Seconds()) }()
			return b.work(g, false, last, func() {})
		})
		return
	}
	if w := os.Getenv("BENCHDEV"); w == "tune" {
		_, err = b.timed(1000, 200_000, true, func(g *bus.Bus, last []uint64) error {
			pprof.StartCPUProfile(f)
			t0 := time.Now()
			defer func() { t.Log(200_000 / time.Since(t0).Seconds()) }()
			return b.work(g, true, last, func() {})
		})
		return
	}
	if w := os.Getenv("BENCHDEV"); w == "lat" {
		rs, err := b.latency()
		t.Log(rs, err)
		return
	}
	err = Run(t.Context(), func(prefix string) (*bus.Bus, error) {
		return bus.Open(bus.Connection{Name: "bench", URL: e.URL()}, bus.Settings{Subjects: wire.Subjects{Prefix: prefix}, Partitions: 32, Replicas: 1, InputAge: time.Hour, InputBytes: 4 << 30, BucketBytes: 4 << 30, Lease: 5 * time.Second}, zerolog.Nop())
	}, Options{Events: 100_000, Rounds: 2, Pings: 100}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
}
