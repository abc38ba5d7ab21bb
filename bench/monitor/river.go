package main

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/visutility/retune/bench/search/problem"
)

//go:embed river.py
var riverScript string

// riverRequest asks for first alarms or for the time of an update; Data are little-endian float64.
type riverRequest struct {
	Op       string         `json:"op"`
	Streams  map[string]int `json:"streams,omitempty"` // how many each detector judges
	Length   int            `json:"length,omitempty"`
	Number   int            `json:"number"`
	Detector string         `json:"detector,omitempty"`
	Seconds  float64        `json:"seconds,omitempty"`
	Data     []byte         `json:"data"`
}

// riverNames lists those of River's detectors that are asked for and can be had here.
func (o *options) riverNames(note io.Writer) []string {
	if len(o.River) == 0 || slices.Equal(o.River, []string{"none"}) {
		return nil
	}
	process, err := problem.Start(o.Python, riverScript)
	if err != nil {
		fmt.Fprintf(note, "no River, its detectors are left out: %v\n", err)
		return nil
	}
	defer process.Close()
	fmt.Fprintf(note, "River %v\n", process.Hello["river"])
	var known []string
	listed, _ := process.Hello["detectors"].([]any)
	for _, name := range listed {
		known = append(known, fmt.Sprint(name))
	}
	if slices.Contains(o.River, "all") {
		return known
	}
	return slices.DeleteFunc(slices.Clone(o.River), func(name string) bool {
		if slices.Contains(known, name) {
			return false
		}
		fmt.Fprintf(note, "River has no %s: it is left out\n", name)
		return true
	})
}

// riverFirst returns the first alarms of some of River's detectors, each on as many streams as streams says, of those
// that lie one after another in values. The first of these has the number given.
func riverFirst(process *problem.Process, streams map[string]int, values []float64, length, number int) (map[string][]int, error) {
	var answer struct{ Alarms map[string][]int }
	err := process.Call(riverRequest{Op: "first", Streams: streams, Length: length, Number: number, Data: encode(values)}, &answer)
	for name, n := range streams {
		if err == nil && len(answer.Alarms[name]) != n {
			err = fmt.Errorf("%s judged %d streams of %d", riverPrefix+name, len(answer.Alarms[name]), n)
		}
	}
	return answer.Alarms, err
}

// riverNanoseconds is the time of an update, taken within Python: the pipe is not River's.
func riverNanoseconds(process *problem.Process, name string, values []float64, seconds float64) (float64, error) {
	var answer struct{ Nanoseconds float64 }
	err := process.Call(riverRequest{Op: "time", Detector: name, Seconds: seconds, Data: encode(values)}, &answer)
	return answer.Nanoseconds, err
}

func encode(values []float64) []byte {
	data := make([]byte, 0, 8*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	return data
}
