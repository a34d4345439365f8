package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

var nodeColumns = columns("NODE", "ADDRESS", "MODE", "HEALTH", ">WEIGHT", ">FLOWS", ">NEW/s", ">BYTES/s", "~NOTE")

// nodeRows makes a row for each node, by its whole name or by its label.
func nodeRows(nodes []api.Node, whole bool, now time.Time) [][]string {
	rows := make([][]string, len(nodes))
	for i, n := range nodes {
		name := n.Label
		if whole {
			name = n.Name
		}
		rows[i] = []string{
			name, n.Address, n.Mode, healthOf(n), strconv.Itoa(n.Weight), number(n.ActiveFlows),
			rate(n.NewPerSecond, decimal), rate(n.BytesPerSecond, size), note(n, now),
		}
	}
	return rows
}

// admin is the reason of a node's being DOWN because people said so.
const admin = "admin"

// healthOf is the health that counts, with who says so where it was not the checks.
func healthOf(n api.Node) string {
	switch {
	case n.Reason == admin:
		return with(n.Health, admin)
	case n.Override != "":
		return with(strings.ToUpper(n.Override), "override")
	}
	return n.Health
}

// note says what is remarkable about a node, the worst first.
func note(n api.Node, now time.Time) string {
	switch {
	case n.Lifecycle == api.Removed:
		return "removed, " + ending(n, now)
	case n.Unreachable != "":
		return n.Unreachable
	case n.Health == "DOWN" && n.Reason != "" && n.Reason != admin:
		return n.Reason
	case n.Mode == "backup" && n.TakesNew:
		return "active"
	case n.Mode == "drain" && n.ActiveFlows == 0 && n.StickEntries > 0:
		return "no flows, " + stickEntries(n.StickEntries) + " left"
	case n.Mode == "drain" && n.ActiveFlows == 0:
		return "drained"
	case n.Mode == "drain" || n.Mode == "reject" && n.ActiveFlows > 0:
		return ending(n, now)
	case !n.TakesNew && n.Mode == "accept" && n.Health != "DOWN" && n.Override == "":
		return strings.TrimPrefix(n.Why, "takes no new flows: ")
	case n.Health != "UP" && n.Health != "DOWN" && n.TakesNew && n.Override == "":
		return "unchecked"
	}
	return ""
}

// ending says when the last flows of a node end.
func ending(n api.Node, now time.Time) string {
	switch {
	case n.Deadline == nil:
		return "last flows"
	case n.Deadline.After(now):
		return fmt.Sprintf("last flows, for %s at most", span(n.Deadline.Sub(now)))
	}
	return "last flows are ended"
}

// endings are the lines about a node whose flows are to end; none about another.
func endings(n api.Node, now time.Time) (lines [][2]string) {
	if n.Mode != "drain" && n.Mode != "reject" && n.Lifecycle != api.Removed {
		return nil
	}
	deadline, oldest := "none: flows go on to their natural end", "none"
	switch {
	case n.Deadline == nil:
	case n.Deadline.After(now):
		deadline = fmt.Sprintf("in %s, at %s", span(n.Deadline.Sub(now)), n.Deadline.Local().Format(time.TimeOnly))
	default:
		deadline = fmt.Sprintf("fell %s, at %s", ago(now.Sub(*n.Deadline)), n.Deadline.Local().Format(time.TimeOnly))
	}
	if n.OldestFlowMS != nil {
		oldest = span(time.Duration(*n.OldestFlowMS) * time.Millisecond)
	}
	return [][2]string{{"deadline", deadline}, {"oldest flow", oldest}}
}

// modeOf says which mode a node has, and for how long.
func modeOf(n api.Node, now time.Time) string {
	if n.ModeSince == nil || n.Lifecycle == api.Removed {
		return n.Mode
	}
	return with(n.Mode, "set "+ago(now.Sub(*n.ModeSince)))
}

// portsOf says how many of the source ports towards a node are in use.
func portsOf(n api.Node) string {
	if n.SourcePorts == 0 {
		return "none yet"
	}
	share := 100 * float64(n.SourcePortsUsed) / float64(n.SourcePorts)
	return fmt.Sprintf("%s of %s in use, %s%%", number(n.SourcePortsUsed), number(n.SourcePorts), decimal(share))
}

// printNode writes all there is about one node.
func printNode(w io.Writer, n api.Node, now time.Time) error {
	checked := "never"
	switch {
	case n.CheckedAt != nil:
		checked = ago(now.Sub(*n.CheckedAt))
	case n.Mode == "reject":
		checked = "not checked in mode reject"
	}
	hop := n.NextHop
	if hop == "" {
		hop = "unresolved"
	}
	return writeLines(w, slices.Concat([][2]string{
		{"node", n.Name},
		{"address", n.Address},
		{"mode", modeOf(n, now)},
		{"weight", strconv.Itoa(n.Weight)},
		{"max_conns", maxConns(n)},
		{"health", with(n.Health, n.Reason)},
		{"override", cmp.Or(n.Override, "none")},
		{"checked", checked},
		{"new flows", newFlows(n)},
		{"next hop", with(hop, n.Unreachable)},
		{"lifecycle", n.Lifecycle},
		{"active flows", number(n.ActiveFlows)},
		{"stick entries", number(n.StickEntries)},
	}, endings(n, now), [][2]string{
		{"source ports", portsOf(n)},
		{"flows", fmt.Sprintf("%s in all, %s/s", number(n.Flows), rate(n.NewPerSecond, decimal))},
		{"bytes", fmt.Sprintf("%s in, %s out, %s/s both ways", size(float64(n.BytesIn)), size(float64(n.BytesOut)), rate(n.BytesPerSecond, size))},
	}))
}

func maxConns(n api.Node) string {
	if n.MaxConns == 0 {
		return "any number"
	}
	return number(uint64(n.MaxConns))
}

// newFlows says yes or no, and why; what is read from the maps has no reason.
func newFlows(n api.Node) string {
	answer, why := "no", strings.TrimPrefix(n.Why, "takes no new flows")
	switch {
	case n.TakesNew:
		answer, why = "yes", strings.TrimPrefix(n.Why, "takes new flows")
	case n.Mode == "drain" && n.StickEntries > 0:
		why += ", but for clients that stick to it"
	}
	return answer + why
}

// with adds a reason in brackets, when there is one.
func with(s, reason string) string {
	if reason == "" {
		return s
	}
	return s + " (" + reason + ")"
}
