package main

import (
	"fmt"
	"strings"

	"github.com/headgate/headgate/pkg/api"
)

// The columns of nodes, and those of configs.
var (
	topColumns       = columns("NODE", "MODE", "HEALTH", ">FLOWS", ">NEW/s", ">BYTES/s", ">ERR/s", "HISTORY")
	topConfigColumns = columns("CONFIG", "NODES", "STATUS", ">FLOWS", ">NEW/s", ">BYTES/s", ">ERR/s", "HISTORY")
)

// around is how many lines are not rows: two above, the heading, one below.
const around = 4

// View is the screen as text.
func (m screenModel) View() string {
	var b strings.Builder
	b.WriteString(m.cut(m.headline()) + "\n" + m.cut(m.counts()) + "\n")
	room := max(1, m.height-around)
	first := max(0, min(m.cursor-room/2, len(m.rows)-room))
	shown := m.rows[first:min(len(m.rows), first+room)]
	rows := make([][]string, len(shown))
	for i, r := range shown {
		pointer := "  "
		if first+i == min(m.cursor, len(m.rows)-1) {
			pointer = "> "
		}
		kept := m.memory[r.key]
		rows[i] = []string{
			pointer + r.name, r.mode, r.health, number(r.flows), rate(r.fresh, decimal), rate(r.bytes, size),
			rate(kept.errors.rate, decimal), fmt.Sprintf("%*s", historyMost, kept.history),
		}
	}
	cols := topColumns
	if m.configs {
		cols = topConfigColumns
	}
	_ = writeTable(terminal{&b, m.width}, "", cols, rows) // a builder takes everything
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
		decimal(flows), size(bytes), rate(m.refused.rate, decimal))
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
	filter, other := "", "c configs"
	if m.filter != "" {
		filter = " (" + m.filter + ")"
	}
	if m.configs {
		other = "c nodes  enter its nodes"
	}
	return fmt.Sprintf("s sort: %s  / filter%s  %s  arrows  m mode  q quit", topSorts[m.sort], filter, other)
}
