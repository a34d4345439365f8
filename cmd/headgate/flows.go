package main

import (
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

func flowsCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "flows",
		Usage: "the live flows, read from the flow table",
		UsageText: text("flows [--config C] [--node N] [--client ADDR] [--state S] [--sort WHAT] [--limit N] [--count] [-o table|json|yaml]",
			"headgate flows --node web/80/web-1 --sort bytes --limit 20", "headgate flows --client 198.51.100.7 -o json", "headgate flows --count"),
		Description: "A flow is a TCP connection or a UDP session. AGE is since it was made, IDLE since its last packet;\n" +
			"IN is from the client to the node, OUT back. A removed node's flows show until the last one ends.\n" +
			"It reads the flow table in the kernel's memory, with or without a daemon.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "only those of `CONFIG`, BALANCER/PORT[/udp]"},
			&cli.StringFlag{Name: "node", Usage: "only those of `NODE`, BALANCER/PORT[/udp]/NODE"},
			&cli.StringFlag{Name: "client", Usage: "only those from `ADDR`"},
			&cli.StringFlag{Name: "state", Usage: "only those in `STATE`: " + strings.Join(api.FlowStates, ", ")},
			&cli.StringFlag{Name: "sort", DefaultText: "in no order", Usage: "those with most `WHAT` first: " + strings.Join(api.FlowSorts, ", ")},
			&cli.IntFlag{Name: "limit", DefaultText: "all", Usage: "at most `N`"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "count", Usage: "count them by node and state"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error { return flows(c, e) },
	}
}

func flows(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	q := api.FlowQuery{
		Config: c.String("config"), Node: c.String("node"), State: c.String("state"), Sort: c.String("sort"), Limit: c.Int("limit"),
	}
	if q.State != "" && !slices.Contains(api.FlowStates, q.State) {
		return usage(c, "--state %s: must be one of %s", q.State, strings.Join(api.FlowStates, ", "))
	}
	if q.Sort != "" && !slices.Contains(api.FlowSorts, q.Sort) {
		return usage(c, "--sort %s: must be one of %s", q.Sort, strings.Join(api.FlowSorts, ", "))
	}
	if c.Bool("count") && (q.Sort != "" || q.Limit != 0) {
		return usage(c, "--sort and --limit are for flows one by one: leave them out with --count")
	}
	if q.Limit < 0 {
		return usage(c, "--limit %d: must be 0 or more", q.Limit)
	}
	if s := c.String("client"); s != "" {
		var err error
		if q.Client, err = netip.ParseAddr(s); err != nil {
			return usage(c, "--client %s: must be an IP address", s)
		}
	}
	byName(c, &q.Config, &q.Node)
	return showBy(lookAtFlows, c, e, func(l api.Look, form string) error {
		if c.Bool("count") {
			counts, err := l.CountFlows(c.Context, q)
			if err != nil {
				return err
			}
			return printAs(e.stdout, form, counts, func(w io.Writer) error { return printCounts(w, counts) })
		}
		return printFlows(e.stdout, form, l.Flows(c.Context, q))
	})
}

// printCounts writes a row for each node and the sum.
func printCounts(w io.Writer, counts []api.FlowCount) error {
	cols := []column{{title: "NODE"}}
	for _, s := range api.FlowStates {
		cols = append(cols, column{title: strings.ToUpper(s), right: true})
	}
	cols = append(cols, column{title: "ALL", right: true})
	sums := map[string][]uint64{}
	var order []string
	total := make([]uint64, len(api.FlowStates)+1)
	for _, c := range counts {
		if sums[c.Node] == nil {
			sums[c.Node] = make([]uint64, len(total))
			order = append(order, c.Node)
		}
		for _, sum := range [][]uint64{sums[c.Node], total} {
			if i := slices.Index(api.FlowStates, c.State); i >= 0 {
				sum[i] += c.Flows
			}
			sum[len(sum)-1] += c.Flows
		}
	}
	var rows [][]string
	for _, node := range order {
		rows = append(rows, countRow(node, sums[node]))
	}
	rows = append(rows, countRow("all", total))
	return writeTable(w, "", cols, rows)
}

func countRow(name string, sums []uint64) []string {
	row := []string{name}
	for _, n := range sums {
		row = append(row, strconv.FormatUint(n, 10))
	}
	return row
}
