package coordinator

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Tracer takes spans. It is called by the goroutines of the partitions and must not block.
type Tracer interface{ Record(Span) }

// Span is a part of what became of an input. Spans are recorded once their commit is stored.
type Span struct {
	Name       string
	Trace      string // 32 hex digits
	ID         string // 16 hex digits
	Parent     string // 16 hex digits
	Remote     bool   // the parent is of another process
	Start, End time.Time
	Links      []SpanLink
	Model      string
	Subject    string // of an output
	Sequence   uint64 // of the input, in the input stream; 0: time was the cause
	Partition  int
	Error      string // why the input became a dead letter
}

// SpanLink names a span of another trace.
type SpanLink struct{ Trace, ID string }

const (
	mostTraced = 1024 // per partition, between two commits; the spans of further inputs are left out
	mostLinks  = 32
)

// traced is an input that is applied and perhaps not committed yet.
type traced struct {
	by           cause
	stored       time.Time
	began, ended time.Time
	model        *model // nil: none was changed
}

// sampled takes a traceparent apart if its trace is to be recorded.
func sampled(parent string) (trace, span string, ok bool) {
	p := strings.Split(parent, "-")
	if len(p) < 4 || len(p[0]) != 2 || len(p[1]) != 32 || len(p[2]) != 16 || len(p[3]) != 2 || !isHex(p[1]) || !isHex(p[2]) {
		return "", "", false
	}
	flags, err := strconv.ParseUint(p[3], 16, 8)
	return p[1], p[2], err == nil && flags&1 == 1
}

// traceOf is the id of the trace, for logs; "": there is none.
func traceOf(parent string) string {
	if p := strings.Split(parent, "-"); len(p) >= 4 && len(p[1]) == 32 && isHex(p[1]) {
		return p[1]
	}
	return ""
}

// spanID derives the id of a span from what it is of, so that a replay gives the same.
func spanID(name string, by cause) string {
	sum := sha256.Sum256([]byte(name + "/" + by.trace + "/" + strconv.FormatUint(by.sequence, 10)))
	return hex.EncodeToString(sum[:8])
}

// traceBegin is when an input whose trace is sampled begins to be applied; zero: it is not.
func (p *partition) traceBegin(d *decoded) (began time.Time) {
	if p.config.Tracer == nil || d.in.TraceParent == "" || len(p.traced) >= mostTraced {
		return began
	}
	if _, _, ok := sampled(d.in.TraceParent); !ok {
		return began
	}
	return time.Now()
}

func (p *partition) traceApplied(d *decoded, began time.Time) {
	if began.IsZero() {
		return
	}
	by := cause{model: d.model, sequence: d.in.Sequence, now: d.in.Time, trace: d.in.TraceParent}
	p.traced = append(p.traced, traced{by: by, stored: d.in.Time, began: began, ended: time.Now(), model: p.models[d.model]})
}

// traceCommit records the spans of the inputs whose effects are stored now, and of the outputs.
func (p *partition) traceCommit(began, ended time.Time) {
	if p.config.Tracer == nil {
		return
	}
	commits := map[string]Span{} // by cause
	var waiting []traced
	for _, t := range p.traced {
		if t.model != nil && t.model.dirty {
			waiting = append(waiting, t)
			continue
		}
		report := p.recordInput(t, ended)
		commits[spanID("report", t.by)] = p.commitSpan(t.by, report.ID, false, began, ended)
	}
	p.traced = waiting
	for i := range p.batch.outputs {
		p.recordOutput(&p.batch.outputs[i], commits, began, ended)
	}
	p.recordCommits(commits)
}

// recordInput tells how long an input was with the worker, and for how long of that it was applied.
func (p *partition) recordInput(t traced, committed time.Time) (report Span) {
	trace, parent, _ := sampled(t.by.trace)
	report = Span{
		Name: "report", Trace: trace, ID: spanID("report", t.by), Parent: parent, Remote: true,
		Start: t.stored, End: committed, Model: t.by.model, Sequence: t.by.sequence, Partition: p.number,
	}
	if report.Start.After(t.began) { // the server's clock is ahead of ours
		report.Start = t.began
	}
	apply := report
	apply.Name, apply.ID, apply.Parent, apply.Remote = "apply", spanID("apply", t.by), report.ID, false
	apply.Start, apply.End = t.began, t.ended
	for i := range p.batch.outputs {
		if o := &p.batch.outputs[i]; o.kind == KindDead && o.by.sequence == t.by.sequence {
			apply.Error = o.header["Retune-Error"]
		}
	}
	p.config.Tracer.Record(report)
	p.config.Tracer.Record(apply)
	return report
}

func (p *partition) commitSpan(by cause, parent string, remote bool, began, ended time.Time) Span {
	trace, _, _ := sampled(by.trace)
	return Span{
		Name: "commit", Trace: trace, ID: spanID("commit/"+strconv.FormatUint(p.fence, 10), by), Parent: parent, Remote: remote,
		Start: began, End: ended, Model: by.model, Sequence: by.sequence, Partition: p.number,
	}
}

// recordOutput records an output under the span id that its traceparent has, below the commit that
// stored it. One that a slow strategy's answer led to comes in a later commit than its report.
func (p *partition) recordOutput(o *output, commits map[string]Span, began, ended time.Time) {
	trace, parent, ok := sampled(o.by.trace)
	if !ok {
		return
	}
	key := spanID("report", o.by)
	commit, known := commits[key]
	if !known {
		commit = p.commitSpan(o.by, parent, true, began, ended)
		commits[key] = commit
	}
	_, own, _ := sampled(o.header["traceparent"])
	p.config.Tracer.Record(Span{
		Name: o.kind, Trace: trace, ID: own, Parent: commit.ID, Start: ended, End: ended,
		Model: o.by.model, Subject: o.subject, Sequence: o.by.sequence, Partition: p.number,
	})
}

// recordCommits links the commit of each trace to those of others that were stored with it.
func (p *partition) recordCommits(commits map[string]Span) {
	var links []SpanLink
	for _, c := range commits {
		links = append(links, SpanLink{c.Trace, c.ID})
	}
	for _, c := range commits {
		for _, l := range links {
			if l.Trace != c.Trace && len(c.Links) < mostLinks {
				c.Links = append(c.Links, l)
			}
		}
		p.config.Tracer.Record(c)
	}
}
