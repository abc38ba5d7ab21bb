package coordinator

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/study"
)

// Metrics are what a worker counts. The values of labels are bounded: kinds, states,
// reasons and at most 1024 partitions, never models.
type Metrics struct {
	read      prometheus.Counter
	applied   prometheus.Counter
	late      prometheus.Counter
	expired   prometheus.Counter
	outputs   *prometheus.CounterVec
	dead      *prometheus.CounterVec
	retrains  *prometheus.CounterVec
	trials    *prometheus.CounterVec
	conflicts prometheus.Counter
	commits   *prometheus.CounterVec
	took      prometheus.Histogram
	messages  prometheus.Counter
	bytes     prometheus.Counter
	stalls    prometheus.Counter

	suggestions prometheus.Histogram

	lag        *prometheus.GaugeVec
	stalled    *prometheus.GaugeVec
	partitions prometheus.Gauge
	wanted     prometheus.Gauge
	workers    prometheus.Gauge
	bucket     prometheus.Gauge
	bucketMost prometheus.Gauge
	shares     *shares
}

const namespace = "retune"

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		read:      counter("inputs_read_total", "Inputs read: reports and study commands. Those read again after a failure count again."),
		applied:   counter("inputs_applied_total", "Inputs applied, those ignored and dead letters included."),
		late:      counter("reports_late_total", "Live reports that were too old to be judged by a monitor."),
		expired:   counter("inputs_expired_total", "Times a partition found that inputs had expired before it read them."),
		outputs:   counters("outputs_total", "Outputs committed, by kind.", "kind"),
		dead:      counters("dead_letters_total", "Dead letters committed, by class of the reason.", "reason"),
		retrains:  counters("retrain_events_total", "Retrain events committed, by trigger and severity; the trigger improved has the severity none.", "trigger", "severity"),
		trials:    counters("trials_ended_total", "Trials whose end is committed, by their state.", "state"),
		conflicts: counter("commit_conflicts_total", "Commits and reads refused because another worker had committed to the partition."),
		commits:   counters("commits_total", "Commits of partitions, by outcome; several may share an atomic batch.", "outcome"),
		took:      histogram("commit_duration_seconds", "From sending an atomic batch to the server's word that it is stored."),
		messages:  counter("commit_messages_total", "Messages stored by commits: outputs, state and offsets."),
		bytes:     counter("commit_bytes_total", "Bytes of the bodies of messages stored by commits."),
		stalls:    counter("stalls_total", "Times a partition began to wait for room in the bucket."),

		suggestions: histogram("suggestion_duration_seconds", "Time that slow strategies take for a suggestion, waiting aside."),

		lag:        gauges("partition_lag_inputs", "Inputs stored and not yet applied, by owned partition.", "partition"),
		stalled:    gauges("partition_stalled", "1 while a partition waits for room in the bucket.", "partition"),
		partitions: gauge("partitions", "Partitions of the input stream."),
		wanted:     gauge("partitions_wanted", "Partitions that are this worker's share of the list of live workers."),
		workers:    gauge("workers", "Live workers, as this one sees them."),
		bucket:     gauge("bucket_bytes", "Bytes stored in the bucket of state and outputs."),
		bucketMost: gauge("bucket_limit_bytes", "Most bytes that the bucket takes; at it commits are refused."),
		shares:     newShares(),
	}
	r.MustRegister(m.read, m.applied, m.late, m.expired, m.outputs, m.dead, m.retrains, m.trials, m.conflicts, m.commits, m.took,
		m.messages, m.bytes, m.stalls, m.suggestions, m.lag, m.stalled, m.partitions, m.wanted, m.workers, m.bucket, m.bucketMost, m.shares)
	m.begin()
	return m
}

// begin makes all series that there can be, for a rate over one that appears with its first event is none.
func (m *Metrics) begin() {
	each(m.outputs, KindConfig, KindStop, KindRetrain, KindSummary, KindDead)
	each(m.dead, deadMalformed, deadInvalid, deadUnknown, deadCommand, deadConfig, deadLimit, deadState, deadFault)
	each(m.trials, string(study.Complete), string(study.Pruned), string(study.Failed), string(study.TimedOut), string(study.Stopped))
	each(m.commits, "stored", "conflict", "full", "unknown", "refused")
	for _, labels := range [][]string{{"degraded", "warning"}, {"degraded", "critical"}, {"stale", "warning"}, {"improved", "none"}} {
		m.retrains.WithLabelValues(labels...)
	}
}

func each(c *prometheus.CounterVec, values ...string) {
	for _, v := range values {
		c.WithLabelValues(v)
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
	})
}

// batch counts an atomic batch that is stored.
func (m *Metrics) batch(took time.Duration, messages, bytes int) {
	m.took.Observe(took.Seconds())
	m.messages.Add(float64(messages))
	m.bytes.Add(float64(bytes))
}

// commit counts one of a partition by what became of it.
func (m *Metrics) commit(err error) {
	outcome := "refused"
	switch {
	case err == nil:
		outcome = "stored"
	case errors.Is(err, bus.ErrConflict):
		outcome = "conflict"
	case errors.Is(err, bus.ErrFull):
		outcome = "full"
	case errors.Is(err, bus.ErrUnknown):
		outcome = "unknown"
	}
	m.commits.WithLabelValues(outcome).Inc()
}

// output counts one that is committed.
func (m *Metrics) output(o *output) {
	m.outputs.WithLabelValues(o.kind).Inc()
	switch o.kind {
	case KindRetrain:
		m.retrains.WithLabelValues(o.labels...).Inc()
	case KindDead:
		m.dead.WithLabelValues(o.labels...).Inc()
	}
}

// ended counts the trials of a study that have ended since it was written.
func (m *Metrics) ended(s *study.Study) {
	for _, n := range s.Changed() {
		if t := s.Trial(n); !t.Open() {
			m.trials.WithLabelValues(string(t.State)).Inc()
		}
	}
}

// forget drops the series of a partition that is served elsewhere.
func (m *Metrics) forget(partition string) {
	m.lag.DeleteLabelValues(partition)
	m.stalled.DeleteLabelValues(partition)
}
