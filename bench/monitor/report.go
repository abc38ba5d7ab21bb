package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
)

// view is what a report looks at: the rows of a store and the names in them.
type view struct {
	*store
	detectors, kinds, changes []string
}

func newView(s *store) *view {
	v := &view{store: s}
	for _, c := range s.order {
		v.detectors = appendNew(v.detectors, c.detector)
		v.kinds = appendNew(v.kinds, c.kind)
		if c.change != none {
			v.changes = appendNew(v.changes, c.change)
		}
	}
	return v
}

// none is the change of healthy streams.
var none = change{}.String()

func appendNew(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// ratio is the mean time ratio of a detector on a kind of streams, once it has all changes.
func (v *view) ratio(detector, kind string) (estimate, bool) {
	healthy, known := v.rows[cell{detector, kind, none}]
	var changed []tally
	for _, c := range v.changes {
		t, judged := v.rows[cell{detector, kind, c}]
		known = known && judged
		changed = append(changed, t)
	}
	if !known || len(changed) == 0 {
		return estimate{}, false
	}
	return meanTimeRatio(healthy, changed), true
}

const definitions = `
Run length: reports up to and with the first alarm of a detector that starts afresh, on streams without change. ARL0 is
reports at risk ÷ first alarms, each stream at risk until its first alarm or for %[1]d reports: the mean run length where an
alarm is equally likely in every report, else that of the first %[1]d. ≥: no alarm, 95 %% certain.
Early: share of those streams with the first alarm in the first %[4]d reports, %[5]d of warm-up and 100.
Delay: reports from the change to the first alarm, 1 being the first changed report, mean over the streams with one in
%[3]d reports; missed: share without. Streams with an alarm in the %[2]d healthy reports before it are left out, so that
the delay is that of a detector that has been quiet. Any alarm counts, also that of a two-sided detector.
Shifts and ramps (per report) are in standard deviations; binary: 1 adds 0.2 to an error probability of 0.2.
Intervals are 95 %%; those of the shares missed are in results.csv. Settings: %[6]s.
`

const ratioDefinition = `
Mean time ratio MTFA / MTD × (1 − MDR) over all changes (Bifet 2017; MTD and MDR as in River's proposed drift.evaluate):
MTFA is ARL0, MTD the delay − 1 over all that were told, MDR the share missed. More is better; ≥: no false alarm.
n/a: the detector is not for such values; -: it left no stream to judge. The mean is over the kinds other than binary.
`

// writeReport prints the comparison, and puts plot.svg beside the results if these are in a folder.
func writeReport(out io.Writer, s *store) error {
	v := newView(s)
	if len(v.detectors) == 0 {
		return nil
	}
	c := s.settings
	fmt.Fprintf(out, definitions[1:], c.horizon, c.healthy, c.within, c.warmUp+earlyReports, c.warmUp, c)
	for _, k := range v.kinds {
		v.writeQuiet(out, k)
		v.writeDelays(out, k)
	}
	if len(v.changes) > 0 {
		v.writeRatios(out)
	}
	if s.folder == "" {
		return nil
	}
	return writeFile(filepath.Join(s.folder, "plot.svg"), func(w io.Writer) error { return writePlot(w, v) })
}

func table(out io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func (v *view) writeQuiet(out io.Writer, kind string) {
	fmt.Fprintf(out, "\n=== %s, no change\n", kind)
	t := table(out)
	fmt.Fprintln(t, "\tARL0\t\tmedian\t\tearly\t\tstreams\t")
	for _, d := range v.detectors {
		row, judged := v.rows[cell{d, kind, none}]
		if !judged {
			continue
		}
		length, early := row.runLength(), share(row.early, row.streams)
		median, end := row.median, v.settings.horizon
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s … %s\t%s\t%s … %s\t%d\t\n", d, mean(length), interval(length),
			beyond(median.mean, end), beyond(median.low, end), beyond(median.high, end),
			percent(early.mean), percent(early.low), percent(early.high), row.streams)
	}
	t.Flush()
}

func (v *view) writeDelays(out io.Writer, kind string) {
	fmt.Fprintf(out, "\n=== %s, delay ± and missed\n", kind)
	t := table(out)
	fmt.Fprint(t, "\t")
	for _, c := range v.changes {
		fmt.Fprint(t, c, "\t\t")
	}
	fmt.Fprintln(t, "left out\t")
	for _, d := range v.detectors {
		if !v.hasChange(d, kind) {
			continue
		}
		leftOut, streams := 0, 0
		fmt.Fprint(t, d, "\t")
		for _, c := range v.changes {
			row, judged := v.rows[cell{d, kind, c}]
			if !judged {
				fmt.Fprint(t, "\t\t")
				continue
			}
			leftOut, streams = leftOut+row.leftOut, streams+row.streams
			fmt.Fprintf(t, "%s\t%s\t", plusMinus(row.delay()), missedOf(row))
		}
		fmt.Fprintf(t, "%s\t\n", percent(float64(leftOut)/float64(streams)))
	}
	t.Flush()
}

func (v *view) hasChange(detector, kind string) bool {
	return slices.ContainsFunc(v.changes, func(c string) bool {
		_, judged := v.rows[cell{detector, kind, c}]
		return judged
	})
}

func missedOf(t tally) string {
	if t.judged() == 0 {
		return "-"
	}
	return percent(t.missed().mean)
}

// writeRatios averages over the kinds of real values, for those detectors that have all of them.
func (v *view) writeRatios(out io.Writer) {
	fmt.Fprint(out, ratioDefinition)
	t := table(out)
	fmt.Fprint(t, "\t")
	for _, k := range v.kinds {
		fmt.Fprint(t, k, "\t\t")
	}
	fmt.Fprintln(t, "mean\t\t")
	for _, d := range v.detectors {
		var all []estimate
		complete := true
		fmt.Fprint(t, d, "\t")
		for _, k := range v.kinds {
			r, known := v.ratio(d, k)
			if !isBinary(k) {
				all, complete = append(all, r), complete && known
			}
			fmt.Fprint(t, ratioCells(r, known))
		}
		fmt.Fprintln(t, ratioCells(average(all), complete && len(all) > 0))
	}
	t.Flush()
}

func ratioCells(e estimate, known bool) string {
	if !known {
		return "n/a\t\t"
	}
	return mean(e) + "\t" + interval(e) + "\t"
}

// mean is what is known at least where the estimate is infinite.
func mean(e estimate) string {
	if math.IsInf(e.mean, 1) && !math.IsInf(e.low, 1) {
		return "≥ " + figure(e.low)
	}
	return figure(e.mean)
}

func interval(e estimate) string {
	if math.IsInf(e.mean, 1) || math.IsNaN(e.low) {
		return ""
	}
	return figure(e.low) + " … " + figure(e.high)
}

func plusMinus(e estimate) string {
	if math.IsNaN(e.mean) {
		return "-"
	}
	return figure(e.mean) + " ± " + figure(e.mean-e.low)
}

// figure has three digits, or all before the point.
func figure(x float64) string {
	switch {
	case math.IsNaN(x):
		return "-"
	case math.IsInf(x, 1):
		return "∞"
	case math.Abs(x) >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case math.Abs(x) >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

func beyond(x float64, end int) string {
	if math.IsInf(x, 1) {
		return fmt.Sprintf("> %d", end)
	}
	return figure(x)
}

func percent(share float64) string {
	if share > 0 && share < 0.01 || share > 0.99 && share < 1 {
		return strconv.FormatFloat(100*share, 'f', 2, 64) + " %"
	}
	return strconv.FormatFloat(100*share, 'f', 0, 64) + " %"
}
