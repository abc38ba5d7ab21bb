package strategy

import "fmt"

const (
	// Beyond so many results a Gaussian process, which looks at a part of them only, learns little more
	// from each, while a Parzen estimator goes on learning and stays fast.
	autoResults = 1_000
	// Beyond so many parameters the distances that a Gaussian process goes by say little.
	autoParameters = 100
)

// auto chooses for those who do not: gp, which needs the fewest trials wherever it can be afforded, and
// tpe where there are too many trials or parameters for it. bench/search measures both against others.
// It has no options.
type auto struct {
	gp, tpe    Strategy
	parameters int
}

func newAuto(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("auto", space); err != nil {
		return nil, err
	}
	gp, err := newGP(options, space)
	if err != nil {
		return nil, err
	}
	tpe, err := newTPE(options, space)
	return auto{gp, tpe, len(space.parameters)}, err
}

func (s auto) Suggest(r Request) (map[string]any, error) {
	chosen, _ := s.choose(r)
	return chosen.Suggest(r)
}

func (s auto) choose(r Request) (Strategy, string) {
	switch {
	case s.parameters > autoParameters:
		return s.tpe, fmt.Sprintf("tpe: %d parameters are too many for gp", s.parameters)
	case len(r.History) >= autoResults:
		return s.tpe, fmt.Sprintf("tpe after %d trials with gp", autoResults)
	case r.MaxTrials > autoResults:
		return s.gp, fmt.Sprintf("gp for the first %d of %d trials, then tpe", autoResults, r.MaxTrials)
	}
	return s.gp, fmt.Sprintf("gp: it needs the fewest trials (parameters: %d, at most %d; trials: at most %d)", s.parameters, autoParameters, autoResults)
}

func (s auto) slow() bool { return true }

func (s auto) explain(r Request) string {
	_, why := s.choose(r)
	return why
}
