package main

import (
	"fmt"
	"strings"

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
	name := ""
	if c.Command != nil && c.Command.Name != c.App.Name {
		name = strings.TrimPrefix(c.Command.HelpName, "headgate ")
	}
	return &usageError{command: name, err: err}
}

// noArgs refuses arguments where there are none.
func noArgs(c *cli.Context) error {
	if c.Args().Present() {
		return usage(c, "%s takes no argument (got %q)", c.Command.Name, c.Args().First())
	}
	return nil
}

// oneArg gives the only argument.
func oneArg(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usage(c, "%s takes one argument, %s (got %d)", c.Command.Name, what, c.NArg())
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
