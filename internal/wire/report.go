package wire

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	maxMetrics    = 10_000
	maxConfig     = 1_000
	maxConfigSize = 256 << 10 // bytes of msgpack: it becomes a part of the model's state and of outputs
	maxLabel      = 256       // bytes of version and run_id
	maxErrorText  = 4 << 10   // bytes
	maxIndexless  = 16        // metrics up to which a scan finds a duplicate sooner than a map
	maxInterned   = 1_024
	maxInternSize = 64
	maxKeptBuffer = 64 << 10
)

// ReportState is how far the trial or the training is that a report tells of.
type ReportState int8

// The states of a report.
const (
	Running ReportState = iota
	Complete
	Failed
)

var reportStates = [...]string{Running: "running", Complete: "complete", Failed: "failed"}

func (s ReportState) String() string { return reportStates[s] }

// Metric is one measured value, finite or not.
type Metric struct {
	Name  string
	Value float64
}

// Report is a decoded report; the zero value of a field means absent.
type Report struct {
	Metrics    []Metric // in the order of the message, names unique
	Config     Raw
	Study      string // empty: a live report, and Trial and Attempt mean nothing
	Trial      int
	Attempt    int // from 1; 0: the current one
	Step       int64
	HasStep    bool
	State      ReportState
	Error      string // at most 4 KiB
	DurationMS int64
	Time       time.Time // UTC
	Version    string
	RunID      string
}

// ConfigMap decodes the report's config; nil when there is none.
func (r *Report) ConfigMap() (map[string]any, error) { return r.Config.Map() }

// DecodeReport decodes one report; see Decoder.
func DecodeReport(body []byte, contentType string) (Report, error) {
	var d Decoder
	var r Report
	err := d.DecodeReport(body, contentType, &r)
	return r, err
}

// Decoder decodes reports one after another without allocating what it can keep: its buffers, and names that come
// again. The zero value is ready. One goroutine may use it at a time.
type Decoder struct {
	names  map[string]string
	seen   map[string]int // index of a metric, by name
	json   []byte         // the transcription of a JSON body
	config []byte
	pairs  []pair
}

// DecodeReport decodes body into r, whose slice of metrics is used again; nothing in r refers to body afterwards.
// The encoding follows from contentType or else from the first byte. An error is a *FieldError, and leaves r undefined.
func (d *Decoder) DecodeReport(body []byte, contentType string, r *Report) error {
	*r = Report{Metrics: r.Metrics[:0]}
	if err := checkMap(body, contentType); err != nil {
		return err
	}
	if encodingOf(body, contentType) == JSON {
		var err error
		if d.json, err = appendJSON(d.json[:0], body); err != nil {
			return err
		}
		body = d.json
		if cap(d.json) > maxKeptBuffer {
			d.json = nil
		}
	}
	in := reportReader{reader: reader{b: body}, Decoder: d, Report: r}
	return in.decode()
}

// reportReader is one report being read.
type reportReader struct {
	reader
	*Decoder
	*Report
	hasTrial, hasState bool
}

func (in *reportReader) decode() error {
	root, err := in.root("a report")
	if err != nil {
		return err
	}
	for range root.i {
		key, value, err := in.entry()
		if err == nil && value.kind != nilKind {
			err = in.field(key, value)
		}
		if err != nil {
			return err
		}
	}
	if err := in.end(); err != nil {
		return err
	}
	return in.check()
}

func (in *reportReader) field(key []byte, value token) (err error) {
	switch string(key) {
	case "metrics":
		return in.readMetrics(value)
	case "config":
		in.Config, err = in.readConfig(value)
	case "study":
		in.Study, err = in.label("study", value)
	case "trial":
		in.Trial, err = value.integer("trial", 0)
		in.hasTrial = true
	case "attempt":
		in.Attempt, err = value.integer("attempt", 1)
	case "step":
		var step int
		step, err = value.integer("step", 0)
		in.Step, in.HasStep = int64(step), true
	case "state":
		in.State, err = value.reportState()
		in.hasState = true
	case "error":
		in.Error, err = value.text("error", maxErrorText)
	case "duration_ms":
		var ms int
		ms, err = value.integer("duration_ms", math.MinInt)
		in.DurationMS = int64(ms)
	case "time":
		in.Time, err = value.instant("time")
	case "version":
		in.Version, err = in.label("version", value)
	case "run_id":
		in.RunID, err = in.label("run_id", value)
	default:
		return in.skip(value, 1)
	}
	return err
}

// check applies the defaults and the rules between fields.
func (in *reportReader) check() error {
	if !in.hasState && !in.HasStep {
		in.State = Complete
	}
	switch {
	case in.State == Complete && len(in.Metrics) == 0:
		return &FieldError{"metrics", "", "is missing or empty", "a complete report needs at least one metric"}
	case in.hasTrial && in.Study == "":
		return &FieldError{"study", "", "is missing", "name the study of the trial, or leave out trial"}
	case in.Study == "":
		return nil
	case !in.hasTrial:
		return &FieldError{"trial", "", "is missing", "give the number of the trial, or leave out study"}
	}
	return CheckName("study", in.Study)
}

