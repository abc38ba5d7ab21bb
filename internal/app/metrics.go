package app

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/visutility/retune/internal/bus"
)

const namespace = "retune"

func newRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the version of the worker and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(build)
	return r
}

func registerConnection(r prometheus.Registerer, b *bus.Bus) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "nats_connected", Help: "1 while there is a connection to NATS.",
		}, func() float64 {
			if b.Connected() {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "nats_reconnects_total", Help: "Times the connection to NATS was lost and came back.",
		}, func() float64 { return float64(b.Reconnects()) }),
	)
}

// store tells how full the embedded server is.
type store struct {
	server     *bus.Embedded
	used, most *prometheus.Desc
}

func registerStore(r prometheus.Registerer, server *bus.Embedded) {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "embedded_store", name), help, nil, nil)
	}
	r.MustRegister(&store{
		server: server,
		used:   describe("bytes", "Bytes that the embedded NATS server stores."),
		most:   describe("limit_bytes", "Most bytes that the embedded NATS server stores."),
	})
}

// Describe implements prometheus.Collector.
func (s *store) Describe(to chan<- *prometheus.Desc) {
	to <- s.used
	to <- s.most
}

// Collect implements prometheus.Collector.
func (s *store) Collect(to chan<- prometheus.Metric) {
	used, most, err := s.server.StoreSize()
	if err != nil {
		return // it is being stopped
	}
	to <- prometheus.MustNewConstMetric(s.used, prometheus.GaugeValue, float64(used))
	to <- prometheus.MustNewConstMetric(s.most, prometheus.GaugeValue, float64(most))
}

// sinkMetrics count what becomes of events.
type sinkMetrics struct{ delivered, retried, dropped *prometheus.CounterVec }

// sinkCounts are those of one sink.
type sinkCounts struct{ delivered, retried, dropped prometheus.Counter }

func newSinkMetrics(r prometheus.Registerer) sinkMetrics {
	vec := func(name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: "sink", Name: name, Help: help}, []string{"sink"})
		r.MustRegister(v)
		return v
	}
	return sinkMetrics{
		delivered: vec("delivered_total", "Retrain events that a sink took, by its name."),
		retried:   vec("retried_total", "Attempts that failed and are made again, by the sink's name."),
		dropped:   vec("dropped_total", "Retrain events given up after a day of failures, by the sink's name."),
	}
}

func (m sinkMetrics) of(sink string) sinkCounts {
	return sinkCounts{m.delivered.WithLabelValues(sink), m.retried.WithLabelValues(sink), m.dropped.WithLabelValues(sink)}
}
