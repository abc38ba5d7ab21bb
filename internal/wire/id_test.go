package wire

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestIDIsAULID(t *testing.T) {
	t.Parallel()
	// The time part of the specification's example, 01ARZ3NDEKTSV4RRFFQ69G5FAV.
	id := ID(time.UnixMilli(1469922850259), "m", 1, 0)
	if len(id) != 26 || id[:10] != "01ARZ3NDEK" {
		t.Errorf("%s (%d characters)", id, len(id))
	}
	if ID(time.Unix(-5, 0), "m", 1, 0)[:10] != "0000000000" {
		t.Error("a time before 1970 must not wrap")
	}
}

func TestIDsSortByTimeAndDiffer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 1<<47).Draw(t, "ms")
		later := ms + rapid.Int64Range(1, 1<<40).Draw(t, "later")
		sequence := rapid.Uint64().Draw(t, "sequence")
		index := rapid.IntRange(0, 1000).Draw(t, "index")
		id := ID(time.UnixMilli(ms), "m", sequence, index)
		if id >= ID(time.UnixMilli(later), "m", sequence, index) {
			t.Fatal("not in order of time")
		}
		if id >= ID(time.UnixMilli(ms).Add(time.Duration(rapid.IntRange(1, 999_999).Draw(t, "ns"))), "m", sequence+1, index) {
			t.Fatal("not in order within a millisecond")
		}
		if id >= ID(time.UnixMilli(ms), "m", sequence, index+1) && index < 255 {
			t.Fatal("not in order within an input")
		}
		if id != ID(time.UnixMilli(ms), "m", sequence, index) {
			t.Fatal("not reproducible")
		}
		for _, other := range []string{ID(time.UnixMilli(ms), "n", sequence, index),
			ID(time.UnixMilli(ms), "m", sequence+1, index), ID(time.UnixMilli(ms), "m", sequence, index+1)} {
			if other == id {
				t.Fatal("not unique")
			}
		}
	})
}

func TestSeed(t *testing.T) {
	t.Parallel()
	seed := Seed("m", 7, "explore")
	if seed != Seed("m", 7, "explore") {
		t.Error("not reproducible")
	}
	for _, other := range []uint64{Seed("n", 7, "explore"), Seed("m", 8, "explore"), Seed("m", 7, "random"), Seed("m", 7, "")} {
		if other == seed {
			t.Error("not independent")
		}
	}
}
