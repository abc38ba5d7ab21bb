package observer

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestAutoCalibrate prints the lines of autoTable for the reports it is given, by simulation. All of them take some
// quarter of an hour of two cores:
//
//	RETUNE_CALIBRATE="100 370 1e3 1e4 1e5 1e6" go test -run TestAutoCalibrate -timeout 0 -v ./internal/observer
//
// First each CUSUM alone gets a limit with which it has half of the false alarms asked for. Then both limits are
// multiplied by what makes the rate the one asked for, in the geometric mean over independent, skewed and
// autocorrelated values.
func TestAutoCalibrate(t *testing.T) {
	const never = 1e6
	for _, n := range givenReports(t, "RETUNE_CALIBRATE") {
		fast := solve(0.65*siegmund(autoFastAllowance, 2*n), 2.2, func(limit float64) float64 {
			return autoRate(&auto{warmUp: 30, fast: limit, slow: never}, n) + math.Ln2
		})
		slow := solve(0.8*siegmund(autoSlowAllowance, 2*n), 0.55, func(limit float64) float64 {
			return autoRate(&auto{warmUp: 30, fast: never, slow: limit}, n) + math.Ln2
		})
		both := solve(1, 0.55*slow, func(factor float64) float64 {
			return autoRate(&auto{warmUp: 30, fast: factor * fast, slow: factor * slow}, n)
		})
		fmt.Printf("\t{%.0f, %.3f, %.3f},\n", n, both*fast, both*slow)
	}
}

// solve finds where a falling function is 0 within its noise, from near there, by secants.
func solve(x, slope float64, f func(float64) float64) float64 {
	y := f(x)
	for range 5 {
		if math.Abs(y) < 0.03 {
			break
		}
		nextX := x + y/slope
		nextY := f(nextX)
		if s := (y - nextY) / (nextX - x); s > slope/3 && s < slope*3 {
			slope = s
		}
		x, y = nextX, nextY
	}
	return x + y/slope
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

// TestAutoHazards prints how often a model alarms that has not yet, by its reports since the warm-up, as multiples of
// the promise:
//
//	RETUNE_HAZARDS="370 1e3 1e4" go test -run TestAutoHazards -timeout 0 -v ./internal/observer
func TestAutoHazards(t *testing.T) {
	for _, n := range givenReports(t, "RETUNE_HAZARDS") {
		d := autoOf(t, Minimize, "false_alarms", n)
		for _, name := range []string{"gaussian", "log-normal", "AR(0.5)"} {
			fmt.Printf("1 per %-8.0f %-11s", n, name)
			before, reportsBefore := 0.0, 0.0
			for horizon := 40; horizon <= int(min(10*n, 40_960)); horizon *= 2 {
				alarms, reports := falseAlarms(d, autoStreams[name], int(max(2e7/n, 4000)), horizon, 77)
				fmt.Printf(" %d: %.2f", horizon, (alarms-before)/(reports-reportsBefore)*n)
				before, reportsBefore = alarms, reports
			}
			fmt.Println()
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

// autoRate is the logarithm of the rate of false alarms, as a multiple of 1 per n: from the end of the warm-up on, over
// some hundreds of alarms, fewer where they are rarest.
func autoRate(d *auto, n float64) float64 {
	const horizon = 20_000
	wanted := min(400, 2e8/n)
	models := int(max(wanted*n/min(horizon, 20*n), 500))
	var kinds sync.WaitGroup
	var sum [3]float64
	for i, name := range []string{"gaussian", "log-normal", "AR(0.5)"} {
		kinds.Go(func() {
			alarms, reports := falseAlarms(d, autoStreams[name], models, int(min(horizon, 20*n)), 1)
			sum[i] = math.Log(n * (alarms + 0.5) / reports)
		})
	}
	kinds.Wait()
	return (sum[0] + sum[1] + sum[2]) / 3
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
