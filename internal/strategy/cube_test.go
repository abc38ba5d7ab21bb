package strategy

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestCubePositions(t *testing.T) {
	t.Parallel()
	space := mustParse(t, tree{
		"batch":  tree{"values": []any{16, 32, 64, 128}},
		"depth":  tree{"type": "int", "low": 1, "high": 10, "when": tree{"model": []any{"tree"}}},
		"lr":     tree{"type": "float", "low": 1e-4, "high": 1, "log": true},
		"model":  tree{"type": "categorical", "choices": []any{"tree", "line"}},
		"step":   tree{"type": "float", "low": 0, "high": 1, "step": 0.5},
		"units":  tree{"type": "int", "low": 1, "high": 3, "log": true},
		"weight": tree{"type": "float", "low": -1, "high": 3},
	})
	c := newCube(space)
	got := c.encode(tree{"batch": 64.0, "depth": 4, "lr": 1e-2, "model": "tree", "step": 1, "units": 2, "weight": 0})
	units := (math.Log(2) - math.Log(0.5)) / (math.Log(3.5) - math.Log(0.5))
	for i, want := range []float64{0.625, 0.35, 0.5, 0.25, 5.0 / 6, units, 0.25} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("%s is at %v, want %v", space.parameters[i].Name, got[i], want)
		}
	}
	for name, config := range map[string]tree{
		"inactive":          {"model": "line"},
		"inactive, present": {"depth": 4, "model": "line"},
		"off the grid":      {"depth": 4.5, "model": "tree"},
		"outside":           {"depth": 11, "model": "tree"},
		"of another kind":   {"depth": "deep", "model": "tree"},
	} {
		if x := c.encode(config)[1]; !math.IsNaN(x) {
			t.Errorf("%s: at %v", name, x)
		}
	}
	for i, want := range []uint64{4, 10, 0, 2, 3, 3, 0} {
		if got := c.levels(i); got != want || c.categorical(i) != (i == 3) {
			t.Errorf("axis %d has %d levels, categorical %v", i, got, c.categorical(i))
		}
	}
}

// Decoding any floats gives a config of the space, and encoding loses nothing of it.
func TestCubeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		description, _ := drawSpace(t, rapid.Bool().Draw(t, "discrete"))
		space, err := ParseSpace(description)
		if err != nil {
			t.Fatal(err)
		}
		c := newCube(space)
		config := c.decode(rapid.SliceOfN(rapid.Float64(), c.dims(), c.dims()).Draw(t, "point"))
		if err := space.Check(config); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		config = space.Sample(r)
		if again := c.decode(c.encode(config)); !near(config, again) {
			t.Fatalf("%v became %v", config, again)
		}
	})
}

// near allows numbers the rounding of a logarithm.
func near(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		x, isNumber := number(v)
		y, _ := number(b[name])
		if isNumber && math.Abs(x-y) > 1e-10*math.Abs(x) || !isNumber && v != b[name] {
			return false
		}
	}
	return true
}

func TestCubeEdges(t *testing.T) {
	t.Parallel()
	c := newCube(mustParse(t, tree{
		"all":  tree{"type": "int", "low": int64(math.MinInt64), "high": int64(math.MaxInt64 - 1)},
		"lr":   tree{"type": "float", "low": 1e-5, "high": 1, "log": true},
		"next": tree{"type": "float", "low": 1e300, "high": math.Nextafter(1e300, math.Inf(1)), "log": true},
	}))
	low, high := math.Inf(-1), math.Inf(1)
	if got := c.decode([]float64{low, -3, 0}); got["all"] != int64(math.MinInt64) || got["lr"] != 1e-5 {
		t.Errorf("the lower corner is %v", got)
	}
	if got := c.decode([]float64{high, 3, 1}); got["all"] != int64(math.MaxInt64-1) || got["lr"] != 1.0 {
		t.Errorf("the upper corner is %v", got)
	}
	middle := c.decode([]float64{math.NaN(), math.NaN(), math.NaN()})
	if !reflect.DeepEqual(middle, c.decode([]float64{0.5, 0.5, 0.5})) {
		t.Errorf("NaN is %v", middle)
	}
	if x := c.encode(tree{"next": 1e300})[2]; x != 0.5 {
		t.Errorf("on an axis without width in the logarithm: %v", x)
	}
}
