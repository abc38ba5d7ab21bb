package wire

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "Z_9-x", strings.Repeat("n", 128)} {
		if err := CheckName("study", name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "a.b", "a b", "*", ">", "é", "a\n", strings.Repeat("n", 129)} {
		err := CheckName("study", name)
		if err == nil || !strings.HasPrefix(err.Error(), "study: ") || !strings.Contains(err.Error(), "A-Z a-z 0-9 _ -") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNewSubjects(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"retune", "a.b-c.D_9"} {
		if s, err := NewSubjects(prefix); err != nil || s.Prefix != prefix {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	for _, prefix := range []string{"", ".", "a.", ".a", "a..b", "a.*", "$KV", "a b", strings.Repeat("n", 129)} {
		if _, err := NewSubjects(prefix); err == nil {
			t.Errorf("%q: accepted", prefix)
		}
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	r, ab := Subjects{"retune"}, Subjects{"a.b"}
	for got, want := range map[string]string{
		r.Metrics("m"):              "retune.metrics.m",
		r.StudyCommand("m"):         "retune.study.m",
		r.TrialConfig("m", "s", 3):  "retune.config.m.s.3",
		r.TrialConfigs("m"):         "retune.config.m.*.*",
		r.LiveConfig("m"):           "retune.config.m.live",
		r.Stop("m", "s", 3):         "retune.stop.m.s.3",
		r.Retrain("m", "01"):        "retune.retrain.m.01",
		r.Summary("m", "s"):         "retune.summary.m.s",
		r.Dead(31, 999):             "retune.dead.31.999",
		r.Private(r.Metrics("m")):   "commit.retune.metrics.m",
		r.InputStream():             "RETUNE_METRICS",
		r.Bucket():                  "retune",
		r.BucketStream():            "KV_retune",
		r.WorkersBucket():           "retune_workers",
		r.KeySubject(OffsetKey(3)):  "$KV.retune.offset.3",
		r.InputPartition(7):         "retune.*.7.*",
		ab.Metrics("m"):             "a.b.metrics.m",
		ab.InputStream():            "A_B_METRICS",
		ab.BucketStream():           "KV_a_b",
		ab.WorkersBucket():          "a_b_workers",
		ab.KeySubject("model.0.m"):  "$KV.a_b.model.0.m",
		ab.Private("a.b.summary.m"): "commit.a.b.summary.m",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestParseInput(t *testing.T) {
	t.Parallel()
	s := Subjects{"a.b"}
	for _, kind := range []string{KindMetrics, KindStudy} {
		gotKind, partition, model, ok := s.ParseInput("a.b." + kind + ".17.m-1")
		if !ok || gotKind != kind || partition != 17 || model != "m-1" {
			t.Errorf("%s %d %s %v", gotKind, partition, model, ok)
		}
	}
	if _, _, model, ok := s.ParseInput("a.b.metrics.0.é!"); !ok || model != "é!" {
		t.Error("an invalid name must reach the dead letter with its model")
	}
	for _, subject := range []string{"", "a.b", "a.b.", "a.bc.metrics.1.m", "x.metrics.1.m", "a.b.metrics.m",
		"a.b.metrics.x.m", "a.b.metrics.-1.m", "a.b.metrics.01.m", "a.b.metrics.1.m.n", "a.b.metrics.1.",
		"a.b.config.1.m", "a.b.metrics.9999999999999999999.m"} {
		if kind, p, model, ok := s.ParseInput(subject); ok {
			t.Errorf("%s: %s %d %s", subject, kind, p, model)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]Key{
		ModelKey(1, "m"):         {KindModel, 1, "m", "", 0},
		StudyKey(2, "m"):         {KindRunning, 2, "m", "", 0},
		FinishedKey(3, "m", "s"): {KindFinished, 3, "m", "s", 0},
		TrialKey(4, "m", "s", 5): {KindTrial, 4, "m", "s", 5},
		OffsetKey(31):            {KindOffset, 31, "", "", 0},
	} {
		if got, ok := ParseKey(key); !ok || got != want {
			t.Errorf("%s: %+v", key, got)
		}
	}
	if key := TrialKey(4, "m", "s", 5); key != "trial.4.m.s.5" {
		t.Error(key)
	}
	for _, key := range []string{"", "model", "model.1", "model.x.m", "model.1.m.s", "study.1", "trial.1.m.s", "trial.1.m.s.x",
		"offset.1.m", "other.1.m", "model.1."} {
		if got, ok := ParseKey(key); ok {
			t.Errorf("%s: %+v", key, got)
		}
	}
}
