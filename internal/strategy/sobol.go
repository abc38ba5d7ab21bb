package strategy

import "math/bits"

// sobol proposes the points of a scrambled Sobol sequence: they cover a space more evenly than random ones
// (Owen, "Scrambling Sobol' and Niederreiter–Xing points", J. Complexity 1998), each config of a finite
// space once. It has no options.
type sobol struct{ space *Space }

func newSobol(options map[string]any, space *Space) (Strategy, error) {
	if err := needSpace("sobol", space); err != nil {
		return nil, err
	}
	if err := onlyOptions(options); err != nil {
		return nil, err
	}
	return sobol{space}, nil
}

// Suggest proposes the first point from r.Index on whose config is fresh.
func (s sobol) Suggest(r Request) (map[string]any, error) {
	c, index := newCube(s.space), r.Index-1
	return newSeen(s.space, r).fresh(r.rand(), func() map[string]any {
		index++
		return c.decode(sobolPoint(r.Seed, index, c.dims()))
	})
}

// sobolPoint returns point index of the sequence with that seed, a point of (0,1)^dims with a resolution
// of 2^-32. Past the dimensions of the table, and past 2^32 points, coordinates are random.
func sobolPoint(seed uint64, index, dims int) []float64 {
	point := make([]float64, dims)
	for i := range point {
		key := mix(seed + mix(uint64(i)+1))
		x := uint32(mix(key+uint64(index)) >> 32)
		if i < len(directions) && uint64(index) < 1<<32 {
			x = owen(sobolInteger(uint32(index), &directions[i]), key)
		}
		point[i] = (float64(x) + 0.5) / (1 << 32)
	}
	return point
}

func sobolInteger(index uint32, direction *[32]uint32) uint32 {
	x := uint32(0)
	for ; index != 0; index &= index - 1 {
		x ^= direction[bits.TrailingZeros32(index)]
	}
	return x
}

// owen scrambles the binary digits of x: whether one is flipped depends on all digits before it.
func owen(x uint32, key uint64) uint32 {
	scrambled := x
	for digit := range 32 {
		before := uint64(1)<<digit | uint64(x)>>(32-digit)
		scrambled ^= uint32(mix(key^before)>>63) << (31 - digit)
	}
	return scrambled
}

// mix is a bijection that makes neighbouring numbers unrelated (finaliser of SplitMix64, after Steele,
// Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// directions holds the direction numbers of each dimension, as binary fractions of 32 digits.
var directions = directionNumbers()

// directionNumbers extends the table by its recurrence (Joe & Kuo 2008, equation 2.3). The first
// dimension is van der Corput's.
func directionNumbers() [][32]uint32 {
	all := make([][32]uint32, 1+len(joeKuo))
	for k := range 32 {
		all[0][k] = 1 << (31 - k)
	}
	for i, row := range joeKuo {
		v, degree := &all[i+1], len(row.initial)
		for k := range v {
			if k < degree {
				v[k] = row.initial[k] << (31 - k)
				continue
			}
			v[k] = v[k-degree] ^ v[k-degree]>>degree
			for j := 1; j < degree; j++ {
				v[k] ^= (row.polynomial >> (degree - 1 - j) & 1) * v[k-j]
			}
		}
	}
	return all
}
