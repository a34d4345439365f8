package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

// What the screen can be sorted by, in the order of its columns; numbers have the greatest first.
var topSorts = []string{"name", "mode", "health", "flows", "new", "bytes"}

// historyMost is how many marks of health are kept of a node.
const historyMost = 8

// screenModel is all that the screen shows. Update alone changes it, each time into a new one.
type screenModel struct {
	look     func() (api.Status, error)
	setMode  func(node, mode string) error // nil: nobody can change anything, as no daemon runs
	interval time.Duration

	status  api.Status
	refused float64 // packets a second
	at      time.Time
	err     error
	history map[string]string // marks of health by node, the newest last

	width, height int
	sort          int
	filter        string
	filtering     bool
	cursor        int
	target        api.Node // whose mode is asked for: the one under the cursor may change with the next look
	asking        string   // mode that is about to be set; "?": which one is asked for
	note          string   // what the last change came to
}

// Messages: a look was taken, it is time for the next, a key, a size, the end, a mode was set.
type (
	lookedMsg struct {
		status api.Status
		at     time.Time
		err    error
	}
	tickMsg struct{}
	keyMsg  string // a character, or up, down, enter, esc, backspace, ctrl-c
	sizeMsg struct{ width, height int }
	quitMsg struct{}
	setMsg  struct {
		what string
		err  error
	}
)

// work is done beside the screen; what it returns is the next message.
type work func() any

func (m screenModel) takeLook() any {
	st, err := m.look()
	return lookedMsg{st, time.Now(), err}
}

// Update takes a message: a key by its name, a size, or what work came to.
func (m screenModel) Update(msg any) (screenModel, work) {
	switch msg := msg.(type) {
	case sizeMsg:
		m.width, m.height = msg.width, msg.height
	case tickMsg:
		return m, m.takeLook
	case lookedMsg:
		m.looked(msg)
		return m, func() any { time.Sleep(m.interval); return tickMsg{} }
	case setMsg:
		if m.note = msg.what; msg.err != nil {
			m.note = strings.ReplaceAll(msg.err.Error(), "\n", "; ")
		}
		return m, m.takeLook
	case keyMsg:
		return m.key(string(msg))
	}
	return m, nil
}

// looked takes a new status over.
func (m *screenModel) looked(msg lookedMsg) {
	if m.err = msg.err; msg.err != nil {
		return
	}
	before, after := turnedAway(&m.status), turnedAway(&msg.status)
	if seconds := msg.at.Sub(m.at).Seconds(); !m.at.IsZero() && seconds > 0 && after >= before {
		m.refused = float64(after-before) / seconds
	}
	m.status, m.at = msg.status, msg.at
	history := map[string]string{}
	for _, n := range m.status.Nodes() {
		marks := m.history[n.Name+n.Address] + mark(n)
		history[n.Name+n.Address] = marks[max(0, len(marks)-historyMost):]
	}
	m.history = history
}

func turnedAway(st *api.Status) (sum uint64) {
	for _, r := range st.Refused {
		sum += r.Packets
	}
	return sum
}

func mark(n api.Node) string {
	switch n.Health {
	case "UP":
		return "#"
	case "DOWN":
		return "_"
	}
	return "?"
}

// nodes are those that are shown, in their order.
func (m *screenModel) nodes() []api.Node {
	var shown []api.Node
	for _, n := range m.status.Nodes() {
		if strings.Contains(n.Name, m.filter) {
			shown = append(shown, n)
		}
	}
	value := func(p *float64) float64 {
		if p == nil {
			return -1
		}
		return *p
	}
	slices.SortStableFunc(shown, func(a, b api.Node) int {
		by := map[string]int{
			"name": 0, "mode": cmp.Compare(a.Mode, b.Mode), "health": cmp.Compare(a.Health, b.Health),
			"flows": cmp.Compare(b.ActiveFlows, a.ActiveFlows), "new": cmp.Compare(value(b.NewPerSecond), value(a.NewPerSecond)),
			"bytes": cmp.Compare(value(b.BytesPerSecond), value(a.BytesPerSecond)),
		}[topSorts[m.sort]]
		return cmp.Or(by, cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
	})
	return shown
}

// chosen is the node under the cursor.
func (m *screenModel) chosen() (api.Node, bool) {
	nodes := m.nodes()
	if len(nodes) == 0 {
		return api.Node{}, false
	}
	return nodes[min(m.cursor, len(nodes)-1)], true
}

func quit() any { return quitMsg{} }

func (m screenModel) key(key string) (screenModel, work) {
	switch {
	case key == "ctrl-c":
		return m, quit
	case m.filtering:
		m.typeFilter(key)
	case m.asking == "?":
		m.asking = map[string]string{"a": "accept", "d": "drain", "r": "reject", "b": "backup"}[key]
	case m.asking != "":
		mode, n := m.asking, m.target
		m.asking = ""
		if key == "y" {
			return m, func() any {
				return setMsg{fmt.Sprintf("%s: mode %s", n.Name, mode), m.setMode(n.Config+"/"+n.Address, mode)}
			}
		}
		m.note = "nothing was changed"
	default:
		return m.command(key)
	}
	return m, nil
}

func (m *screenModel) typeFilter(key string) {
	switch key {
	case "enter":
		m.filtering = false
	case "esc":
		m.filtering, m.filter = false, ""
	case "backspace":
		m.filter = m.filter[:max(0, len(m.filter)-1)]
	case "up", "down":
	default:
		m.filter += key
	}
	m.cursor = 0
}

func (m screenModel) command(key string) (screenModel, work) {
	m.note = ""
	switch key {
	case "q":
		return m, quit
	case "s":
		m.sort = (m.sort + 1) % len(topSorts)
	case "/":
		m.filtering = true
	case "up", "k":
		m.cursor = max(0, m.cursor-1)
	case "down", "j":
		m.cursor = max(0, min(m.cursor+1, len(m.nodes())-1))
	case "m":
		if m.setMode == nil {
			m.note = "no daemon runs: nothing can be changed"
		} else if n, ok := m.chosen(); ok {
			m.target, m.asking = n, "?"
		}
	}
	return m, nil
}
