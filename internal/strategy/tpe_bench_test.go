package strategy

import (
	"fmt"
	"testing"
)

// BenchmarkTPE measures one suggestion after n trials over 10 floats, with the history known from the
// suggestion before as it is in a study. Both turns of the strategy are in the mean.
func BenchmarkTPE(b *testing.B) {
	description := tree{}
	for i := range 10 {
		description[fmt.Sprint("x", i)] = tree{"type": "float", "low": -5, "high": 5}
	}
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			space := mustParse(b, description)
			s, r := mustNew(b, "tpe", nil, space), Request{Seed: 1, Number: n, Index: n}
			random := r.rand()
			for i := range n {
				config, sum := space.Sample(random), 0.0
				for _, v := range config {
					sum += v.(float64) * v.(float64)
				}
				r.History = append(r.History, Trial{Number: i, Config: config, State: Complete, Value: sum})
			}
			suggest(b, s, r)
			b.ReportAllocs()
			for b.Loop() {
				r.Number++
				suggest(b, s, r)
			}
		})
	}
}
