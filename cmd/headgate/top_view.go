package main

import (
	"fmt"
	"strings"

	"github.com/headgate/headgate/pkg/api"
)

var topColumns = columns("NODE", "MODE", "HEALTH", ">FLOWS", ">NEW/s", ">BYTES/s", "HISTORY")

// around is how many lines are not nodes: two above, the heading, one below.
const around = 4

// View is the screen as text.
func (m screenModel) View() string {
	var b strings.Builder
	b.WriteString(m.cut(m.headline()) + "\n" + m.cut(m.counts()) + "\n")
	nodes := m.nodes()
	room := max(1, m.height-around)
	first := max(0, min(m.cursor-room/2, len(nodes)-room))
	shown := nodes[first:min(len(nodes), first+room)]
	rows := make([][]string, len(shown))
	for i, n := range shown {
		pointer := "  "
		if first+i == min(m.cursor, len(nodes)-1) {
			pointer = "> "
		}
		rows[i] = []string{
			pointer + n.Name, n.Mode, healthOf(n), number(n.ActiveFlows), rate(n.NewPerSecond, decimal), rate(n.BytesPerSecond, size),
			fmt.Sprintf("%*s", historyMost, m.history[n.Name+n.Address]),
		}
	}
	_ = writeTable(terminal{&b, m.width}, "", topColumns, rows) // a builder takes everything
	b.WriteString(m.cut(m.prompt()))
	return b.String()
}

func (m screenModel) cut(s string) string {
	return column{prose: true}.fit(s, max(2, m.width))
}

func (m screenModel) headline() string {
	switch {
	case m.err != nil:
		return "headgate: " + strings.ReplaceAll(m.err.Error(), "\n", "; ")
	case m.at.IsZero():
		return "headgate"
	case m.status.Source == api.FromMaps:
		return "headgate  NO DAEMON: read from the pinned maps"
	}
	first := ""
	if n := len(m.status.Warnings); n > 0 {
		first = fmt.Sprintf("  ! %s", m.status.Warnings[0])
	}
	return fmt.Sprintf("headgate %s  generation %d  applied %d%s", m.status.Version, m.status.Desired, m.status.Applied, first)
}

// counts adds up all nodes.
func (m screenModel) counts() string {
	flows, bytes := 0.0, 0.0
	up := 0
	nodes := m.status.Nodes()
	for _, n := range nodes {
		if n.NewPerSecond != nil {
			flows += *n.NewPerSecond
		}
		if n.BytesPerSecond != nil {
			bytes += *n.BytesPerSecond
		}
		if n.Health == "UP" {
			up++
		}
	}
	return fmt.Sprintf("%d of %d nodes UP  %s flows  %s new/s  %s/s  %s refused/s", up, len(nodes), number(m.status.ActiveFlows),
		decimal(flows), size(bytes), decimal(m.refused))
}

func (m screenModel) prompt() string {
	n := m.target
	switch {
	case m.filtering:
		return "filter: " + m.filter + "_  (enter keeps it, esc drops it)"
	case m.asking == "?":
		return fmt.Sprintf("%s: mode [a]ccept [d]rain [r]eject [b]ackup?", n.Name)
	case m.asking != "":
		return fmt.Sprintf("set %s to mode %s? [y/n]", n.Name, m.asking)
	case m.note != "":
		return m.note
	}
	filter := ""
	if m.filter != "" {
		filter = " (" + m.filter + ")"
	}
	return fmt.Sprintf("s sort: %s  / filter%s  arrows choose  m mode  q quit", topSorts[m.sort], filter)
}
