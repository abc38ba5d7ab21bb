package strategy

import "maps"

// first returns the config of a discrete space that has the first value of every parameter that exists.
func (s *Space) first() map[string]any {
	config := make(map[string]any, len(s.causal))
	s.reset(config, 0)
	return config
}

// after returns the config that follows in a discrete space, parents first and the last parameter varying fastest,
// after the last one the first. Unlike At it counts nothing.
func (s *Space) after(config map[string]any) map[string]any {
	next := maps.Clone(config)
	for i := len(s.causal) - 1; i >= 0; i-- {
		p := s.causal[i]
		value, active := next[p.Name]
		if !active {
			continue
		}
		axis := p.axis.(discrete)
		if k, _ := axis.index(value); k+1 < axis.size() {
			next[p.Name] = axis.at(k + 1)
			s.reset(next, i+1)
			return next
		}
	}
	return s.first()
}

// reset gives the parameters from a place in the causal order on their first values, as far as they exist.
func (s *Space) reset(config map[string]any, from int) {
	for _, p := range s.causal[from:] {
		delete(config, p.Name)
		if p.activeIn(config) {
			config[p.Name] = p.axis.(discrete).at(0)
		}
	}
}
