package observer

import (
	"math"
	"math/rand/v2"
)

// autoStreams are healthy models: each has a series of values that nothing happens to.
var autoStreams = map[string]func(*rand.Rand) func() float64{
	"gaussian":        func(r *rand.Rand) func() float64 { return r.NormFloat64 },
	"exponential":     func(r *rand.Rand) func() float64 { return r.ExpFloat64 },
	"log-normal":      func(r *rand.Rand) func() float64 { return func() float64 { return math.Exp(r.NormFloat64()) } },
	"student t3":      studentT3,
	"AR(-0.4)":        autoregressive(-0.4),
	"AR(0.3)":         autoregressive(0.3),
	"AR(0.5)":         autoregressive(0.5),
	"AR(0.8)":         autoregressive(0.8),
	"MA(0.5)":         movingAverage,
	"log-AR(0.5)":     logAutoregressive,
	"rounded":         func(r *rand.Rand) func() float64 { return func() float64 { return math.Round(r.NormFloat64()) } },
	"accuracy of 200": accuracyOf200,
	"1 in 10": func(r *rand.Rand) func() float64 {
		return func() float64 { return math.Floor(r.Float64() + 0.1) }
	},
}

func studentT3(r *rand.Rand) func() float64 {
	return func() float64 {
		a, b, c := r.NormFloat64(), r.NormFloat64(), r.NormFloat64()
		return r.NormFloat64() / math.Sqrt((a*a+b*b+c*c)/3)
	}
}

func autoregressive(phi float64) func(*rand.Rand) func() float64 {
	return func(r *rand.Rand) func() float64 {
		x := r.NormFloat64()
		return func() float64 {
			x = phi*x + math.Sqrt(1-phi*phi)*r.NormFloat64()
			return x
		}
	}
}

func movingAverage(r *rand.Rand) func() float64 {
	before := r.NormFloat64()
	return func() float64 {
		e := r.NormFloat64()
		x := (e + 0.5*before) / math.Sqrt(1.25)
		before = e
		return x
	}
}

func logAutoregressive(r *rand.Rand) func() float64 {
	x := autoregressive(0.5)(r)
	return func() float64 { return math.Exp(x()) }
}

// accuracyOf200 is the error rate of a model that is right in 95 % of 200 cases.
func accuracyOf200(r *rand.Rand) func() float64 {
	return func() float64 {
		wrong := 0.0
		for range 200 {
			if r.Float64() < 0.05 {
				wrong++
			}
		}
		return wrong / 200
	}
}

// falseAlarms follows models with stream after their warm-up, each until its first alarm or horizon. A rate is
// alarms/reports.
func falseAlarms(d *auto, stream func(*rand.Rand) func() float64, models, horizon int, seed uint64) (alarms, reports float64) {
	room := d.fresh()
	for i := range models {
		next := stream(rand.New(rand.NewPCG(seed, uint64(i))))
		memory, v := room[:0], verdict{}
		for range d.warmUp {
			memory, _ = d.update(memory, next())
		}
		for t := 0; t < horizon && !v.degraded; t++ {
			memory, v = d.update(memory, next())
			reports++
		}
		if v.degraded {
			alarms++
		}
	}
	return alarms, reports
}

// delays are how many reports after the healthy first ones it takes to find a change, which is added to the values;
// horizon where it is not found. Models with a false alarm are left out.
func delays(d *auto, stream func(*rand.Rand) func() float64, change func(t int) float64, models, healthy, horizon int) (all []float64) {
	room := d.fresh()
	for i := range models {
		next := stream(rand.New(rand.NewPCG(9, uint64(i))))
		memory, v, early := room[:0], verdict{}, false
		for range healthy {
			memory, v = d.update(memory, next())
			early = early || v.degraded
		}
		t := 0
		for !early && t < horizon && !v.degraded {
			t++
			memory, v = d.update(memory, next()+change(t))
		}
		if !early {
			all = append(all, float64(t))
		}
	}
	return all
}
