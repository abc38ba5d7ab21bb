package app

import (
	"cmp"
	"context"
	"os"

	"github.com/visutility/retune/internal/coordinator"
	"github.com/visutility/retune/internal/tracing"
)

func (o OTLP) validate() error {
	if o.Endpoint == "" {
		return nil
	}
	return tracing.Check(o.Endpoint)
}

// startTracing exports spans if a collector is named; nil: none is.
func (w *worker) startTracing(ctx context.Context) (coordinator.Tracer, error) {
	endpoint := w.Config.OTLP.Endpoint
	if endpoint == "" && cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) == "" {
		return nil, nil
	}
	exporter, err := tracing.New(ctx, endpoint, w.Version, w.Log)
	if err != nil {
		return nil, err
	}
	w.onStop("traces", exporter.Stop)
	return exporter, nil
}
