package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

const nodeWord = "the node as BALANCER/PORT[/udp]/NODE"

func nodeCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "node",
		Usage:     "list, show and set nodes",
		UsageText: text("node list|show|set", "headgate node set web/80/web-1 --mode drain --until-drained"),
		Subcommands: []*cli.Command{
			{
				Name:      "list",
				Usage:     "all nodes with mode, health, weight and traffic",
				UsageText: text("node list [--config C] [-o table|json|yaml]", "headgate node list --config web/80"),
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "config", Usage: "only those of `CONFIG`, BALANCER/PORT[/udp]"},
					outputFlag(),
				},
				Action: func(c *cli.Context) error { return nodeList(c, e) },
			},
			{
				Name:         "show",
				Usage:        "all there is about one node, also why it takes new flows or not",
				UsageText:    text("node show NODE [-o table|json|yaml]", "headgate node show web/80/web-1", "headgate node show web/80/192.0.2.11:8080"),
				Flags:        []cli.Flag{outputFlag()},
				Action:       func(c *cli.Context) error { return nodeShow(c, e) },
				BashComplete: completeNodes(e),
			},
			{
				Name:  "set",
				Usage: "change mode, weight or override of a node",
				UsageText: text("node set NODE [--mode M] [--weight N] [--override O] [--wait] [--until-drained [--timeout D]]",
					"headgate node set web/80/web-1 --weight 100 --wait",
					"headgate node set web/80/web-1 --mode drain --until-drained --timeout 10m",
					"headgate node set web/80/web-1 --override up",
					"headgate node set dns/53/udp/ns-1 --mode reject"),
				Description: "Existing flows stay where they are, whatever is set. It lasts until the file is applied again\n" +
					"(at start, on SIGHUP, by apply) and says otherwise.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "mode", Usage: "`MODE`: accept, reject (no new flows, no checks), drain (no new flows), backup"},
					&cli.IntFlag{Name: "weight", DefaultText: "unchanged", Usage: "`N` from 1 to 255"},
					&cli.StringFlag{Name: "override", Usage: "`O`: up or down, whatever the checks find; none, to go by the checks again"},
					&cli.BoolFlag{DisableDefaultText: true, Name: "wait", Usage: "return once the data path runs it (or fail after 5 s)"},
					&cli.BoolFlag{DisableDefaultText: true, Name: "until-drained", Usage: "return once the node's last flow ended"},
					&cli.DurationFlag{Name: "timeout", DefaultText: "never", Usage: "give up --until-drained after `D`"},
				},
				Action:       func(c *cli.Context) error { return nodeSet(c, e) },
				BashComplete: completeNodes(e),
			},
		},
	}
}

func nodeList(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error {
		st, err := l.Status(c.Context)
		if err != nil {
			return err
		}
		nodes := st.Nodes()
		if name := c.String("config"); name != "" {
			config, err := api.FindConfig(st.Configs, name)
			if err != nil {
				return err
			}
			nodes = config.Nodes
		}
		return printAs(e.stdout, form, nodes, func(w io.Writer) error {
			return writeTable(w, "", nodeColumns, nodeRows(nodes, true))
		})
	})
}

func nodeShow(c *cli.Context, e env) error {
	name, err := oneArg(c, nodeWord)
	if err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error {
		st, err := l.Status(c.Context)
		if err != nil {
			return err
		}
		node, err := st.Node(name)
		if err != nil {
			return err
		}
		return printAs(e.stdout, form, node, func(w io.Writer) error { return printNode(w, node, time.Now()) })
	})
}

func nodeSet(c *cli.Context, e env) error {
	name, err := oneArg(c, nodeWord)
	if err != nil {
		return err
	}
	var change api.NodeChange
	if c.IsSet("mode") {
		mode := c.String("mode")
		change.Mode = &mode
	}
	if c.IsSet("weight") {
		weight := c.Int("weight")
		change.Weight = &weight
	}
	if c.IsSet("override") {
		override := c.String("override")
		change.Override = &override
	}
	drained := c.Bool("until-drained")
	if d := c.Duration("timeout"); c.IsSet("timeout") && (!drained || d <= 0) {
		return usage(c, "--timeout %v: must be more than 0, and needs --until-drained", d)
	}
	if change == (api.NodeChange{}) && !drained {
		return usage(c, "node set needs something to set: --mode, --weight or --override")
	}
	client := api.NewClient(c.String("socket"))
	gens, err := client.SetNode(c.Context, name, change)
	if err != nil {
		return err
	}
	if c.Bool("wait") || drained {
		if err := client.WaitApplied(c.Context, gens.Desired); err != nil {
			return err
		}
		gens.Applied = gens.Desired
	}
	if drained {
		ctx, cancel := c.Context, context.CancelFunc(func() {})
		if d := c.Duration("timeout"); d > 0 {
			ctx, cancel = context.WithTimeout(ctx, d)
		}
		defer cancel()
		return untilDrained(ctx, e, client, name)
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %s (%s)\n", name, changed(change), reached(gens))
	return err
}

// changed says what was set.
func changed(change api.NodeChange) string {
	var words []string
	if change.Mode != nil {
		words = append(words, "mode "+*change.Mode)
	}
	if change.Weight != nil {
		words = append(words, fmt.Sprintf("weight %d", *change.Weight))
	}
	if change.Override != nil {
		words = append(words, "override "+*change.Override)
	}
	return strings.Join(words, ", ")
}

// reached says how far a change has come.
func reached(g api.Generations) string {
	if g.Applied >= g.Desired {
		return fmt.Sprintf("generation %d, applied", g.Desired)
	}
	return fmt.Sprintf("generation %d, applied %d: --wait waits for it", g.Desired, g.Applied)
}

// drainPoll is how often the flows of a draining node are counted.
const drainPoll = 200 * time.Millisecond

// untilDrained returns when the node has no active flow.
func untilDrained(ctx context.Context, e env, client *api.Client, name string) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	left := uint64(0)
	for {
		n, err := client.Node(ctx, name)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %s left when time was up; the mode stays as it is", name, plural(int(left), "flow"))
		case err != nil:
			return err
		case n.TakesNew:
			return fmt.Errorf("%s: takes new flows (mode %s) and so never drains: set --mode drain or reject", name, n.Mode)
		case n.ActiveFlows == 0:
			_, err := fmt.Fprintf(e.stdout, "%s: drained\n", name)
			return err
		case n.ActiveFlows != left:
			fmt.Fprintf(e.stderr, "%s: %s left\n", name, plural(int(n.ActiveFlows), "flow"))
		}
		left = n.ActiveFlows
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
