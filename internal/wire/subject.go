package wire

import (
	"strconv"
	"strings"
)

// The kinds of input.
const (
	KindMetrics = "metrics"
	KindStudy   = "study"
)

// Subjects names all subjects, streams and buckets of one installation.
type Subjects struct{ Prefix string }

// NewSubjects refuses a prefix that is not a list of name tokens divided by dots.
func NewSubjects(prefix string) (Subjects, error) {
	return Subjects{prefix}, checkPrefix(prefix)
}

// Metrics is where reports of the model are published.
func (s Subjects) Metrics(model string) string { return s.join(KindMetrics, model) }

// StudyCommand is where study commands for the model are published.
func (s Subjects) StudyCommand(model string) string { return s.join(KindStudy, model) }

// TrialConfig carries the config of one trial.
func (s Subjects) TrialConfig(model, study string, trial int) string {
	return s.join("config", model, study, strconv.Itoa(trial))
}

// TrialConfigs filters the configs of all trials of the model, without its live config.
func (s Subjects) TrialConfigs(model string) string { return s.join("config", model, "*", "*") }

// LiveConfig carries the newest live config of the model.
func (s Subjects) LiveConfig(model string) string { return s.join("config", model, "live") }

// Stop tells the trial's agent to stop.
func (s Subjects) Stop(model, study string, trial int) string {
	return s.join("stop", model, study, strconv.Itoa(trial))
}

// Retrain carries one retrain event.
func (s Subjects) Retrain(model, id string) string { return s.join("retrain", model, id) }

// Summary carries the outcome of a finished study.
func (s Subjects) Summary(model, study string) string { return s.join("summary", model, study) }

// Dead carries an input that could not be used.
func (s Subjects) Dead(partition, slot int) string {
	return s.join("dead", strconv.Itoa(partition), strconv.Itoa(slot))
}

// Private is where a worker publishes what the stream stores under public; nobody listens there, so that nothing is
// seen before it is committed.
func (s Subjects) Private(public string) string { return "commit." + public }

// InputStream is the name of the stream of reports and commands.
func (s Subjects) InputStream() string { return strings.ToUpper(s.Bucket()) + "_METRICS" }

// Bucket is the name of the key-value bucket that holds the state.
func (s Subjects) Bucket() string { return strings.ReplaceAll(s.Prefix, ".", "_") }

// BucketStream is the name of the stream behind the bucket, which holds the outputs too.
func (s Subjects) BucketStream() string { return "KV_" + s.Bucket() }

// WorkersBucket is the name of the bucket in which live workers announce themselves.
func (s Subjects) WorkersBucket() string { return s.Bucket() + "_workers" }

// KeySubject is the subject under which the bucket stores key.
func (s Subjects) KeySubject(key string) string { return "$KV." + s.Bucket() + "." + key }

// InputPartition filters the stored inputs of one partition.
func (s Subjects) InputPartition(partition int) string {
	return s.join("*", strconv.Itoa(partition), "*")
}

// InputModel filters the stored inputs of one model, "*" being all.
func (s Subjects) InputModel(model string) string { return s.join("*", "*", model) }

// ParseInput takes a stored input subject, prefix.kind.partition.model, apart; kind is KindMetrics or KindStudy.
// The model is any token: what a client published may not pass CheckName.
func (s Subjects) ParseInput(stored string) (kind string, partition int, model string, ok bool) {
	rest, ok := strings.CutPrefix(stored, s.Prefix)
	if !ok || rest == "" || rest[0] != '.' {
		return "", 0, "", false
	}
	kind, rest, _ = strings.Cut(rest[1:], ".")
	number, model, _ := strings.Cut(rest, ".")
	partition, ok = parseNumber(number)
	if !ok || kind != KindMetrics && kind != KindStudy || model == "" || strings.Contains(model, ".") {
		return "", 0, "", false
	}
	return kind, partition, model, true
}

func (s Subjects) join(tokens ...string) string {
	return s.Prefix + "." + strings.Join(tokens, ".")
}

// parseNumber reads what strconv.Itoa wrote of a number >= 0.
func parseNumber(s string) (int, bool) {
	if len(s) == 0 || len(s) > 18 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
