package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/headgate/pkg/api"
)

// What the screen can be sorted by, in the order of its columns; numbers have the greatest first.
var topSorts = []string{"name", "mode", "health", "flows", "new", "bytes", "errors"}

// topRow is a node, or a config with its nodes added up.
type topRow struct {
	key    string
	name   string
	mode   string // of a node; of a config how many of its nodes are UP
	health string // of a node; the status of a config
	mark   string // of the health
	flows  uint64
	fresh  *float64  // flows a second
	bytes  *float64  // a second
	errors *uint64   // so far: a node's failed connections, a config's packets that were refused or dropped
	node   *api.Node // nil: it is a config
}

// historyMost is how many marks of health are kept of a node.
const historyMost = 8

// remember is what is kept of a row from look to look.
type remember struct {
	history string // marks of its health, the newest last
	errors  counter
}

// counter is a count, and how fast it grew between the last two looks; nil: that is not known.
type counter struct {
	count *uint64
	rate  *float64
}

// after gives it as it is so many seconds later. A count that is less than before has begun anew.
func (c counter) after(seconds float64, count *uint64) counter {
	next := counter{count: count}
	if c.count != nil && count != nil && *count >= *c.count && seconds > 0 {
		rate := float64(*count-*c.count) / seconds
		next.rate = &rate
	}
	return next
}

func packets(reasons []api.Reason) (sum uint64) {
	for _, r := range reasons {
		sum += r.Packets
	}
	return sum
}

func nodeRow(n *api.Node) topRow {
	mark := map[string]string{"UP": "#", "DOWN": "_"}[n.Health]
	return topRow{
		key: n.Name + " " + n.Address, name: n.Name, mode: n.Mode, health: healthOf(*n), mark: cmp.Or(mark, "?"),
		flows: n.ActiveFlows, fresh: n.NewPerSecond, bytes: n.BytesPerSecond, errors: n.Failed, node: n,
	}
}

func configRow(c *api.Config) topRow {
	mark := map[string]string{"UP": "#", "BACKUP": "b"}[c.Status]
	refused := packets(c.Refused)
	row := topRow{key: c.Name, name: c.Name, health: c.Status, mark: cmp.Or(mark, "_"), errors: &refused}
	up := 0
	for i := range c.Nodes {
		n := &c.Nodes[i]
		row.flows += n.ActiveFlows
		row.fresh, row.bytes = sum(row.fresh, n.NewPerSecond), sum(row.bytes, n.BytesPerSecond)
		if n.Health == "UP" {
			up++
		}
	}
	row.mode = fmt.Sprintf("%d/%d UP", up, len(c.Nodes))
	return row
}

// sum adds numbers that may be unknown.
func sum(a, b *float64) *float64 {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	s := *a + *b
	return &s
}

// allRows are those of all nodes or of all configs.
func (m *screenModel) allRows(configs bool) (rows []topRow) {
	for i := range m.status.Configs {
		c := &m.status.Configs[i]
		if configs {
			rows = append(rows, configRow(c))
			continue
		}
		for j := range c.Nodes {
			rows = append(rows, nodeRow(&c.Nodes[j]))
		}
	}
	return rows
}

// remember keeps what a new look adds, and forgets what is gone.
func (m *screenModel) remember(seconds float64) {
	memory := make(map[string]remember, len(m.memory))
	for _, row := range slices.Concat(m.allRows(false), m.allRows(true)) {
		was := m.memory[row.key]
		marks := was.history + row.mark
		memory[row.key] = remember{history: marks[max(0, len(marks)-historyMost):], errors: was.errors.after(seconds, row.errors)}
	}
	m.memory = memory
}

// arrange makes the rows anew, in their order: once for each look, and when another order is asked for.
func (m *screenModel) arrange() {
	m.rows = slices.DeleteFunc(m.allRows(m.configs), func(r topRow) bool { return !strings.Contains(r.name, m.filter) })
	value := func(p *float64) float64 {
		if p == nil {
			return -1
		}
		return *p
	}
	errors := func(r *topRow) float64 { return value(m.memory[r.key].errors.rate) }
	by := map[string]func(a, b *topRow) int{
		"name":   func(a, b *topRow) int { return 0 },
		"mode":   func(a, b *topRow) int { return cmp.Compare(a.mode, b.mode) },
		"health": func(a, b *topRow) int { return cmp.Compare(a.health, b.health) },
		"flows":  func(a, b *topRow) int { return cmp.Compare(b.flows, a.flows) },
		"new":    func(a, b *topRow) int { return cmp.Compare(value(b.fresh), value(a.fresh)) },
		"bytes":  func(a, b *topRow) int { return cmp.Compare(value(b.bytes), value(a.bytes)) },
		"errors": func(a, b *topRow) int { return cmp.Compare(errors(b), errors(a)) },
	}[topSorts[m.sort]]
	slices.SortStableFunc(m.rows, func(a, b topRow) int { return cmp.Or(by(&a, &b), cmp.Compare(a.key, b.key)) })
}
