package observer

import "math"

// autoTable has the limits of the CUSUMs, in standard deviations, by the reports to a false alarm.
// TestAutoCalibrate made it, each line from 4000 to 200 models of three kinds, the last, coarser, from 60.
var autoTable = [][3]float64{
	{100, 1.196, 3.639},
	{370, 1.734, 5.582},
	{1_000, 2.114, 7.039},
	{10_000, 2.849, 9.990},
	{100_000, 3.478, 12.564},
	{1_000_000, 4.536, 16.701},
}

// autoLimits interpolates the table on a logarithmic scale, on which the limits of a CUSUM are near to a line
// (Siegmund, Sequential Analysis, 1985).
func autoLimits(reports float64) (fast, slow float64) {
	i := 1
	for i < len(autoTable)-1 && autoTable[i][0] < reports {
		i++
	}
	a, b := autoTable[i-1], autoTable[i]
	share := math.Log(reports/a[0]) / math.Log(b[0]/a[0])
	return a[1] + share*(b[1]-a[1]), a[2] + share*(b[2]-a[2])
}
