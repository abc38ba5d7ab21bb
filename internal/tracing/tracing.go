// Package tracing sends the spans of a worker to an OpenTelemetry collector, over OTLP/HTTP.
package tracing

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/visutility/retune/internal/coordinator"
)

// stopTimeout bounds how long a stop sends what is left.
const stopTimeout = time.Second

// Exporter is a coordinator.Tracer. Spans wait in a queue of bounded size and are dropped when it is full.
type Exporter struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New starts an exporter. Without an endpoint, such as http://127.0.0.1:4318, it goes by the standard variables
// OTEL_EXPORTER_OTLP_…; those for headers, certificates and timeouts hold in either case.
func New(ctx context.Context, endpoint, version string, log zerolog.Logger) (*Exporter, error) {
	var options []otlptracehttp.Option
	if endpoint != "" {
		if err := Check(endpoint); err != nil {
			return nil, err
		}
		options = append(options, otlptracehttp.WithEndpointURL(strings.TrimRight(endpoint, "/")+"/v1/traces"))
	}
	client, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	about, err := resource.New(ctx, resource.WithHost(), resource.WithAttributes(
		attribute.String("service.name", "retune"), attribute.String("service.version", version),
	), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(&logged{SpanExporter: client, log: log}), sdk.WithResource(about),
		sdk.WithSampler(sdk.ParentBased(sdk.NeverSample())), sdk.WithIDGenerator(given{}),
	)
	return &Exporter{provider: provider, tracer: provider.Tracer("github.com/visutility/retune")}, nil
}

// Check refuses what is not the address of a collector.
func Check(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("otlp.endpoint: %q is not the address of a collector: give one such as http://127.0.0.1:4318", endpoint)
	}
	return nil
}

// Record implements coordinator.Tracer.
func (e *Exporter) Record(s coordinator.Span) {
	parent := spanContext(s.Trace, s.Parent).WithRemote(s.Remote)
	ctx := context.WithValue(trace.ContextWithSpanContext(context.Background(), parent), givenKey{}, spanOf(s.ID))
	options := []trace.SpanStartOption{
		trace.WithTimestamp(s.Start), trace.WithSpanKind(kind(s)), trace.WithAttributes(attributes(s)...),
	}
	for _, l := range s.Links {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: spanContext(l.Trace, l.ID)}))
	}
	_, span := e.tracer.Start(ctx, s.Name, options...)
	if s.Error != "" {
		span.SetStatus(codes.Error, s.Error)
	}
	span.End(trace.WithTimestamp(s.End))
}

func kind(s coordinator.Span) trace.SpanKind {
	switch {
	case s.Subject != "":
		return trace.SpanKindProducer
	case s.Name == "report":
		return trace.SpanKindConsumer
	}
	return trace.SpanKindInternal
}

func attributes(s coordinator.Span) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("retune.model", s.Model), attribute.Int64("retune.sequence", int64(s.Sequence)), attribute.Int("retune.partition", s.Partition),
	}
	if s.Subject != "" {
		all = append(all, attribute.String("messaging.system", "nats"), attribute.String("messaging.destination.name", s.Subject))
	}
	return all
}

// Stop sends what is left, for a second at most.
func (e *Exporter) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	_ = e.provider.Shutdown(ctx) // what could not be sent is logged by then
}

func spanContext(traceID, spanID string) trace.SpanContext {
	var t trace.TraceID
	_, _ = hex.Decode(t[:], []byte(traceID))
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: t, SpanID: spanOf(spanID), TraceFlags: trace.FlagsSampled})
}

func spanOf(id string) (s trace.SpanID) {
	_, _ = hex.Decode(s[:], []byte(id))
	return s
}

// given is the source of span ids: they come with the span, as outputs bear them too.
type given struct{}

type givenKey struct{}

func (given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	id, _ := ctx.Value(givenKey{}).(trace.SpanID)
	return id
}

func (g given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	return trace.TraceID{}, g.NewSpanID(ctx, trace.TraceID{})
}

// logged tells of a collector that does not answer, once until it answers again.
type logged struct {
	sdk.SpanExporter
	log    zerolog.Logger
	failed bool
}

// ExportSpans implements sdk.SpanExporter. It is not called concurrently.
func (l *logged) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	if err != nil && !l.failed {
		l.log.Warn().Err(err).Int("spans", len(spans)).Msg("traces are not sent: is the collector of otlp.endpoint there?")
	}
	l.failed = err != nil
	return nil
}
