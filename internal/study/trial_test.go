package study

import (
	"testing"

	"pgregory.net/rapid"
)

func TestStepsAreASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var steps Steps
		seen := map[int64]bool{}
		for _, n := range rapid.SliceOf(rapid.Int64Range(0, 40)).Draw(t, "steps") {
			if steps.Add(n) == seen[n] {
				t.Fatalf("step %d: seen %v, intervals %v", n, seen[n], steps)
			}
			seen[n] = true
			for i, interval := range steps {
				if interval[0] > interval[1] || i > 0 && interval[0] <= steps[i-1][1]+1 {
					t.Fatalf("intervals %v", steps)
				}
			}
		}
	})
}

func TestSparseStepsAreBounded(t *testing.T) {
	t.Parallel()
	var steps Steps
	for n := int64(0); n < 100_000; n += 10 {
		if !steps.Add(n) {
			t.Fatalf("step %d is taken for a repetition", n)
		}
		if steps.Add(n) {
			t.Fatalf("step %d is not recognised", n)
		}
	}
	if len(steps) != maxIntervals {
		t.Fatalf("%d intervals", len(steps))
	}
}

func TestOneIntervalPerContiguousRun(t *testing.T) {
	t.Parallel()
	var steps Steps
	for _, n := range rapid.Permutation([]int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}).Example(1) {
		steps.Add(n)
	}
	if len(steps) != 1 || steps[0] != [2]int64{0, 9} {
		t.Fatalf("intervals %v", steps)
	}
}
