// Package demo trains small models on streams whose concept drifts at a known
// moment, and shows on one screen what retune makes of their reports.
package demo

// Sizes of a trainer.
const (
	batchExamples = 500 // examples between two reports
	trainedOn     = 25  // batches, before the first report
	WindowBatches = 8   // what the trainer keeps of its stream
	retrainPasses = 4   // over the latest batches
	retrainOn     = 2   // of them
	fading        = 0.6 // weight of the past in the reported loss, per batch
)

// Trainer learns from its stream batch by batch, by stochastic gradient descent.
type Trainer struct {
	stream  Stream
	model   logistic
	config  Config
	window  []batch // the latest, oldest first
	version int
	error   fadingMean

	first Config   // and
	alone logistic // what would be, had nobody tuned or retrained
}

// batch is a part of the stream and the model as it was before learning from it.
type batch struct {
	before   logistic
	examples []Example
}

// Measure is prequential: of each example before it was learnt from.
type Measure struct {
	Error      float64 // of the latest batches, older ones fading
	BatchError float64 // of this batch alone
	Loss       float64 // log loss of this batch, in nats
	Alone      float64 // BatchError of a twin that nobody tunes or retrains
}

// NewTrainer trains a model on the beginning of its stream.
func NewTrainer(stream Stream, config Config) *Trainer {
	t := &Trainer{
		stream: stream, model: newLogistic(stream.Width()), config: config, version: 1,
		first: config, alone: newLogistic(stream.Width()),
	}
	for range trainedOn {
		t.Step()
	}
	return t
}

// Config is the one in force.
func (t *Trainer) Config() Config { return t.config }

// Version counts trainings, from 1.
func (t *Trainer) Version() int { return t.version }

// Drift makes the stream's concept start to change.
func (t *Trainer) Drift() { t.stream.Drift() }

// Step learns from the next batch.
func (t *Trainer) Step() Measure {
	next := batch{before: t.model.clone(), examples: make([]Example, batchExamples)}
	for i := range next.examples {
		next.examples[i] = t.stream.Next()
	}
	if len(t.window) == WindowBatches {
		t.window = append(t.window[:0:0], t.window[1:]...)
	}
	t.window = append(t.window, next)
	var m Measure
	m.BatchError, m.Loss = t.model.learnAll(next.examples, t.config)
	m.Alone, _ = t.alone.learnAll(next.examples, t.first)
	m.Error = t.error.add(m.BatchError)
	return m
}

// Consider takes a proposed config if it would have done better on the window
// than the one in force: a (1+1) evolution strategy, as the proposal is a small
// random change of it.
func (t *Trainer) Consider(proposed Config) bool {
	r := t.Rehearse()
	better := r.Error(proposed) < r.Error(t.config)
	if better {
		t.adopt(r, proposed)
	}
	return better
}

// Retrain passes several times over the latest batches, which makes a new version.
func (t *Trainer) Retrain() {
	for range retrainPasses {
		for _, b := range t.window[max(0, len(t.window)-retrainOn):] {
			t.model.learnAll(b.examples, t.config)
		}
	}
	t.renew()
}

// Tune puts a better config in force, with the model that it makes of the window.
func (t *Trainer) Tune(config Config) {
	t.adopt(t.Rehearse(), config)
	t.renew()
}

func (t *Trainer) adopt(r Rehearsal, config Config) {
	t.config = config
	t.model, _ = r.train(config)
}

// renew begins a new version, of which the measured loss knows nothing yet.
func (t *Trainer) renew() {
	t.version++
	t.error = fadingMean{}
}

// Rehearsal is the window at some moment, on which configs can be compared.
type Rehearsal struct{ window []batch }

// Rehearse keeps the window as it is now.
func (t *Trainer) Rehearse() Rehearsal { return Rehearsal{t.window} }

// Error trains on the window with a config, from the model that the window began
// with, and gives the mean prequential loss.
func (r Rehearsal) Error(config Config) float64 {
	_, wrong := r.train(config)
	return wrong
}

func (r Rehearsal) train(config Config) (logistic, float64) {
	model, sum := r.window[0].before.clone(), 0.0
	for _, b := range r.window {
		wrong, _ := model.learnAll(b.examples, config)
		sum += wrong
	}
	return model, sum / float64(len(r.window))
}

// learnAll learns from examples in their order, and gives the share it predicted
// wrongly and the mean log loss, both measured before it learnt.
func (l logistic) learnAll(examples []Example, c Config) (wrong, loss float64) {
	for _, e := range examples {
		one, right := l.learn(e, c)
		loss += one
		if !right {
			wrong++
		}
	}
	n := float64(len(examples))
	return wrong / n, loss / n
}

// fadingMean forgets: see J. Gama, R. Sebastião and P. P. Rodrigues, On evaluating
// stream learning algorithms, Machine Learning 90, 2013, section 3.3.
type fadingMean struct{ sum, count float64 }

func (f *fadingMean) add(x float64) float64 {
	f.sum, f.count = x+fading*f.sum, 1+fading*f.count
	return f.sum / f.count
}
