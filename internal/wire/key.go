package wire

import (
	"slices"
	"strconv"
	"strings"
)

// The kinds of keys in the bucket.
const (
	KindModel    = "model"
	KindRunning  = "study"    // key study.<p>.<model>
	KindFinished = "finished" // key study.<p>.<model>.<study>
	KindTrial    = "trial"
	KindPrior    = "prior"
	KindOffset   = "offset"
)

// ModelKey holds the state of a model.
func ModelKey(p int, model string) string { return joinKey("model", p, model) }

// StudyKey holds the running study of a model.
func StudyKey(p int, model string) string { return joinKey("study", p, model) }

// FinishedKey holds a finished study.
func FinishedKey(p int, model, study string) string { return joinKey("study", p, model, study) }

// TrialKey holds trial n of a study.
func TrialKey(p int, model, study string, n int) string {
	return joinKey("trial", p, model, study, strconv.Itoa(n))
}

// TrialKeys matches the keys of all trials of a model.
func TrialKeys(p int, model string) string { return joinKey("trial", p, model, ">") }

// PriorKey holds the results of earlier studies that a study starts with.
func PriorKey(p int, model, study string) string { return joinKey("prior", p, model, study) }

// PriorKeys matches those of all studies of a model.
func PriorKeys(p int, model string) string { return joinKey("prior", p, model, "*") }

// OffsetKey holds how far a partition's inputs are applied.
func OffsetKey(p int) string { return joinKey("offset", p) }

// Key is a parsed key; fields that its kind does not have are zero.
type Key struct {
	Kind      string
	Partition int
	Model     string
	Study     string
	Trial     int
}

// ParseKey inverts the functions that build keys.
func ParseKey(key string) (Key, bool) {
	parts := strings.Split(key, ".")
	if len(parts) < 2 {
		return Key{}, false
	}
	p, ok := parseNumber(parts[1])
	k := Key{Kind: keyKind(parts[0], len(parts)), Partition: p}
	if !ok || k.Kind == "" || slices.Contains(parts, "") {
		return Key{}, false
	}
	if len(parts) > 2 {
		k.Model = parts[2]
	}
	if len(parts) > 3 {
		k.Study = parts[3]
	}
	if len(parts) > 4 {
		k.Trial, ok = parseNumber(parts[4])
	}
	return k, ok
}

func keyKind(head string, parts int) string {
	switch {
	case head == "model" && parts == 3:
		return KindModel
	case head == "study" && parts == 3:
		return KindRunning
	case head == "study" && parts == 4:
		return KindFinished
	case head == "trial" && parts == 5:
		return KindTrial
	case head == "prior" && parts == 4:
		return KindPrior
	case head == "offset" && parts == 2:
		return KindOffset
	}
	return ""
}

func joinKey(kind string, p int, rest ...string) string {
	key := kind + "." + strconv.Itoa(p)
	for _, part := range rest {
		key += "." + part
	}
	return key
}
