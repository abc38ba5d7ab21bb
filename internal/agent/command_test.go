package agent

import (
	"maps"
	"math"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFillIn(t *testing.T) {
	t.Parallel()
	config := map[string]any{"lr": 1e-5, "layers": int64(3), "name": "a b", "nesterov": true, "size": uint64(1 << 63)}
	parameters := []string{"layers", "lr", "momentum", "name", "nesterov", "size"}
	all := []string{"--layers=3", "--lr=0.00001", "--name=a b", "--nesterov=true", "--size=9223372036854775808"}
	for _, c := range []struct {
		name    string
		command []string
		want    []string
		err     string
	}{
		{"nothing to fill in", []string{"train", "-x"}, []string{"train", "-x"}, ""},
		{"all", []string{"train", "{args}", "-x"}, append(append([]string{"train"}, all...), "-x"), ""},
		{"all within an argument", []string{"sh", "-c", "train {args} 2>&1"}, []string{"sh", "-c", "train --layers=3 --lr=0.00001 '--name=a b' --nesterov=true --size=9223372036854775808 2>&1"}, ""},
		{"one", []string{"train", "--rate", "{lr}", "{layers}"}, []string{"train", "--rate", "0.00001", "3"}, ""},
		{"within an argument, twice", []string{"train", "x={lr},{layers},{lr}"}, []string{"train", "x=0.00001,3,0.00001"}, ""},
		{"a blank stays in its argument", []string{"train", "{name}"}, []string{"train", "a b"}, ""},
		{"other braces stay", []string{"train", "{}", "{lr", "{LR}", `{"a": {lr}}`}, []string{"train", "{}", "{lr", "{LR}", `{"a": 0.00001}`}, ""},
		{"the program too", []string{"./{name}"}, []string{"./a b"}, ""},
		{"inactive", []string{"train", "--momentum={momentum}"}, nil, `{momentum} in "--momentum={momentum}": the parameter momentum is inactive in this config: use {args}`},
		{"nothing", nil, nil, "the command is empty"},
		{"no program", []string{""}, nil, "the command is empty"},
	} {
		got, err := FillIn(c.command, parameters, config)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q %v", c.name, got, err)
		}
	}
	if got, err := FillIn([]string{"t", "{args}"}, []string{"x"}, nil); err != nil || !slices.Equal(got, []string{"t"}) {
		t.Errorf("no active parameter: %q %v", got, err)
	}
	if got, err := FillIn([]string{"t", "{args}", "x={args}"}, []string{"args"}, map[string]any{"args": int64(1)}); err != nil || !slices.Equal(got, []string{"t", "--args=1", "x=--args=1"}) {
		t.Errorf("a parameter named args: %q %v", got, err)
	}
	// A value is not filled in again.
	got, err := FillIn([]string{"t", "{a}"}, []string{"a", "b"}, map[string]any{"a": "{b}{args}", "b": "x"})
	if err != nil || got[1] != "{b}{args}" {
		t.Errorf("%q %v", got, err)
	}
}

func TestNumbersAreWrittenShortAndExact(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0.1: "0.1", 1: "1", 1e6: "1000000", 1e-5: "0.00001", 1e-7: "1e-07", 1e300: "1e+300", 1.0 / 3: "0.3333333333333333", -2.5: "-2.5", 0: "0"} {
		if got := valueText(f); got != want {
			t.Errorf("%g: %s", f, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		if back, err := strconv.ParseFloat(valueText(f), 64); err != nil || math.Float64bits(back) != math.Float64bits(f) {
			t.Fatalf("%g: %s %v", f, valueText(f), err)
		}
	})
}

func TestNoPlaceholderOfAParameterIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parameters := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c]{1,2}`), 1, 6, rapid.ID).Draw(t, "parameters")
		config := map[string]any{}
		for _, name := range parameters {
			if rapid.Bool().Draw(t, "active") {
				config[name] = rapid.Float64().Draw(t, "value")
			}
		}
		argument := rapid.StringMatching(`([{}a-c]|\{[a-c]{1,2}\}){0,8}`).Draw(t, "argument")
		filled, err := FillIn([]string{"p", argument}, parameters, config)
		if err != nil {
			return
		}
		for _, name := range parameters {
			if strings.Contains(filled[1], "{"+name+"}") {
				t.Fatalf("%q of %q with %v", filled[1], argument, slices.Sorted(maps.Keys(config)))
			}
		}
	})
}

func TestAShellReadsAQuotedCommandAsItWas(t *testing.T) {
	t.Parallel()
	want := []string{"a", "", "it's", `"x" $HOME \ {lr}`, "--lr=1e-05", "*", "é\nb"}
	got, err := exec.Command("sh", "-c", `printf '%s\0' `+Quote(want)).Output()
	if err != nil || string(got) != strings.Join(want, "\x00")+"\x00" {
		t.Errorf("%q %v", got, err)
	}
	if quoted := Quote([]string{"train.py", "--lr=0.1", "a b"}); quoted != `train.py --lr=0.1 'a b'` {
		t.Error(quoted)
	}
}
