package observer

import "slices"

// Snapshot is the stored form of what one spec remembers of one model.
type Snapshot struct {
	// Hash is metric/detector/hash of goal and options.
	Hash string `msgpack:"hash" json:"hash"`
	// Episode is the worst that was said in the running episode; absent when none runs.
	Episode Severity `msgpack:"episode,omitempty" json:"episode,omitempty"`
	// Values is the detector's memory, all finite; for rolling_mean the window, the oldest value first.
	Values []float64 `msgpack:"values,omitempty" json:"values,omitempty"`
}

// Snapshot copies what is worth storing of a state; specs that remember nothing are left out.
func (m *Monitor) Snapshot(st *State) []Snapshot {
	if st == nil {
		return nil
	}
	var snapshots []Snapshot
	for i, c := range st.cells {
		if len(c.memory) > 0 || c.episode != "" {
			snapshots = append(snapshots, Snapshot{Hash: m.watches[i].hash, Episode: c.episode, Values: slices.Clone(c.memory)})
		}
	}
	return snapshots
}

// Restore makes a state of snapshots, whatever their order. A snapshot of a spec that m has not, or one that is
// damaged, is dropped: that spec starts afresh.
func (m *Monitor) Restore(snapshots []Snapshot) *State {
	st := m.NewState()
	for _, s := range snapshots {
		i := slices.IndexFunc(m.watches, func(w watch) bool { return w.hash == s.Hash })
		if i >= 0 && s.sound() && m.watches[i].detector.fits(s.Values) {
			// Into the fresh array, which has the room that update counts on.
			st.cells[i] = cell{memory: append(st.cells[i].memory[:0], s.Values...), episode: s.Episode}
		}
	}
	return st
}

func (s Snapshot) sound() bool {
	known := s.Episode == "" || s.Episode == Warning || s.Episode == Critical
	return known && !slices.ContainsFunc(s.Values, func(x float64) bool { return !finite(x) })
}
