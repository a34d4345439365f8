package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

func stickyCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "sticky",
		Usage:     "which clients stick to which nodes",
		UsageText: text("sticky list|remove", "headgate sticky list --node web/80/web-1"),
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "the stick entries, read from their table",
				UsageText: text("sticky list [--config C] [--node N] [--client ADDR] [--limit N] [-o table|json|yaml]",
					"headgate sticky list --node web/80/web-1 --limit 20", "headgate sticky list --client 198.51.100.7 -o json"),
				Description: "An entry has the new flows of a client go to its node, where the config's stickiness is table or\n" +
					"source_ip. HOLDS says whether it does so now: not while the node is in mode reject, for example. Left\n" +
					"out are entries that are dead: their time is over, their node was DOWN since, or the backups made\n" +
					"them in an earlier turn. Without a daemon it reads the pinned maps.",
				Flags:  append(stickFlags(), &cli.IntFlag{Name: "limit", DefaultText: "all", Usage: "at most `N`"}, outputFlag()),
				Action: func(c *cli.Context) error { return stickyList(c, e) },
			},
			{
				Name:  "remove",
				Usage: "take stick entries away",
				UsageText: text("sticky remove [--config C] [--node N] [--client ADDR] [--yes] [-o table|json|yaml]",
					"headgate sticky remove --client 198.51.100.7", "headgate sticky remove --node web/80/web-1", "headgate sticky remove --yes"),
				Description: "The next new flows of their clients are scheduled anew; established flows stay where they are. With\n" +
					"none of the three it removes all, and asks first. Without a daemon it works on the pinned maps.",
				Flags:  append(stickFlags(), yesFlag(), outputFlag()),
				Action: func(c *cli.Context) error { return stickyRemove(c, e) },
			},
		},
	}
}

func stickFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "only those of `CONFIG`, BALANCER/PORT[/udp]"},
		&cli.StringFlag{Name: "node", Usage: "only those to `NODE`, BALANCER/PORT[/udp]/NODE"},
		&cli.StringFlag{Name: "client", Usage: "only those of `ADDR`"},
	}
}

func stickQuery(c *cli.Context) (api.StickQuery, error) {
	q := api.StickQuery{Config: c.String("config"), Node: c.String("node"), Limit: c.Int("limit")}
	if err := noArgs(c); err != nil {
		return q, err
	}
	if q.Limit < 0 {
		return q, usage(c, "--limit %d: must be 0 or more", q.Limit)
	}
	if s := c.String("client"); s != "" {
		var err error
		if q.Client, err = netip.ParseAddr(s); err != nil {
			return q, usage(c, "--client %s: must be an IP address", s)
		}
	}
	return q, nil
}

func stickyList(c *cli.Context, e env) error {
	q, err := stickQuery(c)
	if err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error { return printSticks(e.stdout, form, l.Sticks(c.Context, q)) })
}

var stickColumns = columns("CLIENT", "NODE", "ADDRESS", "HOLDS", ">AGE", ">LEFT")

// printSticks writes entries while they come in: there may be a million.
func printSticks(w io.Writer, form string, seq iter.Seq2[api.Stick, error]) error {
	if form != asTable {
		return printSequence(w, form, seq, appendValue)
	}
	t := longTable{w: w, cols: stickColumns}
	for s, err := range seq {
		if err != nil {
			return err
		}
		holds := "no"
		if s.Holds {
			holds = "yes"
		}
		b := t.end(s.Client.AppendTo(t.cells))
		b = t.end(append(b, s.Node...))
		b = t.end(s.Address.AppendTo(b))
		b = t.end(append(b, holds...))
		b = t.end(appendSpan(b, time.Duration(s.AgeMS)*time.Millisecond))
		t.cells = t.end(appendSpan(b, time.Duration(s.LeftMS)*time.Millisecond))
		if err := t.endRow(); err != nil {
			return err
		}
	}
	return t.flush()
}

func stickyRemove(c *cli.Context, e env) error {
	q, err := stickQuery(c)
	if err != nil {
		return err
	}
	q.All = !q.Selects()
	if q.All && !c.Bool("yes") {
		if !e.terminal {
			return errors.New("sticky remove takes away all entries: say --yes where nobody can be asked, or name a --config, --node or --client")
		}
		if err := confirmed(c, e, "Take away the stick entries of all clients? Their next new flows may go to other nodes."); err != nil {
			return err
		}
	}
	return show(c, e, func(l api.Look, form string) error {
		done, err := l.RemoveSticks(c.Context, q)
		if err != nil {
			return err
		}
		return printAs(e.stdout, form, done, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s removed\n", stickEntries(uint64(done.Removed)))
			return err
		})
	})
}

func stickEntries(n uint64) string {
	if n == 1 {
		return "1 stick entry"
	}
	return number(n) + " stick entries"
}
