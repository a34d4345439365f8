package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

var configColumns = columns("CONFIG", "STATUS", "ALGORITHM", "CHECK", ">NODES", ">TAKE NEW", ">FLOWS", ">NEW/s", ">BYTES/s")

func configRows(configs []api.Config) [][]string {
	rows := make([][]string, len(configs))
	for i, c := range configs {
		t := totalOf(c.Nodes)
		rows[i] = []string{
			c.Name, c.Status, settingOf(c.Settings, "algorithm"), settingOf(c.Settings, "check"), number(uint64(len(c.Nodes))), number(t.takeNew),
			number(t.flows), rate(t.newPerSecond, decimal), rate(t.bytesPerSecond, size),
		}
	}
	return rows
}

// total is what the nodes of a config make together.
type total struct {
	takeNew, flows               uint64
	newPerSecond, bytesPerSecond *float64
}

func totalOf(nodes []api.Node) (t total) {
	add := func(sum **float64, v *float64) {
		if v == nil {
			return
		}
		if *sum == nil {
			*sum = new(float64)
		}
		**sum += *v
	}
	for _, n := range nodes {
		if n.TakesNew {
			t.takeNew++
		}
		t.flows += n.ActiveFlows
		add(&t.newPerSecond, n.NewPerSecond)
		add(&t.bytesPerSecond, n.BytesPerSecond)
	}
	return t
}

// printConfig writes all there is about one config.
func printConfig(w io.Writer, c api.Config, now time.Time) error {
	lines := slices.Concat([][2]string{
		{"config", c.Name},
		{"addresses", strings.Join(c.Addresses, " ")},
		{"status", c.Status + except(c)},
	}, settingLines(c.Settings, configs))
	if err := writeLines(w, lines); err != nil {
		return err
	}
	if len(c.Nodes) == 0 {
		fmt.Fprintf(w, "\nno nodes: headgate node add %s/LABEL --address IP:PORT\n", c.Name)
		return printRefused(w, c.Refused)
	}
	fmt.Fprintln(w)
	if err := writeTable(w, "", nodeColumns, nodeRows(c.Nodes, false, now)); err != nil {
		return err
	}
	return printRefused(w, c.Refused)
}

// printRefused writes what was refused or dropped, and for which reasons, if anything was.
func printRefused(w io.Writer, refused []api.Reason) error {
	if len(refused) == 0 {
		return nil
	}
	rows := make([][]string, len(refused))
	for i, r := range refused {
		rows[i] = []string{number(r.Packets), r.Name, r.Why}
	}
	fmt.Fprintf(w, "\nrefused or dropped so far\n")
	return writeTable(w, "", columns(">PACKETS", "REASON", "OF A PACKET"), rows)
}

// settingLines are what was declared, in the order of the file, without what is in the name.
func settingLines(s api.Settings, n noun) (lines [][2]string) {
	for _, f := range n.settings {
		if value := settingOf(s, f.key); !slices.Contains(n.named, f.key) && value != "-" {
			lines = append(lines, [2]string{f.key, value})
		}
	}
	return lines
}

// settingOf is one of what was declared, or a dash where that is not known.
func settingOf(s api.Settings, key string) string {
	if value, ok := s[key]; ok {
		return fmt.Sprint(value)
	}
	return "-"
}

// writeLines writes names and values.
func writeLines(w io.Writer, lines [][2]string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "%-16s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}
