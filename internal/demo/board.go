package demo

import "fmt"

// Board is what there is to show: the models and what happened to them.
type Board struct {
	Reports int // that each model makes in all
	Models  []*Track
	News    []News
}

// News is one noteworthy thing.
type News struct {
	Report int // of the model, when it happened; from 1
	Model  string
	Text   string
}

// Track is what is known of one model. Reports count from 1; 0 means never.
type Track struct {
	Model    string
	About    string // its stream, in a few words
	DriftAt  int    // first report after the drift began
	Alarms   []Alarm
	TunedAt  int // first report under a config that a study found
	Points   []Measure
	Proposed int // live configs given
	Taken    int // of them
	First    Config
	Config   Config
	Version  int
	Study    *Study // the latest
	board    *Board
}

// Alarm is a retrain event that says the model got worse.
type Alarm struct {
	Report int    `json:"report"` // that caused it
	Reason string `json:"reason"`
	False  bool   `json:"false_alarm"` // there was no drift
}

// Study is how a search for a better config goes.
type Study struct {
	Name     string  `json:"name"`
	Trials   int     `json:"trials"`
	Done     int     `json:"done"`
	Baseline float64 `json:"baseline"` // error of the config in force, on the same data
	Best     float64 `json:"best"`     // error of the best trial; 1 before the first
	Finished bool    `json:"finished"`
}

// Add puts one more model on the board.
func (b *Board) Add(model, about string, config Config) *Track {
	t := &Track{Model: model, About: about, First: config, Config: config, Version: 1, board: b}
	b.Models = append(b.Models, t)
	t.sayAt(1, "starts with learning_rate %.2g, l2 %.2g on %s", config.LearningRate, config.L2, about)
	return t
}

// Report is the number of reports that every model has made.
func (b *Board) Report() int {
	n := b.Reports
	for _, t := range b.Models {
		n = min(n, len(t.Points))
	}
	return n
}

func (t *Track) say(format string, args ...any) { t.sayAt(len(t.Points), format, args...) }

func (t *Track) sayAt(report int, format string, args ...any) {
	t.board.News = append(t.board.News, News{report, t.Model, fmt.Sprintf(format, args...)})
}

// Measured notes a report, which was made under this config.
func (t *Track) Measured(m Measure, config Config, version int) {
	t.Points = append(t.Points, m)
	t.Config, t.Version = config, version
	if t.TunedAt > 0 && len(t.Points) == t.TunedAt+WindowBatches-1 {
		before, since := t.mean(t.TunedAt-WindowBatches, t.TunedAt-1), t.mean(t.TunedAt, len(t.Points))
		t.say("the tuned config: %s wrong in %d reports, %s in the %d before", percent(since), WindowBatches, percent(before), WindowBatches)
	}
}

// Considered notes a live config and whether the trainer took it.
func (t *Track) Considered(taken bool) {
	t.Proposed++
	if taken {
		t.Taken++
	}
}

// Drifts notes that the next report is the first of a changing concept.
func (t *Track) Drifts() {
	t.DriftAt = len(t.Points) + 1
	settled := t.mean(t.DriftAt-WindowBatches, t.DriftAt-1)
	t.sayAt(t.DriftAt-1, "%d of %d live configs taken: %s wrong, learning_rate %.2g", t.Taken, t.Proposed, percent(settled), t.Config.LearningRate)
	t.sayAt(t.DriftAt, "drift begins; nobody tells the worker")
}

// Alarmed notes a retrain event that a report caused, and what the trainer did.
func (t *Track) Alarmed(report int, reason, heeded string) {
	a := Alarm{Report: report, Reason: reason, False: t.DriftAt == 0 || report < t.DriftAt}
	t.Alarms = append(t.Alarms, a)
	when := "a false alarm, as nothing drifts"
	if !a.False {
		when = plural(t.delay(a), "report") + " into the drift"
	}
	t.sayAt(report, "retrain event: %s", reason)
	t.sayAt(report, "that is %s; %s", when, heeded)
}

// delay counts the reports from the drift to the alarm, both included.
func (t *Track) delay(a Alarm) int { return a.Report - t.DriftAt + 1 }

// Studying notes that a study starts.
func (t *Track) Studying(name string, trials int, baseline float64) {
	t.Study = &Study{Name: name, Trials: trials, Baseline: baseline, Best: 1}
	t.say("study %s: %d trials on the latest %d batches, to beat %s", name, trials, WindowBatches, percent(baseline))
}

// Tried notes the result of a trial.
func (t *Track) Tried(wrong float64) {
	t.Study.Done++
	t.Study.Best = min(t.Study.Best, wrong)
}

// Kept notes that a study found nothing better.
func (t *Track) Kept(best float64) {
	t.Study.Finished, t.Study.Best = true, best
	t.say("study %s ends: %s at best, not below %s: config stays", t.Study.Name, percent(best), percent(t.Study.Baseline))
}

// Tuned notes that a study found a better config, now in force.
func (t *Track) Tuned(best float64, config Config, version int) {
	t.Study.Finished, t.Study.Best = true, best
	t.say("study %s ends, improved event: %s wrong instead of %s", t.Study.Name, percent(best), percent(t.Study.Baseline))
	t.say("now v%d: learning_rate %.2g → %.2g, l2 %.1g → %.1g", version, t.Config.LearningRate, config.LearningRate, t.Config.L2, config.L2)
	t.Config, t.Version, t.TunedAt = config, version, len(t.Points)+1
}

// mean error of the reports from … to, both included, as far as there are any.
func (t *Track) mean(from, to int) float64 {
	from, to = max(1, from), min(to, len(t.Points))
	sum := 0.0
	for n := from; n <= to; n++ {
		sum += t.Points[n-1].BatchError
	}
	return sum / float64(max(1, to-from+1))
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
