package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/daemon"
)

// screen is about how many nodes status shows before it leaves out those that are well.
const screen = 40

func statusCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "interfaces, configs, nodes, traffic and warnings on one screen",
		UsageText: text("status [--all] [-o table|json|yaml]", "headgate status", "watch -n 1 headgate status"),
		Description: "FLOWS counts those that are half-open, established or UDP; NEW/s and BYTES/s (both ways) are\n" +
			"averages of the last seconds. Without a daemon it reads the pinned maps, and says so.",
		Flags: []cli.Flag{
			&cli.BoolFlag{DisableDefaultText: true, Name: "all", Aliases: []string{"a"}, Usage: "show every node, also when there are many"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			return show(c, e, func(l api.Look, form string) error {
				st, err := l.Status(c.Context)
				if err != nil {
					return err
				}
				return printAs(e.stdout, form, st, func(w io.Writer) error { return printStatus(w, st, c.Bool("all"), time.Now()) })
			})
		},
	}
}

func printStatus(w io.Writer, st api.Status, all bool, now time.Time) error {
	printHeader(w, st, now)
	total := 0
	for _, c := range st.Configs {
		total += len(c.Nodes)
	}
	budget := screen
	if all || total <= screen {
		budget = total
	}
	for _, c := range st.Configs {
		fmt.Fprintf(w, "\n%s  %s  %s%s\n", c.Name, strings.Join(c.Addresses, " "), c.Status, except(c))
		// Every config gets its share of the screen, and at least one line.
		shown := worstFirst(c.Nodes, max(1, budget*len(c.Nodes)/max(1, total)))
		if len(shown) == 0 {
			fmt.Fprintln(w, "  no nodes")
			continue
		}
		if err := writeTable(w, "  ", nodeColumns, nodeRows(shown, false, now)); err != nil {
			return err
		}
		if len(c.Refused) > 0 {
			fmt.Fprintf(w, "  refused or dropped so far: %s\n", reasons(c.Refused))
		}
		if hidden := len(c.Nodes) - len(shown); hidden > 0 {
			fmt.Fprintf(w, "  … and %s more: headgate node list --config %s\n", number(uint64(hidden)), c.Name)
		}
	}
	if len(st.Refused) > 0 {
		fmt.Fprintf(w, "\nrefused or dropped so far: %s\n", reasons(st.Refused))
	}
	if ends := gaveWay(st.Removals); ends != "" {
		fmt.Fprintf(w, "\nflows that made way for new ones so far: %s\n", ends)
	}
	if len(st.Warnings) > 0 {
		fmt.Fprintf(w, "\nwarnings\n")
		for _, line := range st.Warnings {
			writeWrapped(w, "  ! ", line)
		}
	}
	return nil
}

func printHeader(w io.Writer, st api.Status, now time.Time) {
	if st.Source == api.FromMaps {
		fmt.Fprintf(w, "headgate  NO DAEMON: read from the pinned maps in %s; the data path forwards by its last table\n", st.BPFFS)
	} else {
		fmt.Fprintf(w, "headgate %s  pid %d  up %s  generation %d  applied %d\n",
			st.Version, st.PID, span(now.Sub(*st.StartedAt)), st.Desired, st.Applied)
	}
	if st.File != nil {
		fmt.Fprintf(w, "file        %s, %s\n", st.File.Path, fileNote(st.File, now))
	}
	links := make([]string, len(st.Interfaces))
	for i, l := range st.Interfaces {
		links[i] = l.Name + " " + l.Mode
		if l.Mode == "" {
			links[i] = l.Name + " NOT ATTACHED"
		}
	}
	if len(links) == 0 {
		links = []string{"none"}
	}
	fmt.Fprintf(w, "interfaces  %s\n", strings.Join(links, " · "))
	fmt.Fprintf(w, "flows       %s active\n", number(st.ActiveFlows))
}

// fileNote says how the last reading of the file went.
func fileNote(f *api.FileStatus, now time.Time) string {
	read := "read " + ago(now.Sub(f.ReadAt))
	switch {
	case len(f.Faults) == 0:
		return read
	case strings.HasPrefix(f.Faults[0], daemon.Unread):
		return fmt.Sprintf("tried %s: CANNOT BE READ, nothing is changed", ago(now.Sub(f.ReadAt)))
	}
	return fmt.Sprintf("%s: FAULTY (%s), nothing of it was applied", read, plural(len(f.Faults), "fault"))
}

func reasons(counters []api.Reason) string {
	words := make([]string, len(counters))
	for i, r := range counters {
		words[i] = fmt.Sprintf("%s %s", r.Name, number(r.Packets))
	}
	return strings.Join(words, ", ")
}

// gaveWay counts the flows whose room or source port a new one needed while they had time left.
func gaveWay(removals []api.FlowEnd) string {
	var words []string
	for _, r := range removals {
		if r.Name == "room" || r.Name == "port" {
			words = append(words, fmt.Sprintf("%s %s (%s)", number(r.Flows), r.State, r.Name))
		}
	}
	return strings.Join(words, ", ")
}

// except names the VIPs of a config whose clients are refused although it is up.
func except(c api.Config) string {
	if len(c.Refusing) == 0 || len(c.Refusing) == len(c.Addresses) {
		return ""
	}
	return fmt.Sprintf(" (but DOWN on %s: no node takes new flows)", strings.Join(c.Refusing, " "))
}

// worstFirst gives at most n nodes, all in their own order when they are not more, else those
// first that are not well.
func worstFirst(nodes []api.Node, n int) []api.Node {
	if len(nodes) <= n {
		return nodes
	}
	sorted := slices.Clone(nodes)
	rank := func(n api.Node) int {
		switch {
		case n.Health == "DOWN", n.Unreachable != "":
			return 0
		case n.Health != "UP" || n.Mode != "accept" || !n.TakesNew:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(sorted, func(a, b api.Node) int { return rank(a) - rank(b) })
	return sorted[:n]
}
