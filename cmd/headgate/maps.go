package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

func mapsCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "maps",
		Usage:     "the pinned BPF maps, decoded",
		UsageText: text("maps list|dump", "headgate maps list", "headgate maps dump services"),
		Subcommands: []*cli.Command{
			{
				Name:      "list",
				Usage:     "what each map is, its entries, fill and memory",
				UsageText: text("maps list [-o table|json|yaml]", "headgate maps list"),
				Flags:     []cli.Flag{outputFlag()},
				Action:    func(c *cli.Context) error { return mapsList(c, e) },
			},
			{
				Name:      "dump",
				Usage:     "the entries in use of one map",
				UsageText: text("maps dump NAME [-o table|json|yaml]", "headgate maps dump nodes"),
				Flags:     []cli.Flag{outputFlag()},
				Action:    func(c *cli.Context) error { return mapsDump(c, e) },
			},
		},
	}
}

func mapsList(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error {
		list, err := l.Maps(c.Context)
		if err != nil {
			return err
		}
		return printAs(e.stdout, form, list, func(w io.Writer) error { return printMaps(w, list) })
	})
}

func printMaps(w io.Writer, list []api.Map) error {
	rows := make([][]string, len(list))
	for i, m := range list {
		what, _, _ := strings.Cut(m.What, ";") // who writes it is told by json and yaml
		fill := "-"
		if m.Entries > 1 {
			fill = fmt.Sprintf("%.1f%%", 100*float64(m.Used)/float64(m.Entries))
		}
		rows[i] = []string{m.Name, number(m.Used), number(m.Entries), fill, size(float64(m.Bytes)), what}
	}
	return writeTable(w, "", columns("NAME", ">USED", ">ENTRIES", ">FILL", ">MEMORY", "~WHAT"), rows)
}

func mapsDump(c *cli.Context, e env) error {
	name, err := oneArg(c, "the name of a map (see `headgate maps list`)")
	if err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error {
		entries := l.DumpMap(c.Context, name)
		if form != asTable {
			return printSequence(e.stdout, form, entries, appendValue)
		}
		for entry, err := range entries {
			if err != nil {
				return err
			}
			if err := printEntry(e.stdout, entry); err != nil {
				return err
			}
		}
		return nil
	})
}

func printEntry(w io.Writer, entry api.Entry) error {
	_, err := fmt.Fprintf(w, "%s  %s\n", entry.Key, entry.Value)
	return err
}
