// Command monitor compares the detectors of this project with each other and with River's: how long they are quiet on
// healthy streams, and how soon they tell a change.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"

	"github.com/alecthomas/kong"
)

// options are the flags.
type options struct {
	Detectors   []string       `default:"all" help:"Detectors of this project, all or none; options follow a name as in cusum:h=4.77:k=0.5."`
	FalseAlarms []int          `default:"370,1000,10000" help:"What auto is set to where its options are not given: one false alarm in so many reports."`
	River       []string       `default:"all" help:"River's detectors to compare with, at their defaults: all, none or some of adwin, kswin, page_hinkley, ddm, eddm, fhddm, hddm_a, hddm_w."`
	Kinds       []string       `default:"all" help:"Kinds of streams: all or some of gaussian, lognormal, student3, ar0.5, seasonal24, seasonal50, binary."`
	Shifts      []float64      `default:"0.5,1,2,3" help:"Sudden changes of the mean in standard deviations; in binary, fifths of error probability."`
	Ramps       []float64      `default:"0.02,0.005" help:"Slow changes of the mean, in the same unit per report."`
	Streams     int            `default:"2000" help:"Streams of each kind and change."`
	StreamsAt   map[string]int `default:"river-kswin=200" help:"Fewer streams for a slow detector." placeholder:"DETECTOR=STREAMS"`
	Horizon     int            `default:"5000" help:"Reports of a healthy stream."`
	Healthy     int            `default:"100" help:"Healthy reports before a change."`
	Within      int            `default:"500" help:"Reports after a change; an alarm that comes later counts as missed."`
	WarmUp      int            `default:"30" help:"Reports that the share of early alarms calls warm-up."`
	Mean        float64        `default:"10" help:"Mean of the healthy streams. Detectors with absolute or relative thresholds depend on it and on --sd."`
	SD          float64        `name:"sd" default:"1" help:"Standard deviation of the healthy streams."`
	Seed        uint64         `default:"1" help:"Seed of the streams."`
	Jobs        int            `default:"${cpus}" help:"Blocks of streams at a time."`
	Python      string         `default:"python3" env:"RETUNE_PYTHON" help:"Python with River."`
	Out         string         `help:"Folder for results.csv, which is taken up again, and plot.svg." placeholder:"DIR"`
	Refresh     []string       `help:"Detectors whose rows are dropped and run anew, as the report names them."`
	Report      bool           `help:"Run nothing, report what --out holds."`
	Speed       bool           `help:"Time updates beside River's instead."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	kong.Parse(&o, kong.Name("monitor"), kong.Vars{"cpus": fmt.Sprint(runtime.NumCPU())},
		kong.Description("Compares the detectors of this project with each other and with River's, on the same seeded streams.\n\n"+
			"With the defaults it takes some 15 minutes on 2 cores, most of them River's kswin, which has fewer streams (--streams-at)."))
	if err := o.run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "monitor:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context, out, note io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	s, err := openStore(o.Out)
	if err != nil {
		return err
	}
	if o.Report {
		return writeReport(out, s)
	}
	contenders, err := o.contenders(note)
	if err != nil {
		return err
	}
	if o.Speed {
		return o.speed(contenders, out)
	}
	p, err := o.plan(contenders)
	if err != nil {
		return err
	}
	if err := s.use(p.settings); err != nil {
		return err
	}
	s.drop(o.Refresh)
	return errors.Join(p.execute(ctx, s, note), writeReport(out, s))
}

func (o *options) validate() error {
	for name, value := range map[string]int{
		"--streams": o.Streams, "--horizon": o.Horizon, "--healthy": o.Healthy, "--within": o.Within, "--warm-up": o.WarmUp, "--jobs": o.Jobs,
	} {
		if value < 1 {
			return fmt.Errorf("%s: %d is not positive: give at least 1", name, value)
		}
	}
	if !(o.SD > 0) {
		return fmt.Errorf("--sd: %v is not positive: give one that is", o.SD)
	}
	if o.Report && o.Out == "" {
		return errors.New("--report: there is nothing to report: give --out")
	}
	return nil
}
