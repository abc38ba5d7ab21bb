package problem

import "math"

// formula is a test function with its usual box. Definitions and optima are those of Surjanovic and
// Bingham, "Virtual Library of Simulation Experiments", refined to double precision.
type formula struct {
	f         func(x []float64) float64
	low, high []float64
	best      []float64 // where the smallest value is attained
	value     float64   // the smallest value
}

// box makes a formula of d dimensions with the same range and the same best coordinate in each.
func box(f func([]float64) float64, d int, low, high, best, value float64) formula {
	return formula{f, repeat(low, d), repeat(high, d), repeat(best, d), value}
}

func repeat(v float64, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = v
	}
	return all
}

func branin() formula {
	f := func(x []float64) float64 {
		a := x[1] - 5.1/(4*math.Pi*math.Pi)*x[0]*x[0] + 5/math.Pi*x[0] - 6
		return a*a + 10*(1-1/(8*math.Pi))*math.Cos(x[0]) + 10
	}
	return formula{f, []float64{-5, 0}, []float64{10, 15}, []float64{math.Pi, 2.275}, 5 / (4 * math.Pi)}
}

func camel() formula {
	f := func(x []float64) float64 {
		a, b := x[0]*x[0], x[1]*x[1]
		return (4-2.1*a+a*a/3)*a + x[0]*x[1] + (4*b-4)*b
	}
	return formula{f, []float64{-3, -2}, []float64{3, 2}, []float64{0.08984200893527233, -0.712656403019058}, -1.0316284534898774}
}

func goldsteinPrice() formula {
	f := func(x []float64) float64 {
		s, t := x[0]+x[1], 2*x[0]-3*x[1]
		return (1 + (s+1)*(s+1)*(19-14*s+3*s*s)) * (30 + t*t*(18-16*t+3*t*t))
	}
	return formula{f, repeat(-2, 2), repeat(2, 2), []float64{0, -1}, 3}
}

func hartmann(a, p [][]float64) func([]float64) float64 {
	weights := []float64{1, 1.2, 3, 3.2}
	return func(x []float64) (sum float64) {
		for i, w := range weights {
			exponent := 0.0
			for j := range x {
				exponent += a[i][j] * (x[j] - p[i][j]) * (x[j] - p[i][j])
			}
			sum -= w * math.Exp(-exponent)
		}
		return sum
	}
}

func hartmann3() formula {
	f := hartmann([][]float64{{3, 10, 30}, {0.1, 10, 35}, {3, 10, 30}, {0.1, 10, 35}},
		[][]float64{{0.3689, 0.1170, 0.2673}, {0.4699, 0.4387, 0.7470}, {0.1091, 0.8732, 0.5547}, {0.0381, 0.5743, 0.8828}})
	best := []float64{0.11458886908541062, 0.5556488928322367, 0.8525469854282611}
	return formula{f, repeat(0, 3), repeat(1, 3), best, -3.862779787332663}
}

