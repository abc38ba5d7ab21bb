package strategy

import (
	"encoding/json"
	"os"
)

// TEMPORARY: for experiments.
var tune = func() (t struct {
	Mean                          bool
	MeanVar                       float64
	Gamma                         bool
	ScaleMean, ScaleDim, ScaleDev float64
	Additive                      bool
	SingleMean, SingleDev         float64
	AddMean, AddDev               float64
	VarMean, VarDev               float64
	NoiseMean, NoiseDev, NoiseMin float64
	WarpMean, WarpDev, WarpStart  float64
	Warp                          string
	Mix                           int
	MixWarp                       string
	WarpQ                         float64
	Starts, FitIterations         int
	InitMin, InitMax              int
	MaxPoints, FitPoints          int
	RefitEach                     int
	RefitGrowth                   float64
	Tops, Global, Local, Climbs   int
	ClimbIterations               int
	Enumerate                     int
	Apart, Changed                float64
	Scales                        []float64
	SmoothLevels, AllLevels       int
}) {
	t.MeanVar = 1
	t.MixWarp = "none"
	t.SingleMean, t.SingleDev = -0.7, 1
	t.AddDev = 1
	t.ScaleMean, t.ScaleDim, t.ScaleDev = -0.3, 1, 1
	t.VarDev = 1
	t.NoiseMean, t.NoiseDev, t.NoiseMin = -9, 3, 1e-8
	t.Warp = "log"
	t.WarpQ = 0.5
	t.WarpMean, t.WarpDev, t.WarpStart = 0, 2, 0
	t.Starts, t.FitIterations = 1, 50
	t.InitMin, t.InitMax = 4, 12
	t.MaxPoints, t.FitPoints = 350, 200
	t.RefitEach, t.RefitGrowth = 50, 0.07
	t.Tops, t.Global, t.Local, t.Climbs = 5, 256, 256, 4
	t.ClimbIterations = 40
	t.Enumerate = 1000
	t.Apart, t.Changed = 0.01, 20
	t.Scales = []float64{0.2, 0.05, 0.01, 0.002}
	t.SmoothLevels, t.AllLevels = 50, 16
	if v := os.Getenv("GPTUNE"); v != "" {
		if err := json.Unmarshal([]byte(v), &t); err != nil {
			panic(err)
		}
	}
	return t
}()
