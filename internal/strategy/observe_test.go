package strategy

import (
	"math"
	"reflect"
	"testing"
)

func TestObservations(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	r := Request{
		Goal: Maximize,
		Prior: []Trial{
			{Number: 7, Value: 3, State: Complete},
			{Number: 8, Value: inf, State: Complete},
			{Number: 9, Value: 1, State: Pruned},
		},
		History: []Trial{
			{Number: 0, Value: 2, State: Complete},
			{Number: 1, Value: nan, State: Complete},
			{Number: 3, Value: math.MaxFloat64, State: Complete},
			{Number: 4, Value: -5, State: Pruned},
			{Number: 5, Value: -inf, State: Pruned},
			{Number: 6, Value: 9, State: Failed},
			{Number: 7, Value: 9, State: Pending},
		},
	}
	want := []observation{
		{number: 7, value: -3, state: Complete, prior: true},
		{number: 0, value: -2, state: Complete},
		{number: 1, value: nan, state: Failed},
		{number: 3, value: -hugeValue, state: Complete},
		{number: 4, value: 5, state: Pruned},
		{number: 5, value: nan, state: Pruned},
		{number: 6, value: nan, state: Failed},
		{number: 7, value: nan, state: Pending},
	}
	got := r.observations()
	if len(got) != len(want) {
		t.Fatalf("%d observations: %v", len(got), got)
	}
	for i := range want {
		same := got[i].value == want[i].value || math.IsNaN(got[i].value) && math.IsNaN(want[i].value)
		got[i].value, want[i].value = 0, 0
		if !same || !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("observation %d is %+v", i, got[i])
		}
	}
}
