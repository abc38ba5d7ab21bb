package observer

import "math"

// autoTable has the limits of the CUSUMs, in standard deviations, by the reports to a false alarm.
// TestAutoCalibrate made it.
var autoTable = [][3]float64{
	{100, 1.117, 3.398},
	{370, 1.732, 5.576},
	{1_000, 2.135, 7.109},
	{10_000, 2.927, 10.261},
	{100_000, 3.643, 13.160},
	{1_000_000, 4.266, 15.708},
}

// autoLimits interpolates the table on a logarithmic scale, on which the limits of a CUSUM are near to a line
// (Siegmund, Sequential Analysis, 1985, equation 2.56).
func autoLimits(reports float64) (fast, slow float64) {
	i := 1
	for i < len(autoTable)-1 && autoTable[i][0] < reports {
		i++
	}
	a, b := autoTable[i-1], autoTable[i]
	share := math.Log(reports/a[0]) / math.Log(b[0]/a[0])
	return a[1] + share*(b[1]-a[1]), a[2] + share*(b[2]-a[2])
}
