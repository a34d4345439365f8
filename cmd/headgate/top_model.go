package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

// screenModel is all that the screen shows. Update alone changes it, each time into a new one.
type screenModel struct {
	look     func() (api.Status, error)
	setMode  func(node, mode string) error // nil: nobody can change anything, as no daemon runs
	interval time.Duration

	status  api.Status
	at      time.Time
	err     error
	refused counter             // of all configs, and of nobody's packets
	memory  map[string]remember // of nodes and configs, by their keys
	rows    []topRow            // in the order and of the kind that was asked for

	width, height int
	configs       bool // they are shown, not nodes
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
	seconds := msg.at.Sub(m.at).Seconds()
	if m.at.IsZero() {
		seconds = 0
	}
	m.status, m.at = msg.status, msg.at
	all := packets(m.status.Refused)
	m.refused = m.refused.after(seconds, &all)
	m.remember(seconds)
	m.arrange()
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
	m.arrange()
}

func (m screenModel) command(key string) (screenModel, work) {
	m.note = ""
	switch key {
	case "q":
		return m, quit
	case "s":
		m.sort = (m.sort + 1) % len(topSorts)
		m.arrange()
	case "c":
		m.configs, m.filter, m.cursor = !m.configs, "", 0
		m.arrange()
	case "enter":
		m.enter()
	case "esc":
		m.filter, m.cursor = "", 0
		m.arrange()
	case "/":
		m.filtering = true
	case "up", "k":
		m.cursor = max(0, m.cursor-1)
	case "down", "j":
		m.cursor = max(0, min(m.cursor+1, len(m.rows)-1))
	case "m":
		m.askMode()
	}
	return m, nil
}

// chosen is the row under the cursor.
func (m *screenModel) chosen() (topRow, bool) {
	if len(m.rows) == 0 {
		return topRow{}, false
	}
	return m.rows[min(m.cursor, len(m.rows)-1)], true
}

// enter goes from a config to its nodes.
func (m *screenModel) enter() {
	if row, ok := m.chosen(); ok && m.configs {
		m.configs, m.filter, m.cursor = false, row.name+"/", 0
		m.arrange()
	}
}

func (m *screenModel) askMode() {
	row, ok := m.chosen()
	switch {
	case m.setMode == nil:
		m.note = "no daemon runs: nothing can be changed"
	case m.configs:
		m.note = "modes are those of nodes: enter shows the nodes of this config"
	case ok && row.node.Lifecycle == api.Removed:
		m.note = row.name + " is removed: its last flows end by themselves"
	case ok:
		m.target, m.asking = *row.node, "?"
	}
}
