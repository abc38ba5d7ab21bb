package strategy

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestProposalsAreFinite: whatever the config in force and what was stored of it, what comes back can be
// trained with.
func TestProposalsAreFinite(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{"x": tree{"type": "float", "low": -5e307, "high": 5e307}, "n": tree{"type": "int", "low": 1, "high": 9}})
	options := map[string]tree{"local": {"sigma": 1.0}, "explore": {"rate": 1.5, "relative": true}, "step": {"step": math.MaxFloat64}}
	value := rapid.OneOf(rapid.Float64(), rapid.SampledFrom(oddValues))
	rapid.Check(t, func(r *rapid.T) {
		for name, given := range options {
			for _, s := range []Strategy{mustNew(t, name, given, nil), mustNew(t, name, given, space)} {
				config := map[string]any{"x": value.Draw(r, "x"), "n": value.Draw(r, "n"), "other": value.Draw(r, "other"), "kind": "a"}
				var memory *Memory
				if learner, ok := s.(Learner); ok && rapid.Bool().Draw(r, "learned") {
					memory = learner.Learn(nil, Minimize, config, value.Draw(r, "value"))
					memory.Best = config // as it may have been stored
				}
				for number := range 4 {
					got := suggest(t, s, Request{Number: number, Seed: 1, Base: config, Memory: memory})
					for parameter, v := range got {
						if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
							r.Fatalf("%s makes %s = %v of %v", name, parameter, f, config)
						}
					}
				}
			}
		}
	})
}
