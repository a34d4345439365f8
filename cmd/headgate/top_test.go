package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
)

// screenOf is a screen of a status, after one look.
func screenOf(t *testing.T, set func(node, mode string) error) screenModel {
	t.Helper()
	m := screenModel{width: 80, height: 24, history: map[string]string{}, setMode: set}
	return seen(t, m, busy().status, time.Unix(100, 0))
}

func seen(t *testing.T, m screenModel, st api.Status, at time.Time) screenModel {
	t.Helper()
	next, _ := m.Update(lookedMsg{status: st, at: at})
	return next
}

// typedKeys presses keys, and gives the command of the last.
func typedKeys(m screenModel, keys ...string) (screenModel, work) {
	var w work
	for _, k := range keys {
		m, w = m.Update(keyMsg(k))
	}
	return m, w
}

func TestTheScreenFits80ColumnsAnd24Lines(t *testing.T) {
	st := busy().status
	for range 50 {
		st.Configs[0].Nodes = append(st.Configs[0].Nodes, st.Configs[0].Nodes[0])
	}
	m := seen(t, screenOf(t, nil), st, time.Unix(101, 0))
	lines := strings.Split(m.View(), "\n")
	if len(lines) != 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	m, _ = typedKeys(m, strings.Split(strings.Repeat("j", 52), "")...)
	if !strings.Contains(m.View(), "> web/80/web-3") {
		t.Errorf("the last node is not in sight:\n%s", m.View())
	}
}

func TestTheScreenSortsFiltersAndRemembersHealth(t *testing.T) {
	m := screenOf(t, nil)
	order := func() (names string) {
		for _, n := range m.nodes() {
			names += n.Label[len(n.Label)-1:]
		}
		return names
	}
	if got := order(); got != "123" {
		t.Errorf("by name: %s", got)
	}
	m, _ = typedKeys(m, "s", "s") // health
	if got := order(); got != "213" {
		t.Errorf("by health: %s", got)
	}
	m, _ = typedKeys(m, "/", "w", "e", "b", "-", "3", "enter")
	if got := order(); got != "3" || !strings.Contains(m.View(), "(web-3)") {
		t.Errorf("filtered: %s\n%s", got, m.View())
	}
	down := busy().status
	down.Configs[0].Nodes[0].Health = "DOWN"
	down.Refused[0].Packets += 30
	m = seen(t, m, down, time.Unix(103, 0))
	m.filter = ""
	if view := m.View(); !strings.Contains(view, "#_") || !strings.Contains(view, "10.0 refused/s") {
		t.Errorf("%s", view)
	}
}

func TestAModeIsSetOnlyAfterAConfirmation(t *testing.T) {
	var did []string
	m := screenOf(t, func(node, mode string) error {
		did = append(did, node+" "+mode)
		return errors.New("refused")
	})
	m, cmd := typedKeys(m, "m", "d")
	if !strings.Contains(m.View(), "set web/80/web-1 to mode drain? [y/n]") || cmd != nil {
		t.Errorf("%s", m.View())
	}
	if m, cmd = typedKeys(m, "n"); cmd != nil || !strings.Contains(m.View(), "nothing was changed") {
		t.Errorf("%s", m.View())
	}
	m, _ = typedKeys(m, "m", "d")
	m = seen(t, m, api.Status{Configs: []api.Config{{Nodes: busy().status.Configs[0].Nodes[1:]}}}, time.Unix(104, 0)) // another is under the cursor now
	m, cmd = typedKeys(m, "y")
	next, _ := m.Update(cmd())
	if len(did) != 1 || did[0] != "web/80/192.0.2.11:8080 drain" || !strings.Contains(next.View(), "refused") {
		t.Errorf("%q\n%s", did, next.View())
	}
	if m, cmd = typedKeys(screenOf(t, nil), "m"); cmd != nil || !strings.Contains(m.View(), "no daemon runs: nothing can be changed") {
		t.Errorf("%s", m.View())
	}
}

func TestTopNeedsATerminal(t *testing.T) {
	daemonOn(t, busy())
	var out strings.Builder
	var stderr strings.Builder
	code := run(t.Context(), env{stdin: strings.NewReader(""), stdout: &out, stderr: &stderr}, []string{"top"})
	if code != exitFailed || !strings.Contains(stderr.String(), "top needs a terminal") {
		t.Errorf("%d %s", code, stderr.String())
	}
}
