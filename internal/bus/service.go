package bus

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"
)

// ServiceName is what `nats service ls` calls the workers.
const ServiceName = "retune"

// Status is what a worker answers on StatusSubject.
type Status struct {
	Worker
	Wanted int    `json:"partitions_wanted"` // its share by the list of workers
	Owned  int    `json:"partitions_owned"`  // of them those that it reads
	Total  int    `json:"partitions"`        // of the input stream
	Behind uint64 `json:"lag_total"`         // inputs not yet applied in the owned ones
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"` // why it is not ready
}

// StatusSubject is where all workers answer how they are.
func (b *Bus) StatusSubject() string { return b.set.Subjects.Prefix + ".worker.status" }

// Serve makes the worker known as a NATS service, until stop is called. Each worker answers a request: whoever asks
// waits for as many answers as there are workers.
func (b *Bus) Serve(self Worker, status func() Status) (stop func(), err error) {
	service, err := micro.AddService(b.nc, micro.Config{
		Name: ServiceName, Version: semantic(self.Version), Description: "tunes and monitors models",
		Metadata: map[string]string{
			"worker": self.ID, "host": self.Host, "pid": strconv.Itoa(self.PID), "release": self.Version,
			"config_hash": self.ConfigHash, "prefix": b.set.Subjects.Prefix,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", ServiceName, err)
	}
	answer := micro.HandlerFunc(func(r micro.Request) { _ = r.RespondJSON(status()) })
	if err := service.AddEndpoint("status", answer, micro.WithEndpointSubject(b.StatusSubject()), micro.WithEndpointQueueGroupDisabled()); err != nil {
		_ = service.Stop()
		return nil, fmt.Errorf("service %s: %w", ServiceName, err)
	}
	_ = b.nc.FlushTimeout(time.Second) // a connection that is lost tells the server when it is back
	return func() { _ = service.Stop() }, nil
}

// A version of semver.org: three numbers, perhaps with a pre-release and a build.
var version = regexp.MustCompile(`^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}` +
	`(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// semantic is the release as services must state it; one that is none of the kind stands in the metadata.
func semantic(release string) string {
	if v := strings.TrimPrefix(release, "v"); version.MatchString(v) {
		return v
	}
	return "0.0.0"
}
