package strategy

import (
	"math"
	"reflect"
)

// scalar reduces a decoded value to one of the four types of config values. Decoders differ in the Go
// types of numbers; what int64 cannot hold becomes float64.
func scalar(v any) (any, bool) {
	switch x := reflect.ValueOf(v); {
	case x.CanInt():
		return x.Int(), true
	case x.CanUint() && x.Uint() <= math.MaxInt64:
		return int64(x.Uint()), true
	case x.CanUint():
		return float64(x.Uint()), true
	case x.CanFloat():
		return x.Float(), true
	case x.Kind() == reflect.String:
		return x.String(), true
	case x.Kind() == reflect.Bool:
		return x.Bool(), true
	}
	return nil, false
}

// number reads any Go number; it may be NaN or infinite.
func number(v any) (float64, bool) {
	known, _ := scalar(v)
	switch x := known.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

func finiteNumber(v any) (float64, bool) {
	f, ok := number(v)
	return f, ok && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// finite makes a number that nothing can be trained with one that is none the less a number: NaN
// becomes 0, an infinity the largest number there is.
func finite(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, -math.MaxFloat64), math.MaxFloat64)
}

// integer reads any Go number that is whole and fits int64, such as Python's 3.0.
func integer(v any) (int64, bool) {
	i, ok := identity(v).(int64)
	return i, ok
}

// identity maps equal values to the same key, so that 1 and 1.0 are one; nil if v is no config value.
func identity(v any) any {
	known, _ := scalar(v)
	f, ok := known.(float64)
	if ok && f == math.Trunc(f) && f >= math.MinInt64 && f < math.MaxInt64 {
		return int64(f)
	}
	return known
}
