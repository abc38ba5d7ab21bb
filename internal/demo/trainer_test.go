package demo

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

var testConfig = Config{LearningRate: 0.005, L2: 1e-4}

func TestTheGradientIsThatOfTheLoss(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(-3, 3)
		model := logistic(rapid.SliceOfN(number, 4, 4).Draw(t, "model"))
		e := Example{rapid.SliceOfN(rapid.Float64Range(-1, 1), 3, 3).Draw(t, "features"), rapid.Bool().Draw(t, "label")}
		c := Config{LearningRate: 1, L2: rapid.Float64Range(0, 0.1).Draw(t, "l2")}
		penalised := func(l logistic) float64 {
			sum := logLoss(l.score(e.Features), e.Positive)
			for _, w := range l[:len(e.Features)] {
				sum += c.L2 / 2 * w * w
			}
			return sum
		}
		learnt := model.clone()
		learnt.learn(e, c)
		for i := range model {
			const h = 1e-5
			up, down := model.clone(), model.clone()
			up[i] += h
			down[i] -= h
			want := (penalised(up) - penalised(down)) / (2 * h)
			if got := model[i] - learnt[i]; math.Abs(got-want) > 1e-6 {
				t.Fatalf("derivative %d is %v, numerically %v", i, got, want)
			}
		}
	})
}

func TestLogLossDoesNotOverflow(t *testing.T) {
	t.Parallel()
	for z, want := range map[float64]float64{1000: 1000, -1000: 0, 0: math.Ln2} {
		if got := logLoss(z, false); got != want {
			t.Errorf("loss at %v is %v, want %v", z, got, want)
		}
		if got := logLoss(-z, true); got != want {
			t.Errorf("loss at %v is %v, want %v", -z, got, want)
		}
	}
}

func TestTrainingLowersTheLoss(t *testing.T) {
	t.Parallel()
	for name, s := range streams(5) {
		untrained := newLogistic(s.Width())
		batch := make([]Example, batchExamples)
		for i := range batch {
			batch[i] = s.Next()
		}
		_, first := untrained.learnAll(batch, testConfig)
		trainer := NewTrainer(s, testConfig)
		m := trainer.Step()
		if m.Loss > 0.8*first || m.Error > 0.2 {
			t.Errorf("%s: log loss %.3f at first, then %.3f with %.3f wrong", name, first, m.Loss, m.Error)
		}
	}
}

func TestTheSameSeedTrainsTheSame(t *testing.T) {
	t.Parallel()
	play := func() (measures []Measure) {
		trainer := NewTrainer(NewHyperplane(random(9)), testConfig)
		for i := range 30 {
			measures = append(measures, trainer.Step())
			trainer.Consider(Config{LearningRate: 0.01 * float64(i+1), L2: 1e-4})
			switch i {
			case 10:
				trainer.Drift()
			case 14:
				trainer.Retrain()
			case 24:
				trainer.Tune(Config{LearningRate: 0.1, L2: 1e-5})
			}
		}
		return measures
	}
	first, second := play(), play()
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("report %d: %+v, then %+v", i+1, first[i], second[i])
		}
	}
}

func TestDriftHurtsUntilRetrained(t *testing.T) {
	t.Parallel()
	trainer := NewTrainer(NewSEA(random(4), 2), testConfig)
	before := trainer.Step().BatchError
	trainer.Drift()
	drifted := trainer.Step().BatchError
	trainer.Step()
	trainer.Retrain()
	if after := trainer.Step(); drifted < 1.5*before || after.BatchError > 0.8*drifted {
		t.Errorf("%.3f wrong before the drift, %.3f after it, %.3f once retrained", before, drifted, after.BatchError)
	}
	if trainer.Version() != 2 {
		t.Errorf("version %d, want 2", trainer.Version())
	}
}

func TestOnlyABetterConfigIsTaken(t *testing.T) {
	t.Parallel()
	trainer := NewTrainer(NewSEA(random(6), 0), testConfig)
	if trainer.Consider(testConfig) {
		t.Error("a config was taken that does no better")
	}
	if bad := (Config{LearningRate: 0.5, L2: 0.1}); trainer.Consider(bad) || trainer.Config() != testConfig {
		t.Error("a worse config was taken")
	}
	slow := NewTrainer(NewSEA(random(6), 0), Config{LearningRate: 1e-4, L2: 1e-4})
	if !slow.Consider(testConfig) || slow.Config() != testConfig {
		t.Error("a better config was not taken")
	}
}

func TestTheTwinLeftAloneIsTheModelLeftAlone(t *testing.T) {
	t.Parallel()
	trainer := NewTrainer(NewSEA(random(8), 1), testConfig)
	for range 5 {
		if m := trainer.Step(); m.Alone != m.BatchError {
			t.Fatalf("%v wrong, the twin %v", m.BatchError, m.Alone)
		}
	}
}

func TestParseConfigRefusesWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	if c, err := ParseConfig(testConfig.Map()); err != nil || c != testConfig {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := ParseConfig(map[string]any{"learning_rate": 0.1, "l2": "x"}); err == nil {
		t.Error("a text was taken for a number")
	}
}
