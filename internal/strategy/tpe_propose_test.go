package strategy

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestDeviationIsANumber: of kernels at one place rounding may make the sum of squares negative, and with a
// width that is no number no draw would ever end.
func TestDeviationIsANumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := kernels{}
		x := rapid.Float64Range(0, 1).Draw(t, "x")
		for range rapid.IntRange(0, 5).Draw(t, "kernels") {
			k.add([]float64{x}, rapid.Float64Range(1e-3, 3).Draw(t, "weight"))
		}
		if d := deviation(k, 0); !(d >= 0 && d < 1e-6) {
			t.Fatalf("the deviation of equal values is %v", d)
		}
	})
	if d := deviation(kernels{[][]float64{{3.0 / 14}}, []float64{0.6126543662181215}}, 0); math.IsNaN(d) {
		t.Error("the deviation of one value is no number")
	}
}
