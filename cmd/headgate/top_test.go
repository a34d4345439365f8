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
	m := screenModel{width: 80, height: 24, setMode: set}
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
		for _, r := range m.rows {
			names += r.name[len(r.name)-1:]
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
	m, _ = typedKeys(m, "esc")
	if view := m.View(); !strings.Contains(view, "#_") || !strings.Contains(view, "10.0 refused/s") {
		t.Errorf("%s", view)
	}
}

// Errors are counted from look to look: what a node fails, and what a config refuses.
func TestTheScreenShowsErrorsAndConfigs(t *testing.T) {
	status := func(failed, refused uint64) api.Status {
		st := busy().status
		other := st.Configs[0]
		other.Name, other.Status, other.Nodes = "dns/53/udp", "BACKUP", []api.Node{{Name: "dns/53/udp/ns-1", Config: "dns/53/udp", Mode: "accept", Health: "UP", ActiveFlows: 5}}
		st.Configs[0].Nodes[0].Failed = &failed
		st.Configs[0].Refused = []api.Reason{{Name: "throttled", Packets: refused}, {Name: "no_port", Packets: 100}}
		st.Configs = append(st.Configs, other)
		return st
	}
	m := seen(t, screenOf(t, func(string, string) error { return nil }), status(10, 1000), time.Unix(102, 0))
	m = seen(t, m, status(16, 1500), time.Unix(104, 0))
	fields := func(name string) string {
		for line := range strings.Lines(m.View()) {
			if text := strings.TrimPrefix(strings.TrimSpace(line), "> "); strings.HasPrefix(text, name) {
				return strings.Join(strings.Fields(text), " ")
			}
		}
		return ""
	}
	want := func(name, what string) {
		t.Helper()
		if got := fields(name); got != what {
			t.Errorf("%q, want %q", got, what)
		}
	}
	want("web/80/web-1 ", "web/80/web-1 accept UP 12 3.1 1.5 MB 3.0 ###")
	want("web/80/web-2 ", "web/80/web-2 reject DOWN (admin) 1 - - - ___") // nobody looks
	m, _ = typedKeys(m, "s", "s", "s", "s", "s", "s")
	if m.rows[0].name != "web/80/web-1" || !strings.Contains(m.View(), "s sort: errors") {
		t.Errorf("by errors:\n%s", m.View())
	}
	m, _ = typedKeys(m, "c", "s") // by name
	want("web/80 ", "web/80 1/3 UP UP 13 3.1 1.5 MB 250 ###")
	want("dns/53/udp ", "dns/53/udp 1/1 UP BACKUP 5 - - 0 bb")
	m = seen(t, m, status(3, 7), time.Unix(105, 0)) // the counts have begun anew
	want("web/80 ", "web/80 1/3 UP UP 13 3.1 1.5 MB - ####")
	m, _ = typedKeys(m, "m")
	if !strings.Contains(m.View(), "modes are those of nodes: enter shows") {
		t.Errorf("%s", m.View())
	}
	if m, _ = typedKeys(m, "j", "enter"); len(m.rows) != 3 || m.rows[2].name != "web/80/web-3" || !strings.Contains(m.View(), "c configs") {
		t.Errorf("the nodes of a config:\n%s", m.View())
	}
	if m, _ = typedKeys(m, "esc"); len(m.rows) != 4 {
		t.Errorf("all nodes again:\n%s", m.View())
	}
}

// Rows are put in order once for each look, however often the screen is drawn.
func TestDrawingDoesNotSort(t *testing.T) {
	m := screenOf(t, nil)
	m.rows[0], m.rows[1] = m.rows[1], m.rows[0]
	before := m.View()
	if m, _ = typedKeys(m, "j", "k"); m.View() != before || m.rows[0].name != "web/80/web-2" {
		t.Errorf("%s", m.View())
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
