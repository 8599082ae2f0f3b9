package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is a flag that has one of a few values.
type choice struct {
	value *string
	of    []string
}

// choose adds a flag that has one of a few values, which are completed too; short may be empty.
func choose(cmd *cobra.Command, into *string, name, short, usage string, of ...string) {
	cmd.Flags().VarP(choice{into, of}, name, short, usage)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp))
}

func (c choice) String() string { return *c.value }
func (c choice) Type() string   { return "string" }

func (c choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return errors.New(oneOf(c.of))
	}
	*c.value = s
	return nil
}

// oneOf lists what may be written: a, b or c.
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// wrongFlag says what is wrong with a command's flags.
func wrongFlag(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	}
	want := bad.Unwrap().Error()
	switch kind := bad.GetFlag().Value.Type(); {
	case (kind == "int" || kind == "uint64") && strings.Trim(bad.GetValue(), "0123456789") == "" && bad.GetValue() != "":
		want = "a smaller number"
	case kind == "int":
		want = "a whole number"
	case kind == "uint64":
		want = "a whole number from 0"
	case kind == "duration":
		want = "a duration, like 500ms or 10s"
	case kind == "bool":
		want = "true or false"
	}
	return usagef("--%s %s: write %s", bad.GetFlag().Name, bad.GetValue(), want)
}

// within refuses a number that is out of a flag's bounds.
func within(flag string, n, least, most int) error {
	if n < least || n > most {
		return usagef("--%s %d: choose one from %d to %d", flag, n, least, most)
	}
	return nil
}