func (in *reportReader) readMetrics(t token) error {
	if err := t.isMap("metrics", "names and numbers", maxMetrics); err != nil {
		return err
	}
	in.Metrics = slices.Grow(in.Metrics[:0], int(t.i))
	clear(in.seen)
	for range t.i {
		key, value, err := in.entry()
		if err != nil {
			return err
		}
		if value.kind == nilKind {
			continue
		}
		f, ok := value.number()
		if !ok {
			return &FieldError{path("metrics", key), value.show(), "is not a number", "send a number, NaN or Infinity"}
		}
		in.put(key, f)
	}
	return nil
}

// put adds a metric, or replaces the value of one already there.
func (in *reportReader) put(key []byte, value float64) {
	if i := in.find(key); i >= 0 {
		in.Metrics[i].Value = value
		return
	}
	name := in.intern(key)
	if len(in.Metrics) >= maxIndexless {
		in.seen[name] = len(in.Metrics)
	}
	in.Metrics = append(in.Metrics, Metric{name, value})
}

// find has a look at the first metrics one by one, and at the others through an index, so that the time stays linear.
func (in *reportReader) find(key []byte) int {
	for i := range min(len(in.Metrics), maxIndexless) {
		if in.Metrics[i].Name == string(key) {
			return i
		}
	}
	if len(in.Metrics) < maxIndexless {
		return -1
	}
	if in.seen == nil {
		in.seen = make(map[string]int)
	}
	if i, ok := in.seen[string(key)]; ok {
		return i
	}
	return -1
}

// readConfig returns a canonical copy of the config, without its nulls.
func (in *reportReader) readConfig(t token) (Raw, error) {
	if err := t.isMap("config", "names and values", maxConfig); err != nil {
		return nil, err
	}
	buffer, pairs := in.config[:0], in.pairs[:0]
	for range t.i {
		key, value, err := in.entry()
		if err != nil {
			return nil, err
		}
		if value.kind == nilKind {
			continue
		}
		if value.kind > stringKind {
			return nil, &FieldError{path("config", key), value.show(), "is not a hyper-parameter",
				"send a number, a string or a boolean"}
		}
		if value.kind == floatKind && math.IsNaN(value.float()-value.float()) { // so it is of infinities, too
			return nil, &FieldError{path("config", key), value.show(), "is not a finite number", "send one: only metrics may be otherwise"}
		}
		p := pair{start: len(buffer)}
		buffer = appendToken(buffer, token{kind: stringKind, bytes: key})
		p.text, p.value = len(buffer)-len(key), len(buffer)
		buffer = appendToken(buffer, value)
		p.end = len(buffer)
		pairs = append(pairs, p)
	}
	in.config, in.pairs = buffer, pairs
	if len(buffer) > maxConfigSize {
		return nil, &FieldError{"config", "", fmt.Sprintf("has %d bytes", len(buffer)), fmt.Sprintf("send at most %d", maxConfigSize)}
	}
	return joinPairs(buffer, pairs), nil
}

// joinPairs makes a map of pairs in buffer; of equal keys the last wins.
func joinPairs(buffer []byte, pairs []pair) Raw {
	sortPairs(buffer, pairs)
	kept := pairs[:0]
	for i, p := range pairs {
		if i+1 < len(pairs) && comparePairs(buffer, p, pairs[i+1]) == 0 {
			continue
		}
		kept = append(kept, p)
	}
	config := appendHead(make(Raw, 0, len(buffer)+5), 0x80, 0xde, len(kept))
	for _, p := range kept {
		config = append(config, buffer[p.start:p.end]...)
	}
	return config
}

// label reads a short string that tends to come again.
func (in *reportReader) label(field string, t token) (string, error) {
	if t.kind != stringKind {
		return "", t.notText(field)
	}
	if len(t.bytes) > maxLabel {
		return "", &FieldError{field, t.show(), fmt.Sprintf("has %d bytes", len(t.bytes)),
			fmt.Sprintf("send at most %d", maxLabel)}
	}
	return in.intern(t.bytes), nil
}

// intern returns one string for equal bytes. A full table starts anew, or names that are gone would keep out new ones.
func (d *Decoder) intern(b []byte) string {
	if name, ok := d.names[string(b)]; ok {
		return name
	}
	name := string(b)
	if len(b) > maxInternSize {
		return name
	}
	if d.names == nil {
		d.names = make(map[string]string)
	}
	if len(d.names) >= maxInterned {
		clear(d.names)
	}
	d.names[name] = name
	return name
}

func (t token) reportState() (ReportState, error) {
	if t.kind == stringKind {
		for state, name := range reportStates {
			if string(t.bytes) == name {
				return ReportState(state), nil
			}
		}
	}
	return 0, &FieldError{"state", t.show(), "is not a state", "send one of " + strings.Join(reportStates[:], ", ")}
}