func hartmann6() formula {
	f := hartmann([][]float64{{10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}},
		[][]float64{
			{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886}, {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
			{0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650}, {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381},
		})
	best := []float64{0.20168951209480995, 0.15001069277685197, 0.476873971833793, 0.275332431065528, 0.3116516179851896, 0.657300535855056}
	return formula{f, repeat(0, 6), repeat(1, 6), best, -3.322368011415515}
}

func shekel() formula {
	columns := [][]float64{
		{4, 4, 4, 4}, {1, 1, 1, 1}, {8, 8, 8, 8}, {6, 6, 6, 6}, {3, 7, 3, 7},
		{2, 9, 2, 9}, {5, 3, 5, 3}, {8, 1, 8, 1}, {6, 2, 6, 2}, {7, 3.6, 7, 3.6},
	}
	widths := []float64{0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5}
	f := func(x []float64) (sum float64) {
		for i, c := range columns {
			distance := widths[i]
			for j := range x {
				distance += (x[j] - c[j]) * (x[j] - c[j])
			}
			sum -= 1 / distance
		}
		return sum
	}
	best := []float64{4.000746866658956, 3.9995094808675886, 4.000746866997999, 3.9995094822423836}
	return formula{f, repeat(0, 4), repeat(10, 4), best, -10.53644315348353}
}

func michalewicz5() formula {
	f := func(x []float64) (sum float64) {
		for i, v := range x {
			sum -= math.Sin(v) * math.Pow(math.Sin(float64(i+1)*v*v/math.Pi), 20)
		}
		return sum
	}
	best := []float64{2.2029055193996276, 1.5707963279928412, 1.2849915682661566, 1.9230584717433503, 1.7204697729558605}
	return formula{f, repeat(0, 5), repeat(math.Pi, 5), best, -4.687658179088149}
}

func ackley(d int) formula {
	f := func(x []float64) float64 {
		squares, cosines := 0.0, 0.0
		for _, v := range x {
			squares += v * v
			cosines += math.Cos(2 * math.Pi * v)
		}
		n := float64(len(x))
		return 20 - 20*math.Exp(-0.2*math.Sqrt(squares/n)) + math.E - math.Exp(cosines/n)
	}
	return box(f, d, -32.768, 32.768, 0, 0)
}

func rosenbrock(d int) formula {
	f := func(x []float64) (sum float64) {
		for i := range x[1:] {
			valley, slope := x[i+1]-x[i]*x[i], 1-x[i]
			sum += 100*valley*valley + slope*slope
		}
		return sum
	}
	return box(f, d, -5, 10, 1, 0)
}

func levy(d int) formula {
	square := func(v float64) float64 { return v * v }
	f := func(x []float64) float64 {
		w := func(i int) float64 { return 1 + (x[i]-1)/4 }
		last := w(len(x) - 1)
		sum := square(math.Sin(math.Pi*w(0))) + square(last-1)*(1+square(math.Sin(2*math.Pi*last)))
		for i := range x[1:] {
			sum += square(w(i)-1) * (1 + 10*square(math.Sin(math.Pi*w(i)+1)))
		}
		return sum
	}
	return box(f, d, -10, 10, 1, 0)
}

func rastrigin(d int) formula {
	f := func(x []float64) (sum float64) {
		for _, v := range x {
			sum += v*v + 10 - 10*math.Cos(2*math.Pi*v)
		}
		return sum
	}
	return box(f, d, -5.12, 5.12, 0, 0)
}

func griewank(d int) formula {
	f := func(x []float64) float64 {
		sum, product := 0.0, 1.0
		for i, v := range x {
			sum += v * v / 4000
			product *= math.Cos(v / math.Sqrt(float64(i+1)))
		}
		return sum - product + 1
	}
	return box(f, d, -600, 600, 0, 0)
}

func styblinskiTang(d int) formula {
	f := func(x []float64) (sum float64) {
		for _, v := range x {
			sum += (v*v*v*v - 16*v*v + 5*v) / 2
		}
		return sum
	}
	return box(f, d, -5, 5, -2.903534027771178, -39.16616570377142*float64(d))
}

func zakharov(d int) formula {
	f := func(x []float64) float64 {
		squares, line := 0.0, 0.0
		for i, v := range x {
			squares += v * v
			line += float64(i+1) * v / 2
		}
		return squares + line*line + line*line*line*line
	}
	return box(f, d, -5, 10, 0, 0)
}

func sphere(d int) formula {
	f := func(x []float64) (sum float64) {
		for _, v := range x {
			sum += v * v
		}
		return sum
	}
	return box(f, d, -5.12, 5.12, 0, 0)
}

// ellipsoid has axes of lengths from 1 to 100 along directions oblique to the parameters': a mirror
// (I − 2nnᵀ, n the diagonal) turns them.
func ellipsoid(d int) formula {
	f := func(x []float64) (sum float64) {
		mean := 0.0
		for _, v := range x {
			mean += v / float64(d)
		}
		for i, v := range x {
			v -= 2 * mean
			sum += math.Pow(10, 4*float64(i)/float64(d-1)) * v * v
		}
		return sum
	}
	return box(f, d, -5, 5, 0, 0)
}
