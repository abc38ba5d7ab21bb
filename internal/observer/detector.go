package observer

// detector judges the values of one metric, one after another. It holds parameters only and is shared by all models;
// what it knows of one model is its memory, which the monitor keeps, stores and hands back.
type detector interface {
	// fresh returns the memory of a model without values, with room for all that update will put in, so that
	// update does not allocate.
	fresh() []float64
	// update judges value, which is finite, and returns the memory with it: the array it was given, or a larger one.
	// All of the memory stays finite, whatever finite values come.
	update(memory []float64, value float64) ([]float64, verdict)
	// fits reports whether a stored memory, whose numbers are finite, can be one that update returned.
	fits(memory []float64) bool
}

// verdict is what a detector thinks of a value. What a detector has no notion of stays 0, or NaN for limit.
type verdict struct {
	degraded   bool    // the condition holds now; the monitor finds the edges
	reference  float64 // what the value was compared with: finite when degraded
	deviations float64 // how far the level that was judged is from reference, in standard deviations; positive is worse
	limit      float64 // the value at which a report is or would be too bad; NaN when there is none
	statistic  float64 // what is compared with a threshold, as a share of it: 1 and more is degraded
	reports    int     // how many of the latest reports, this one included, the change seems to have lasted; 0: let the monitor count
}

// kind is how a detector is made and spoken of.
type kind struct {
	against string // completes the reason: "degraded 12.34% vs. …"
	// build asks given for every option, with its default and range; given keeps the mistakes.
	// The detector must take goal into account: only values that are worse degrade.
	build func(given *options, goal Goal) detector
}

// kinds are the detectors by their name in worker.yaml. What stands here, the conformance suite tests.
var kinds = map[string]kind{
	"auto":         {against: "healthy median", build: newAuto},
	"threshold":    {against: "limit", build: newThreshold},
	"best":         {against: "best window mean", build: newBest},
	"shewhart":     {against: "mean of the first reports", build: newShewhart},
	"cusum":        {against: "mean of the first reports", build: newCusum},
	"ewma":         {against: "mean of the first reports", build: newEwma},
	"page_hinkley": {against: "level before", build: newPageHinkley},
	"adwin":        {against: "level before", build: newAdwin},
	"kswin":        {against: "level before", build: newKswin},
	"ddm":          {against: "error rate before", build: newDdm},
	"hddm_a":       {against: "level before", build: newHddmA},
	"hddm_w":       {against: "level before", build: newHddmW},
	"rolling_mean": {against: "rolling mean", build: newRollingMean},
}
