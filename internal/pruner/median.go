package pruner

// newMedian builds the median stopping rule (Golovin et al. 2017, Google Vizier, KDD, section 3.5.2):
// a trial is given up when the best it has reported is worse than the median of what the others had
// at the same step. It is percentile at 50 and has its other options.
func newMedian(o *options) Pruner {
	return newQuantile(o, 50, "median")
}
