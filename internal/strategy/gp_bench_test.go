package strategy

import (
	"fmt"
	"math"
	"testing"
)

// BenchmarkGP times suggestions with n results of a function of ten floats: "refit" with the hyper-parameters
// to be found anew, "reuse" with those of the suggestion before.
func BenchmarkGP(b *testing.B) {
	description := tree{}
	for i := range 10 {
		description[fmt.Sprint("x", i)] = tree{"type": "float", "low": -5, "high": 10}
	}
	space := mustParse(b, description)
	for _, n := range []int{50, 200, 500} {
		r := Request{Number: n, Index: n}
		for i := range n {
			config := space.Sample(Request{Number: i}.rand())
			r.History = append(r.History, Trial{Number: i, Config: config, Value: rosenbrock(config), State: Complete})
		}
		b.Run(fmt.Sprint("refit/", n), func(b *testing.B) {
			for b.Loop() {
				suggest(b, mustNew(b, "gp", nil, space), r)
			}
		})
		b.Run(fmt.Sprint("reuse/", n), func(b *testing.B) {
			s := mustNew(b, "gp", nil, space)
			suggest(b, s, r)
			for b.Loop() {
				suggest(b, s, r)
			}
		})
	}
}

func rosenbrock(config map[string]any) float64 {
	sum := 0.0
	for i := range len(config) - 1 {
		x, y := config[fmt.Sprint("x", i)].(float64), config[fmt.Sprint("x", i+1)].(float64)
		sum += 100*math.Pow(y-x*x, 2) + math.Pow(1-x, 2)
	}
	return sum
}
