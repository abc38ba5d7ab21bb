package observer

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestAutoCalibrate prints the lines of autoTable for the reports it is given, by simulation. All of them take some
// ten minutes of one core:
//
//	RETUNE_CALIBRATE="100 370 1e3 1e4 1e5 1e6" go test -run TestAutoCalibrate -timeout 0 -v ./internal/observer
//
// The limits are those of Siegmund's approximation for known parameters, half of the false alarms for each CUSUM, times
// a factor. The factor is found by bisection so that, in the geometric mean over independent, skewed and autocorrelated
// values, the rate is the one asked for.
func TestAutoCalibrate(t *testing.T) {
	for _, n := range givenReports(t, "RETUNE_CALIBRATE") {
		models := int(min(max(2e7/n, 100), 4000))
		low, high := 0.5, 1.0
		for high-low > 0.004 {
			if factor := (low + high) / 2; autoRate(autoWith(n, factor), n, models) > 1 {
				low = factor
			} else {
				high = factor
			}
		}
		d := autoWith(n, (low+high)/2)
		fmt.Printf("\t{%.0f, %.3f, %.3f}, // %.3f\n", n, d.fast, d.slow, (low+high)/2)
	}
}

// TestAutoRates prints the rates of false alarms of all streams, as multiples of the promise:
//
//	RETUNE_RATES="370 1e3 1e4" go test -run TestAutoRates -timeout 0 -v ./internal/observer
func TestAutoRates(t *testing.T) {
	for _, n := range givenReports(t, "RETUNE_RATES") {
		d := autoOf(t, Minimize, "false_alarms", n)
		for _, name := range slices.Sorted(maps.Keys(autoStreams)) {
			alarms, reports := falseAlarms(d, autoStreams[name], 2000, int(min(20*n, 2e5)), 7)
			fmt.Printf("1 per %-8.0f %-16s × %.2f (%.0f alarms)\n", n, name, alarms/reports*n, alarms)
		}
	}
}

func givenReports(t *testing.T, variable string) (all []float64) {
	t.Helper()
	for _, text := range strings.Fields(os.Getenv(variable)) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	if all == nil {
		t.Skip(variable, "is not set")
	}
	return all
}

func autoWith(n, factor float64) *auto {
	return &auto{warmUp: 30, fast: factor * siegmund(autoFastAllowance, 2*n), slow: factor * siegmund(autoSlowAllowance, 2*n)}
}

// autoRate is the rate of false alarms, as a multiple of 1 per n.
func autoRate(d *auto, n float64, models int) float64 {
	sum, names := 0.0, []string{"gaussian", "log-normal", "AR(0.5)"}
	for _, name := range names {
		alarms, reports := falseAlarms(d, autoStreams[name], models, int(20*n), 1)
		sum += math.Log(n * (alarms + 0.5) / reports)
	}
	return math.Exp(sum / float64(len(names)))
}

// siegmund is the limit of a CUSUM with allowance k that alarms once in n reports (Sequential Analysis, 1985, as in
// Montgomery, Introduction to Statistical Quality Control, 7th ed. 2013, section 9.1).
func siegmund(k, n float64) float64 {
	low, high := 0.0, 1000.0
	for high-low > 1e-9 {
		h := (low + high) / 2
		if b := 2 * k * (h + 1.166); (math.Exp(b)-b-1)/(2*k*k) < n {
			low = h
		} else {
			high = h
		}
	}
	return low
}
