package coordinator

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// share is what is known of the models of one partition that is served.
type share struct {
	models, studies int
	health          healthCounts
}

// shares tells the sums over the partitions that a worker serves.
type shares struct {
	owned, models, studies, degraded, stale *prometheus.Desc

	mu sync.Mutex
	of map[*partition]share // for a moment two of a number, when one comes back
}

func newShares() *shares {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &shares{
		owned:    describe("partitions_owned", "Partitions that this worker reads."),
		models:   describe("models", "Models known in the partitions that this worker reads."),
		studies:  describe("studies_running", "Studies that run in them."),
		degraded: describe("models_degraded", "Models in an episode, by the worst severity told; untold: the episode began in a cool-down.", "severity"),
		stale:    describe("models_stale", "Models that report no more."),
		of:       map[*partition]share{},
	}
}

func (s *shares) set(p *partition, to share) {
	s.mu.Lock()
	s.of[p] = to
	s.mu.Unlock()
}

func (s *shares) drop(p *partition) {
	s.mu.Lock()
	delete(s.of, p)
	s.mu.Unlock()
}

// Describe implements prometheus.Collector.
func (s *shares) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.owned, s.models, s.studies, s.degraded, s.stale} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *shares) Collect(to chan<- prometheus.Metric) {
	sum, owned := s.sum()
	tell := func(d *prometheus.Desc, n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	tell(s.owned, owned)
	tell(s.models, sum.models)
	tell(s.studies, sum.studies)
	tell(s.degraded, sum.health.Untold, "untold")
	tell(s.degraded, sum.health.Warning, "warning")
	tell(s.degraded, sum.health.Critical, "critical")
	tell(s.stale, sum.health.Stale)
}

func (s *shares) sum() (sum share, owned int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.of {
		sum.models += one.models
		sum.studies += one.studies
		sum.health = sum.health.plus(one.health)
	}
	return sum, len(s.of)
}
