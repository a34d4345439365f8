package main

import (
	"io"
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
	return nodes.command(e, looks{
		usage:  "nodes",
		listed: "all nodes with mode, health, weight and traffic",
		shown:  "all there is about one node, also why it takes new flows or not",
		examples: map[string][]string{
			"all": {"headgate node set web/80/web-1 --mode drain --until-drained"}, "list": {"headgate node list --config web/80"},
			"show": {"headgate node show web/80/web-1", "headgate node show web/80/192.0.2.11:8080"},
		},
		within: "config", withinForm: ", BALANCER/PORT[/udp]",
		list: func(st *api.Status, within string) (picture, error) {
			listed := st.Nodes()
			if within != "" {
				config, err := st.Config(within)
				if err != nil {
					return picture{}, err
				}
				listed = config.Nodes
			}
			return picture{listed, func(w io.Writer) error { return writeTable(w, "", nodeColumns, nodeRows(listed, true, time.Now())) }}, nil
		},
		show: func(st *api.Status, name string) (picture, error) {
			node, err := st.Node(name)
			return picture{node, func(w io.Writer) error { return printNode(w, node, time.Now()) }}, err
		},
	})
}
