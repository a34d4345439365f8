package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

// picture is what a listing shows: a value for programs, and a way to write it for people.
type picture struct {
	value any
	write func(w io.Writer) error
}

// looks are how things of a noun are listed and shown.
type looks struct {
	usage, listed, shown string // in a line of help each
	examples             map[string][]string
	within               string // flag of list: only those of that thing; empty: there is none
	withinForm           string // of its name
	list                 func(st *api.Status, within string) (picture, error)
	show                 func(st *api.Status, name string) (picture, error)
}

// command is a noun with all its verbs.
func (n noun) command(e env, l looks) *cli.Command {
	kind := string(n.kind)
	list := &cli.Command{Name: "list", Usage: l.listed, Flags: []cli.Flag{outputFlag()}}
	options := "[-o table|json|yaml]"
	if l.within != "" {
		options = "[--" + l.within + " " + strings.ToUpper(l.within[:1]) + "] " + options
		f := &cli.StringFlag{Name: l.within, Usage: "only those of `" + strings.ToUpper(l.within) + "`" + l.withinForm}
		list.Flags = append([]cli.Flag{f}, list.Flags...)
	}
	list.UsageText = text(kind+" list "+options, l.examples["list"]...)
	list.Action = func(c *cli.Context) error {
		if err := noArgs(c); err != nil {
			return err
		}
		return paint(c, e, func(st *api.Status) (picture, error) { return l.list(st, c.String(l.within)) })
	}
	one := &cli.Command{
		Name:      "show",
		Usage:     l.shown,
		UsageText: text(n.synopsis("show", "[-o table|json|yaml]"), l.examples["show"]...),
		Flags:     []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			name, err := oneArg(c, n.what())
			if err != nil {
				return err
			}
			return paint(c, e, func(st *api.Status) (picture, error) { return l.show(st, name) })
		},
	}
	return &cli.Command{
		Name:        kind,
		Usage:       "list, show, add, set and remove " + l.usage,
		UsageText:   text(kind+" list|show|add|set|remove", l.examples["all"]...),
		Description: fmt.Sprintf("A %s is called by its name, %s, or by its id, which the API and -o json tell.", kind, n.form),
		Subcommands: slices.Concat([]*cli.Command{list, one}, n.verbs(e)),
	}
}

// paint prints what is made of the whole picture.
func paint(c *cli.Context, e env, of func(st *api.Status) (picture, error)) error {
	return show(c, e, func(l api.Look, form string) error {
		st, err := l.Status(c.Context)
		if err != nil {
			return err
		}
		p, err := of(&st)
		if err != nil {
			return err
		}
		return printAs(e.stdout, form, p.value, p.write)
	})
}
