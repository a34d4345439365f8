package main

import (
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

var nodes = noun{
	kind: api.KindNode, form: "BALANCER/PORT[/udp]/NODE", named: []string{"label"},
	settings: settingsOf(lb.NodeFields, func() *lb.Node {
		n := lb.Node{Weight: lb.DefaultWeight}
		n.SetDefaults()
		return &n
	}),
	set:  "change mode, weight, override, label or address of a node",
	more: drainFlags(),
	examples: map[string][]string{
		"add": {"headgate node add web/80/web-4 --address 192.0.2.14:8080 --weight 100 --wait"},
		"set": {"headgate node set web/80/web-1 --weight 100 --wait",
			"headgate node set web/80/web-1 --mode drain --until-drained --timeout 10m",
			"headgate node set web/80/web-1 --override up",
			"headgate node set dns/53/udp/ns-1 --mode reject"},
		"remove": {"headgate node remove web/80/web-4 --until-drained"},
	},
}

func nodeCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "node",
		Usage:     "list, show, add, set and remove nodes",
		UsageText: text("node list|show|add|set|remove", "headgate node set web/80/web-1 --mode drain --until-drained"),
		Subcommands: slices.Concat([]*cli.Command{
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
				Name:      "show",
				Usage:     "all there is about one node, also why it takes new flows or not",
				UsageText: text("node show NODE [-o table|json|yaml]", "headgate node show web/80/web-1", "headgate node show web/80/192.0.2.11:8080"),
				Flags:     []cli.Flag{outputFlag()},
				Action:    func(c *cli.Context) error { return nodeShow(c, e) },
			},
		}, nodes.verbs(e)),
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
			config, err := st.Config(name)
			if err != nil {
				return err
			}
			nodes = config.Nodes
		}
		return printAs(e.stdout, form, nodes, func(w io.Writer) error {
			return writeTable(w, "", nodeColumns, nodeRows(nodes, true, time.Now()))
		})
	})
}

func nodeShow(c *cli.Context, e env) error {
	name, err := oneArg(c, nodes.what())
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
