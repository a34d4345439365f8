package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"
)

// usageError is a wrong use of a command: exit code 2.
type usageError struct {
	command string // whose --help tells more
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(c *cli.Context, format string, args ...any) error {
	return onUsageError(c, fmt.Errorf(format, args...), false)
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	return &usageError{command: commandName(c), err: plainer(err)}
}

// commandName is the whole name, as in node set; empty for the app itself.
func commandName(c *cli.Context) string {
	if c.Command == nil || c.Command.Name == c.App.Name {
		return ""
	}
	return strings.TrimPrefix(c.Command.HelpName, "headgate ")
}

// wrongValue is how the library says that a flag's value cannot be read.
var wrongValue = regexp.MustCompile(`^invalid (boolean )?value ("(?:.*)") for (?:flag )?-(\S+): `)

// unknownFlag and noValue are how the library says that there is no such flag, or no value behind one.
var (
	unknownFlag = regexp.MustCompile(`^flag provided but not defined: -(\S+)$`)
	noValue     = regexp.MustCompile(`^flag needs an argument: -(\S+)$`)
)

// dashes is a flag as people write it.
func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// values says what the values of those flags must be that are not texts; the others take none.
var values = map[string]string{
	"count":    "must be a number from 1",
	"duration": "must be a duration such as 30s or 10m",
	"limit":    "must be a number from 0",
	"ttl":      "must be a number from 0 to 255",
	"payload":  "must be a number from 0 to 3000",
	"rate":     "must be a number from 1",
	"sample":   "must be a number from 1",
	"snap":     "must be a number from 64 to 2048",
	"number":   "must be a number from 1",
	"interval": "must be a duration such as 500ms or 2s",
	"timeout":  "must be a duration such as 30s or 10m",
}

// plainer says in our words what the library says about a flag's value.
func plainer(err error) error {
	if m := unknownFlag.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("no flag %s", dashes(m[1]))
	}
	if m := noValue.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s needs a value", dashes(m[1]))
	}
	m := wrongValue.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	value, unquoteErr := strconv.Unquote(m[2])
	if unquoteErr != nil || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		value = m[2]
	}
	must := values[m[3]]
	if must == "" || m[1] != "" {
		must = "takes no value"
	}
	return fmt.Errorf("--%s %s: %s", m[3], value, must)
}

// noArgs refuses arguments where there are none.
func noArgs(c *cli.Context) error {
	if c.Args().Present() {
		return usage(c, "%s takes no argument (got %q)", commandName(c), c.Args().First())
	}
	return nil
}

// oneArg gives the only argument.
func oneArg(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usage(c, "%s takes one argument, %s (got %d)", commandName(c), what, c.NArg())
	}
	return c.Args().First(), nil
}

// text is the UsageText of a command: its synopsis and an example.
func text(synopsis string, examples ...string) string {
	noun := "Example"
	if len(examples) > 1 {
		noun = "Examples"
	}
	return "headgate " + synopsis + "\n\n" + noun + ":\n   " + strings.Join(examples, "\n   ")
}
