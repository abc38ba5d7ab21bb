package agent

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// allArguments stands for --name=value of every active parameter.
const allArguments = "{args}"

// FillIn puts a config into a command line. {name} becomes the value of the parameter and {args} --name=value for
// each active one, sorted: arguments of their own where {args} is a whole argument, otherwise quoted for a shell and
// divided by blanks. The parameters are those of the study's space; one that the config lacks is inactive, and an
// error where the command asks for it. Other braces stay.
func FillIn(command, parameters []string, config map[string]any) ([]string, error) {
	options := make([]string, 0, len(config))
	values := make([]string, 0, 2*len(config)+2)
	for _, name := range slices.Sorted(maps.Keys(config)) {
		text := valueText(config[name])
		options = append(options, "--"+name+"="+text)
		values = append(values, "{"+name+"}", text)
	}
	fill := strings.NewReplacer(append([]string{allArguments, Quote(options)}, values...)...)
	filled := make([]string, 0, len(command)+len(options))
	for _, argument := range command {
		if argument == allArguments {
			filled = append(filled, options...)
			continue
		}
		if name, asked := inactive(argument, parameters, config); asked {
			return nil, fmt.Errorf("{%s} in %q: the parameter %s is inactive in this config: use {args}, which leaves it out", name, argument, name)
		}
		filled = append(filled, fill.Replace(argument))
	}
	if len(filled) == 0 || filled[0] == "" {
		return nil, errors.New("the command is empty: name a program")
	}
	return filled, nil
}

// inactive finds a parameter that the argument asks for and the config lacks.
func inactive(argument string, parameters []string, config map[string]any) (name string, asked bool) {
	i := slices.IndexFunc(parameters, func(name string) bool {
		_, active := config[name]
		return !active && "{"+name+"}" != allArguments && strings.Contains(argument, "{"+name+"}")
	})
	if i < 0 {
		return "", false
	}
	return parameters[i], true
}

// valueText writes numbers with as few digits as give the same number again.
func valueText(v any) string {
	f, ok := v.(float64)
	if !ok {
		return fmt.Sprint(v)
	}
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quote writes a command line so that a POSIX shell reads the same arguments.
func Quote(arguments []string) string {
	quoted := make([]string, len(arguments))
	for i, a := range arguments {
		quoted[i] = a
		if !plain.MatchString(a) {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
