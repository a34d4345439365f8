package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts flags before arguments, and the flags of the app first of all, since the library
// stops reading flags at the first argument and people write `node set web/80/web-1 --mode drain`.
func arrange(app *cli.App, args []string) ([]string, error) {
	var globals, path, flags, rest []string
	commands, known := app.Commands, []cli.Flag(nil)
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(arg) > 1 && arg[0] == '-' {
			name, _, whole := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			into, flag := &flags, findFlag(known, name)
			if flag == nil {
				if flag = findFlag(app.Flags, name); flag != nil {
					into = &globals
				}
			}
			*into = append(*into, arg)
			if takesValue(flag) && !whole {
				if i+1 == len(args) {
					// Or else what is put behind it would be its value.
					return nil, &usageError{command: strings.Join(path, " "), err: fmt.Errorf("%s needs a value", dashes(name))}
				}
				i++
				*into = append(*into, args[i])
			}
			continue
		}
		if c := findCommand(commands, arg); c != nil && len(rest) == 0 {
			path = append(path, arg)
			commands, known = c.Subcommands, c.Flags
			continue
		}
		rest = append(rest, arg)
	}
	if len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		rest = append([]string{"--"}, rest...)
	}
	return slices.Concat(globals, path, flags, rest), nil
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func findCommand(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}
