package observer

import "math"

// autoTable has the limits of the CUSUMs, in standard deviations, by the reports to a false alarm.
// TestAutoCalibrate made it but for the last line, which goes on by the steps between those before: 10 million
// healthy reports of each of seven kinds of streams, in bench/monitor, had 0 to 4 alarms.
var autoTable = [][3]float64{
	{100, 1.005, 3.947},
	{370, 1.579, 5.909},
	{1_000, 1.942, 7.586},
	{10_000, 2.635, 11.575},
	{100_000, 3.396, 15.737},
	{1_000_000, 4.169, 19.855},
	{10_000_000, 4.95, 23.9},
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
