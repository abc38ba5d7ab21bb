package coordinator

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what a worker counts. Label values are bounded: kinds of outputs and
// partitions, never models.
type Metrics struct {
	inputs      prometheus.Counter
	outputs     *prometheus.CounterVec
	conflicts   prometheus.Counter
	expired     prometheus.Counter
	lag         *prometheus.GaugeVec
	stalled     *prometheus.GaugeVec
	owned       prometheus.Gauge
	workers     prometheus.Gauge
	models      *prometheus.GaugeVec
	studies     *prometheus.GaugeVec
	commits     prometheus.Histogram
	messages    prometheus.Counter
	suggestions prometheus.Histogram
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "retune", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "retune", Name: name, Help: help}
	}
	m := &Metrics{
		inputs: counter("inputs_total", "Inputs handled: reports and study commands, those ignored included."),
		outputs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "retune", Name: "outputs_total", Help: "Outputs committed, by kind: config, stop, retrain, summary, dead.",
		}, []string{"kind"}),
		conflicts: counter("commit_conflicts_total", "Commits and reads refused because another worker had committed to the partition."),
		expired:   counter("inputs_expired_total", "Times a partition found that inputs had expired before it read them."),
		lag:       prometheus.NewGaugeVec(gauge("partition_lag", "Inputs stored and not yet applied, by owned partition."), []string{"partition"}),
		stalled:   prometheus.NewGaugeVec(gauge("partition_stalled", "1 while a partition waits for room in the bucket."), []string{"partition"}),
		models:    prometheus.NewGaugeVec(gauge("models", "Models known, by owned partition."), []string{"partition"}),
		studies:   prometheus.NewGaugeVec(gauge("studies_running", "Studies that run, by owned partition."), []string{"partition"}),
		owned:     prometheus.NewGauge(gauge("partitions_owned", "Partitions that this worker serves.")),
		workers:   prometheus.NewGauge(gauge("workers", "Live workers, as this one sees them.")),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "retune", Name: "commit_duration_seconds", Help: "From sending an atomic batch to the server's word that it is stored.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		suggestions: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "retune", Name: "suggestion_duration_seconds", Help: "Time that slow strategies take for a suggestion, waiting aside.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		messages: counter("commit_messages_total", "Messages stored by commits: outputs, state and offsets."),
	}
	r.MustRegister(m.inputs, m.outputs, m.conflicts, m.expired, m.lag, m.stalled, m.models, m.studies, m.owned, m.workers, m.commits, m.messages, m.suggestions)
	for _, kind := range []string{KindConfig, KindStop, KindRetrain, KindSummary, KindDead} {
		m.outputs.WithLabelValues(kind)
	}
	return m
}

// forget drops the series of a partition that is served elsewhere.
func (m *Metrics) forget(partition string) {
	m.lag.DeleteLabelValues(partition)
	m.stalled.DeleteLabelValues(partition)
	m.models.DeleteLabelValues(partition)
	m.studies.DeleteLabelValues(partition)
}
