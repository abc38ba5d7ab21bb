package strategy

import "math/rand/v2"

// local tunes a live model: it tries changes of the best config seen and keeps what is better, a (1+1)
// evolution strategy whose step follows Rechenberg's one-fifth rule (Kern et al., "Learning probability
// distributions in continuous evolutionary algorithms", Natural Computing 2004).
//
// Live metrics are noisy and the data drift. So every third proposal is the best config again; its value
// forgets what is old, and when it gets worse by more than the noise the step grows, as the optimum has
// moved. Without a space numbers are floats, and all but zero are multiplied by a log-normal factor:
// signs stay, strings and bools pass unchanged. With a space the steps follow its axes, and choices
// switch now and then.
//
// Options: metric (loss), the objective; goal (minimize); sigma (0.1), the first step: relative, in a
// space the share of an axis' range, above 0 and at most 1; later steps are 0.2 to 5 times as long. In a
// study it learns from the history, proposes no config twice, and may shorten its steps a thousandfold.
type local struct {
	space  *Space
	cube   *cube // nil without a space
	metric string
	goal   Goal
	sigma  float64
}

func newLocal(options map[string]any, space *Space) (Strategy, error) {
	if err := onlyOptions(options, "metric", "goal", "sigma"); err != nil {
		return nil, err
	}
	s := local{space: space}
	if space != nil {
		s.cube = newCube(space)
	}
	var err error
	if s.metric, s.goal, err = objectiveOptions(options); err != nil {
		return nil, err
	}
	if s.sigma, err = numberOption(options, "sigma", 0.1); err != nil {
		return nil, err
	}
	if s.sigma <= 0 || s.sigma > 1 {
		return nil, &FieldError{"options.sigma", show(s.sigma) + " is no step to take", "give more than 0 and at most 1, such as 0.1"}
	}
	return s, nil
}

func objectiveOptions(options map[string]any) (metric string, goal Goal, err error) {
	metric = "loss"
	if v := options["metric"]; v != nil {
		if metric, _ = v.(string); metric == "" {
			return "", 0, &FieldError{"options.metric", show(v) + " is not the name of a metric", "give one, such as loss"}
		}
	}
	if v := options["goal"]; v != nil {
		name, _ := v.(string)
		if goal, err = ParseGoal(name); err != nil {
			return "", 0, &FieldError{"options.goal", show(v) + " is not a goal", "give minimize or maximize"}
		}
	}
	return metric, goal, nil
}

// Objective returns the metric that s learns from and its goal; ok is false if s learns from none.
func Objective(s Strategy) (metric string, goal Goal, ok bool) {
	o, ok := s.(interface{ Objective() (string, Goal) })
	if !ok {
		return "", Minimize, false
	}
	metric, goal = o.Objective()
	return metric, goal, true
}

// Objective returns the metric that the strategy learns from, and whether it is to be small or large.
func (s local) Objective() (metric string, goal Goal) { return s.metric, s.goal }

// recheck is how many proposals it takes until the best config is proposed again.
const recheck = 3

func (s local) Suggest(r Request) (map[string]any, error) {
	random := r.rand()
	if len(r.History) > 0 {
		return s.next(r, random)
	}
	centre, sigma := r.Base, s.sigma
	if m := s.known(r.Memory, s.goal); m != nil && (r.Base == nil || s.comparable(m.Best, r.Base)) {
		if r.Number%recheck == recheck-1 {
			return s.clamped(m.Best), nil
		}
		centre, sigma = m.Best, m.Sigma
	}
	return s.propose(centre, sigma, random)
}

// next proposes the next config of a study.
func (s local) next(r Request, random *rand.Rand) (map[string]any, error) {
	centre, sigma := r.Base, s.sigma
	if m := s.replay(r); m != nil {
		centre, sigma = m.Best, m.Sigma
	}
	if s.space == nil {
		return s.propose(centre, sigma, random)
	}
	return newSeen(s.space, r).fresh(random, func() map[string]any {
		config, _ := s.propose(centre, sigma, random) // has a space, so there is no error
		return config
	})
}

func (s local) propose(centre map[string]any, sigma float64, random *rand.Rand) (map[string]any, error) {
	switch {
	case centre != nil:
		return s.around(centre, sigma, random), nil
	case s.space != nil:
		return s.space.Sample(random), nil
	}
	return nil, &FieldError{"config", "is missing", "report one to start from, or give a space"}
}
