package demo

import (
	"fmt"
	"math"
	"slices"
)

// Config is what is tuned.
type Config struct {
	LearningRate float64 `json:"learning_rate"` // step of the gradient descent
	L2           float64 `json:"l2"`            // weight decay: strength of the ridge penalty
}

// Map is the config as reports carry it.
func (c Config) Map() map[string]any {
	return map[string]any{"learning_rate": c.LearningRate, "l2": c.L2}
}

// ParseConfig reads a config as the worker gives it.
func ParseConfig(tree map[string]any) (c Config, err error) {
	for name, field := range map[string]*float64{"learning_rate": &c.LearningRate, "l2": &c.L2} {
		value, ok := tree[name].(float64)
		if !ok {
			return Config{}, fmt.Errorf("config.%s: %v is not a float", name, tree[name])
		}
		*field = value
	}
	return c, nil
}

// Space is where configs are looked for, as studies and tuners take it.
func Space() map[string]any {
	return map[string]any{
		"learning_rate": map[string]any{"type": "float", "low": 1e-4, "high": 0.5, "log": true},
		"l2":            map[string]any{"type": "float", "low": 1e-6, "high": 0.1, "log": true},
	}
}

// logistic is a logistic regression: a weight per feature and, last, the bias.
type logistic []float64

func newLogistic(width int) logistic { return make(logistic, width+1) }

func (l logistic) clone() logistic { return slices.Clone(l) }

// score is the log-odds that an example is positive.
func (l logistic) score(features []float64) float64 {
	z := l[len(features)]
	for i, x := range features {
		z += l[i] * x
	}
	return z
}

// learn first measures the log loss on an example, in nats, and then takes one
// step of stochastic gradient descent on that loss and ½·l2·|w|².
func (l logistic) learn(e Example, c Config) (loss float64, right bool) {
	z := l.score(e.Features)
	loss, right = logLoss(z, e.Positive), (z >= 0) == e.Positive
	gradient := 1 / (1 + math.Exp(-z))
	if e.Positive {
		gradient--
	}
	for i, x := range e.Features {
		l[i] -= c.LearningRate * (gradient*x + c.L2*l[i])
	}
	l[len(e.Features)] -= c.LearningRate * gradient
	return loss, right
}

// logLoss is log(1 + exp(∓z)), written so that it does not overflow.
func logLoss(z float64, positive bool) float64 {
	if positive {
		z = -z
	}
	return max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
}
