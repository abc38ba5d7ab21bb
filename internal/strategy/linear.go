package strategy

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// triangle is a lower triangular matrix by rows: row i has i+1 elements. As the Cholesky factor L of a
// covariance K = LLᵀ it grows by a row for each point.
type triangle [][]float64

// grow takes the row of K that follows, up to its diagonal, and turns it into the row of L, in place.
// false: K is not positive definite, and L stays as it was.
func (l *triangle) grow(row []float64) bool {
	last := len(row) - 1
	l.forward(row[:last])
	rest := row[last] - floats.Dot(row[:last], row[:last])
	if !(rest > 0) {
		return false
	}
	row[last] = math.Sqrt(rest)
	*l = append(*l, row)
	return true
}

// forward solves Lx = b in place for the first len(b) rows.
func (l triangle) forward(b []float64) {
	for i := range b {
		row := l[i]
		b[i] = (b[i] - floats.Dot(row[:i], b[:i])) / row[i]
	}
}

// backward solves Lᵀx = b in place.
func (l triangle) backward(b []float64) {
	for i := len(b) - 1; i >= 0; i-- {
		row := l[i]
		b[i] /= row[i]
		floats.AddScaled(b[:i], -b[i], row[:i])
	}
}

// inverse returns the lower triangle of K⁻¹ = (LLᵀ)⁻¹.
func (l triangle) inverse() triangle {
	n := len(l)
	columns := make([][]float64, n) // of L⁻¹, from the diagonal down
	for j := range columns {
		m := make([]float64, n-j)
		m[0] = 1 / l[j][j]
		for i := j + 1; i < n; i++ {
			m[i-j] = -floats.Dot(l[i][j:i], m[:i-j]) / l[i][i]
		}
		columns[j] = m
	}
	k := make(triangle, n)
	for i := range k {
		k[i] = make([]float64, i+1)
		for j := range k[i] {
			k[i][j] = floats.Dot(columns[j][i-j:], columns[i])
		}
	}
	return k
}

// logDeterminant of K.
func (l triangle) logDeterminant() float64 {
	sum := 0.0
	for i := range l {
		sum += math.Log(l[i][i])
	}
	return 2 * sum
}
