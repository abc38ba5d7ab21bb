package strategy

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
)

// seen knows which configs of a space were proposed already, whatever became of them.
type seen struct {
	space   *Space
	history []Trial
	asked   int
	keys    map[string]bool // of the history and what was added; nil: not read yet
	buffer  []byte
}

func newSeen(s *Space, r Request) *seen { return &seen{space: s, history: r.History} }

// cheapQuestions are answered by a scan: reading all keys takes ten times as long.
const cheapQuestions = 4

// has reports whether config was proposed. A config outside the space never was.
func (s *seen) has(config map[string]any) bool {
	if s.asked++; s.keys == nil && s.asked <= cheapQuestions {
		return s.scan(config)
	}
	s.read()
	return s.key(config) && s.keys[string(s.buffer)]
}

func (s *seen) scan(config map[string]any) bool {
	rare := s.continuous(config)
	return s.space.Check(config) == nil && slices.ContainsFunc(s.history, func(t Trial) bool {
		return (rare == "" || t.Config[rare] == config[rare]) && len(t.Config) == len(config) && s.equal(t.Config, config)
	})
}

// continuous names a parameter of the config with a continuum of values, which hardly two configs share; "": none.
func (s *seen) continuous(config map[string]any) string {
	for _, p := range s.space.parameters {
		if _, isDiscrete := p.axis.(discrete); !isDiscrete && config[p.Name] != nil {
			return p.Name
		}
	}
	return ""
}

// equal compares a config with one of the space that has as many values.
func (s *seen) equal(config, known map[string]any) bool {
	for _, p := range s.space.parameters {
		want, active := known[p.Name]
		if !active {
			continue
		}
		v, ok := config[p.Name]
		if !ok || v != want && !sameValue(p.axis, v, want) {
			return false
		}
	}
	return true
}

func sameValue(a axis, v, known any) bool {
	code, ok := codeOf(a, v)
	want, _ := codeOf(a, known)
	return ok && code == want
}

func (s *seen) add(config map[string]any) {
	s.read()
	if s.key(config) {
		s.keys[string(s.buffer)] = true
	}
}

// exhausted reports whether every config of the space was proposed; never in an infinite one.
func (s *seen) exhausted() bool {
	n, finite := s.space.Size()
	if !finite || uint64(len(s.history)+len(s.keys)) < n {
		return false
	}
	s.read()
	return uint64(len(s.keys)) >= n
}

// maxProposals is how often fresh asks for another proposal before it takes what is left.
const maxProposals = 32

// fresh returns a proposal that was not proposed before. After too many that were, it is in a finite space the next
// such config from a random one on, or ErrExhausted if there is none; in an infinite one, which may have finite
// branches, a sample.
func (s *seen) fresh(r *rand.Rand, propose func() map[string]any) (map[string]any, error) {
	_, finite := s.space.Size()
	if finite && s.exhausted() {
		return nil, ErrExhausted
	}
	for range maxProposals {
		if config := propose(); !s.has(config) {
			return config, nil
		}
	}
	if !finite {
		return s.sample(r), nil
	}
	config := s.space.Sample(r)
	for s.has(config) {
		config = s.space.after(config)
	}
	return config, nil
}

// sample repeats a config only after as many samples that would.
func (s *seen) sample(r *rand.Rand) (config map[string]any) {
	for range maxProposals {
		if config = s.space.Sample(r); !s.has(config) {
			break
		}
	}
	return config
}

func (s *seen) read() {
	if s.keys != nil {
		return
	}
	s.keys = make(map[string]bool, len(s.history))
	for _, t := range s.history {
		s.add(t.Config)
	}
}

// key writes what tells a config from every other one of the space to the buffer; false if config is
// not in the space.
func (s *seen) key(config map[string]any) bool {
	s.buffer = s.buffer[:0]
	active := 0
	for _, p := range s.space.parameters {
		v, ok := config[p.Name]
		if ok != p.activeIn(config) {
			return false
		}
		code := uint64(0)
		if ok {
			active++
			if code, ok = codeOf(p.axis, v); !ok {
				return false
			}
		}
		s.buffer = binary.AppendUvarint(s.buffer, code)
	}
	return active == len(config)
}

// codeOf is unique among the values of an axis. Zero also stands for an inactive parameter: its parents'
// codes say that it is.
func codeOf(a axis, v any) (uint64, bool) {
	if d, ok := a.(discrete); ok {
		return d.index(v)
	}
	f, ok := a.accept(v)
	if !ok {
		return 0, false
	}
	return math.Float64bits(f.(float64)), true
}
