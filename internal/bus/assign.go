package bus

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
)

// Owners says which of the workers owns each partition, from their ids alone, so
// that all who see the same list agree. Everybody gets ⌈P/N⌉ or ⌊P/N⌋. The
// pairs of highest rendezvous weight are served first (Thaler & Ravishankar
// 1998), so a join or a leave moves few partitions. Without workers all owners
// are "".
func Owners(partitions int, workers []string) []string {
	owners := make([]string, partitions)
	if len(workers) == 0 {
		return owners
	}
	type pair struct {
		weight    uint64
		partition int
		worker    int
	}
	ids := slices.Clone(workers)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	pairs := make([]pair, 0, partitions*len(ids))
	for w, id := range ids {
		for p := range partitions {
			pairs = append(pairs, pair{weight(id, p), p, w})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.partition, b.partition), cmp.Compare(a.worker, b.worker))
	})
	floor, extra := partitions/len(ids), partitions%len(ids)
	load := make([]int, len(ids))
	for _, x := range pairs {
		switch {
		case owners[x.partition] != "":
		case load[x.worker] < floor:
			owners[x.partition] = ids[x.worker]
			load[x.worker]++
		case load[x.worker] == floor && extra > 0:
			owners[x.partition] = ids[x.worker]
			load[x.worker]++
			extra--
		}
	}
	return owners
}

func weight(worker string, partition int) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(worker))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(strconv.Itoa(partition)))
	// FNV alone is weak in its high bits for short suffixes: mix (SplitMix64).
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
