package main

import (
	"cmp"
	"embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/config"
)

//go:embed completion
var scripts embed.FS

var shells = []string{"bash", "zsh", "fish"}

func completionCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print what lets a shell complete commands, flags and names",
		UsageText: text("completion bash|zsh|fish", "source <(headgate completion bash)", "headgate completion fish > ~/.config/fish/completions/headgate.fish"),
		Description: "For all users: bash reads /usr/share/bash-completion/completions/headgate, zsh a file _headgate in\n" +
			"its fpath. Names of balancers, configs and nodes come from the daemon, for those who may ask it.",
		Action: func(c *cli.Context) error {
			shell, err := oneArg(c, "the shell: "+strings.Join(shells, ", "))
			if err != nil {
				return err
			}
			if !slices.Contains(shells, shell) {
				return usage(c, "%s: must be one of %s", shell, strings.Join(shells, ", "))
			}
			script, err := scripts.ReadFile("completion/headgate." + shell)
			if err != nil {
				return err
			}
			_, err = e.stdout.Write(script)
			return err
		},
	}
}

// asked is the command by which the scripts ask for what may stand where a person types.
const asked = "__complete"

// answer writes what may stand in place of the last word, each with what it is behind a tab.
func answer(w io.Writer, app *cli.App, words []string) error {
	t := typed{app: app, commands: app.Commands, flags: app.Flags, socket: cmp.Or(os.Getenv(socketVariable), config.DefaultSocket)}
	for _, word := range words[:len(words)-1] {
		t.take(word)
	}
	for _, c := range t.offers(words[len(words)-1]) {
		line := c.text
		if c.what != "" {
			line += "\t" + c.what
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// typed is how far a command line has come.
type typed struct {
	app      *cli.App
	commands []*cli.Command // that may follow
	flags    []cli.Flag     // of the command so far
	path     []string       // the command
	args     int            // behind it
	pending  cli.Flag       // wants its value
	literal  bool           // behind --
	socket   string         // of the daemon that knows the names
}

// take goes on by a word.
func (t *typed) take(word string) {
	switch {
	case t.pending != nil:
		t.set(t.pending, word)
		t.pending = nil
	case word == "--" && !t.literal:
		t.literal = true
	case strings.HasPrefix(word, "-") && !t.literal:
		name, value, whole := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch flag := t.flag(name); {
		case whole:
			t.set(flag, value)
		case takesValue(flag):
			t.pending = flag
		}
	default:
		c := findCommand(t.commands, word)
		if c == nil || t.args > 0 || t.literal {
			t.args++
			return
		}
		t.path = append(t.path, c.Name)
		t.commands, t.flags = c.Subcommands, c.Flags
	}
}

func (t *typed) flag(name string) cli.Flag {
	if f := findFlag(t.flags, name); f != nil {
		return f
	}
	return findFlag(t.app.Flags, name)
}

func (t *typed) set(flag cli.Flag, value string) {
	if flag != nil && flag.Names()[0] == "socket" {
		t.socket = value
	}
}

// offers are what may stand where the word begins that is typed.
func (t *typed) offers(word string) []candidate {
	switch name, value, whole := strings.Cut(word, "="); {
	case t.pending != nil:
		return matching(t.valuesOf(t.pending), word)
	case t.literal:
	case strings.HasPrefix(word, "-") && whole:
		flag := t.flag(strings.TrimLeft(name, "-"))
		if !takesValue(flag) {
			return nil
		}
		return prefixed(name+"=", matching(t.valuesOf(flag), value))
	case strings.HasPrefix(word, "-"):
		return matching(t.flagNames, word)
	case len(t.commands) > 0 && t.args == 0:
		return matching(t.commandNames, word)
	}
	if t.args > 0 {
		return nil
	}
	return matching(t.argument, word)
}

func (t *typed) commandNames() (out []candidate) {
	for _, c := range t.commands {
		if !c.Hidden {
			out = append(out, candidate{c.Name, c.Usage})
		}
	}
	return out
}

func (t *typed) flagNames() (out []candidate) {
	for _, f := range t.flags {
		what := ""
		if d, ok := f.(cli.DocGenerationFlag); ok {
			what = strings.ReplaceAll(d.GetUsage(), "`", "")
		}
		out = append(out, candidate{"--" + f.Names()[0], what})
	}
	return append(out, candidate{"--help", "show help"})
}
