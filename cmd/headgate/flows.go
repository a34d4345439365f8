package main

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

func flowsCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "flows",
		Usage: "the live flows, read from the flow table",
		UsageText: text("flows [--config C] [--node N] [--client ADDR] [--state S] [--limit N] [--count] [-o table|json|yaml]",
			"headgate flows --node web/80/web-1 --limit 20", "headgate flows --client 198.51.100.7 -o json", "headgate flows --count"),
		Description: "A flow is a TCP connection or a UDP session. PACKETS and BYTES count both ways. In a table a\n" +
			"removed node's flows show until the last one ends. Without a daemon it reads the pinned maps.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "only those of `CONFIG`, BALANCER/PORT[/udp]"},
			&cli.StringFlag{Name: "node", Usage: "only those of `NODE`, BALANCER/PORT[/udp]/NODE"},
			&cli.StringFlag{Name: "client", Usage: "only those from `ADDR`"},
			&cli.StringFlag{Name: "state", Usage: "only those in `STATE`: " + strings.Join(api.FlowStates, ", ")},
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
	q := api.FlowQuery{Config: c.String("config"), Node: c.String("node"), State: c.String("state"), Limit: c.Int("limit")}
	if q.State != "" && !slices.Contains(api.FlowStates, q.State) {
		return usage(c, "--state %s: must be one of %s", q.State, strings.Join(api.FlowStates, ", "))
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
	return show(c, e, func(l api.Look, form string) error {
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

// flowBatch is how many flows decide the widths of the columns, and how many are written at once.
const flowBatch = 1000

// printFlows writes flows while they come in: there may be a million.
func printFlows(w io.Writer, form string, seq iter.Seq2[api.Flow, error]) error {
	if form != asTable {
		return printSequence(w, form, seq)
	}
	cols := columns("CLIENT", "NODE", "ADDRESS", "STATE", ">AGE", ">IDLE", ">PACKETS", ">BYTES")
	var wide []int
	var rows [][]string
	flush := func() error {
		first := wide == nil
		if first {
			wide = widths(w, "", cols, rows)
		}
		err := writeRows(w, "", cols, wide, rows, first)
		rows = rows[:0]
		return err
	}
	for f, err := range seq {
		if err != nil {
			return err
		}
		rows = append(rows, []string{
			f.Client.String(), f.NodeName, f.Node.String(), f.State,
			span(time.Duration(f.AgeMS) * time.Millisecond), span(time.Duration(f.IdleMS) * time.Millisecond),
			number(f.PacketsIn + f.PacketsOut), size(float64(f.BytesIn + f.BytesOut)),
		})
		if len(rows) == flowBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// printSequence writes a sequence as one JSON or YAML list, a value at a time.
func printSequence[T any](w io.Writer, form string, seq iter.Seq2[T, error]) error {
	if form == asYAML {
		var all []T
		for v, err := range seq {
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return printAs(w, form, append([]T{}, all...), nil)
	}
	before := "[\n  "
	for v, err := range seq {
		if err != nil {
			return err
		}
		data, err := encode(v, "")
		if err != nil {
			return fmt.Errorf("write json: %w", err)
		}
		if _, err := fmt.Fprintf(w, "%s%s", before, bytes.TrimSuffix(data, []byte("\n"))); err != nil {
			return err
		}
		before = ",\n  "
	}
	after := "\n]\n"
	if before == "[\n  " {
		after = "[]\n"
	}
	_, err := io.WriteString(w, after)
	return err
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
