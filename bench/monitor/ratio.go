package main

import "math"

// meanTimeRatio is MTR = MTFA / MTD × (1 − MDR), the more the better, on one kind of stream with all its changes
// (Bifet, "Classifier concept drift detection and the illusion of progress", 2017). MTD and MDR are as in River's
// proposed drift.evaluate (online-ml/river, pull request 1963): over the changes that were told, the mean number of reports from the first changed one to the
// first alarm, which is 0 on that report; and the share of changes without an alarm in time. MTFA, there the mean gap
// between the false alarms of one stream, is the run length on healthy streams here: the gap when the detector starts
// afresh after each, without the gaps that the end of a stream cuts off. A detector that tells no change has ratio 0.
// Without a false alarm the ratio is infinite, and its low end what is known.
//
// The interval takes the three as independent (delta method on the logarithm).
func meanTimeRatio(healthy tally, changed []tally) estimate {
	var all tally
	for _, t := range changed {
		all.streams += t.judged()
		all.alarms += t.alarms
		all.caught += t.caught
		all.caughtSquared += t.caughtSquared
	}
	if all.streams == 0 {
		return estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	if all.alarms == 0 {
		return estimate{}
	}
	quiet, delay, told := healthy.runLength(), all.delay(), 1-all.missed().mean
	late := delay.mean - 1
	scale := told / late
	if late <= 0 {
		return estimate{math.Inf(1), math.Inf(1), math.Inf(1)}
	}
	if math.IsInf(quiet.mean, 1) {
		return estimate{quiet.mean, quiet.low * scale, quiet.high}
	}
	variance := math.Pow(logError(quiet), 2) + math.Pow((delay.high-delay.mean)/normal95/late, 2) + (1-told)/(told*float64(all.streams))
	return around(quiet.mean*scale, math.Sqrt(variance))
}

func logError(e estimate) float64 { return math.Log(e.high/e.mean) / normal95 }

// average of ratios over kinds of streams.
func average(ratios []estimate) estimate {
	var sum estimate
	variance, n := 0.0, float64(len(ratios))
	for _, r := range ratios {
		sum.mean += r.mean / n
		sum.low += r.low / n
		if r.mean > 0 {
			variance += math.Pow(r.mean/n*logError(r), 2)
		}
	}
	if math.IsInf(sum.mean, 1) || sum.mean == 0 {
		return estimate{sum.mean, sum.low, sum.mean}
	}
	return around(sum.mean, math.Sqrt(variance)/sum.mean)
}
