package coordinator

import (
	"fmt"
	"slices"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/strategy"
	"github.com/visutility/retune/internal/study"
	"github.com/visutility/retune/internal/wire"
)

// Versions of the values in the bucket. A worker refuses newer ones than it knows.
const (
	schema       = 1
	schemaSlow   = 2 // of a running study that older workers would spoil
	newestSchema = schemaSlow
)

// studySchema is the version of a running study: older workers know no strategy that is
// asked and answers later, no pruner and no earlier results.
func studySchema(s *study.Study) int {
	if d := s.Definition(); s.Slow() || d.Pruner != nil || len(d.WarmStart) > 0 {
		return schemaSlow
	}
	return schema
}

// trialLife is how long a trial is kept after its last change.
const trialLife = 90 * 24 * time.Hour

// rememberedVersions of a model do not start a new baseline: canaries alternate.
const rememberedVersions = 16

// model is all that is known of one model, in the memory of its partition's owner.
type model struct {
	id        string
	policy    *Policy
	sequence  uint64    // of the last input applied
	now       time.Time // of the last input or tick; never runs backwards
	adopted   time.Time // of an input stream that was adopted since, what was stored until then is applied
	number    uint64    // live configs given
	reports   uint64    // live ones
	failed    uint64    // live ones in state failed
	versions  []string  // the last one reported last
	config    wire.Raw  // in force
	monitor   *observer.State
	memory    *strategy.Memory          // of a live tuner that learns; nil: nothing
	study     *study.Study              // running; nil: none
	informed  bool                      // the study's earlier results are not yet written
	ended     []endedStudy              // not yet written
	finished  map[string]study.Finished // those asked for, by name; an empty one: there is none
	stored    bool                      // its key exists, and it counts as known
	runs      bool                      // the key of a running study exists
	forgotten bool                      // by command; all that is left is a tombstone
	dirty     bool                      // changed since it was written
	since     uint64                    // while dirty: the first input that is not written
	touched   bool                      // part of the batch that is being made
	broken    error                     // why its stored state cannot be read
	health    health                    // as encoded last
	counted   health                    // as the offset counts it
}

// endedStudy is a study that ended since its model was written.
type endedStudy struct {
	study    *study.Study
	finished study.Finished
}

func newModel(id string, policy *Policy) *model {
	return &model{id: id, policy: policy, monitor: policy.Monitor.NewState()}
}

// record is what is stored under model.<p>.<model>.
type record struct {
	Schema    int                       `msgpack:"v"`
	Sequence  uint64                    `msgpack:"seq"`
	Epoch     uint32                    `msgpack:"epoch,omitempty"` // of the input stream that seq counts in
	Now       time.Time                 `msgpack:"now"`
	Number    uint64                    `msgpack:"number,omitempty"`
	Reports   uint64                    `msgpack:"reports,omitempty"`
	Failed    uint64                    `msgpack:"failed,omitempty"`
	Versions  []string                  `msgpack:"versions,omitempty"`
	Config    wire.Raw                  `msgpack:"config,omitempty"`
	Monitor   []observer.Snapshot       `msgpack:"monitor,omitempty"`
	Episode   *observer.EpisodeSnapshot `msgpack:"episode,omitempty"`
	Memory    *strategy.Memory          `msgpack:"memory,omitempty"`
	Forgotten bool                      `msgpack:"forgotten,omitempty"` // nothing but seq is left
}

func (m *model) record(epoch uint32) record {
	monitor := m.policy.Monitor.Snapshot(m.monitor)
	return record{
		Schema: schema, Sequence: m.sequence, Epoch: epoch, Now: m.now, Number: m.number, Reports: m.reports,
		Failed: m.failed, Versions: m.versions, Config: m.config, Monitor: monitor.Rules, Episode: monitor.Episode,
		Memory: m.memory,
	}
}

// tombstone keeps a replay from giving a forgotten model its past again.
func (m *model) tombstone(epoch uint32) record {
	return record{Schema: schema, Sequence: m.sequence, Epoch: epoch, Now: m.now, Forgotten: true}
}

// studyRecord is what is stored under study.<p>.<model>.
type studyRecord struct {
	Schema int         `msgpack:"v"`
	Due    time.Time   `msgpack:"due,omitempty"` // when time alone changes it next; zero: never
	State  study.State `msgpack:"state"`
}

// finishedRecord is what is stored under study.<p>.<model>.<study>.
type finishedRecord struct {
	Schema   int            `msgpack:"v"`
	Finished study.Finished `msgpack:"finished"`
}

// restore builds a model from its record.
func restore(id string, policy *Policy, body []byte, epoch uint32) (*model, error) {
	m := newModel(id, policy)
	if body == nil {
		return m, nil
	}
	var r record
	if err := decodeState(body, &r, &r.Schema); err != nil {
		return nil, err
	}
	m.sequence, m.now, m.stored = r.Sequence, r.Now, !r.Forgotten
	if r.Epoch != epoch {
		m.sequence, m.adopted = 0, r.Now
	}
	m.number, m.reports, m.failed = r.Number, r.Reports, r.Failed
	m.versions, m.config, m.memory = r.Versions, r.Config, r.Memory
	m.counted = healthOf(r.Episode)
	m.monitor = policy.Monitor.Restore(observer.Stored{Rules: r.Monitor, Episode: r.Episode})
	if r.Episode == nil && r.Reports > 0 { // stored before silence was watched
		policy.Monitor.Alive(m.monitor, r.Now)
	}
	return m, nil
}

func decodeState(body []byte, v any, version *int) error {
	if err := wire.UnmarshalState(body, v); err != nil {
		return err
	}
	if *version > newestSchema {
		return fmt.Errorf("%w: version %d, this worker knows %d: upgrade it", errNewerSchema, *version, newestSchema)
	}
	return nil
}

// see notes the version that a report bears and tells whether it is a new one.
func (m *model) see(version string) bool {
	if version == "" {
		return false
	}
	if i := slices.Index(m.versions, version); i >= 0 {
		m.versions = append(slices.Delete(m.versions, i, i+1), version)
		return false
	}
	m.versions = append(m.versions, version)
	if len(m.versions) > rememberedVersions {
		m.versions = slices.Clone(m.versions[1:])
	}
	return true
}

// applied tells whether the model has had this input. In an adopted stream sequences noted
// before mean nothing, but a restored one has its times.
func (m *model) applied(in bus.Input, adopted uint64) bool {
	return in.Sequence <= m.sequence || in.Sequence <= adopted && !in.Time.After(m.adopted)
}

// advance moves the model's time on to t, never back.
func (m *model) advance(t time.Time) time.Time {
	if t.After(m.now) {
		m.now = t
	}
	return m.now
}

// know remembers what became of a study for as long as the inputs at hand may ask.
func (m *model) know(name string, f study.Finished) {
	if m.finished == nil {
		m.finished = map[string]study.Finished{}
	}
	m.finished[name] = f
}

// writes is how many keys it takes to store the model.
func (m *model) writes() int {
	n := 1
	if m.study != nil {
		n += 2 + len(m.study.Changed())
	} else if m.runs {
		n++
	}
	for _, e := range m.ended {
		n += 2 + len(e.study.Changed())
	}
	return n
}
