package e2e

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/events"
)

// What happened is told while the daemon runs, and after it has stopped.
func TestEventsTellWhatHappened(t *testing.T) {
	s := newSite(t, 2, smallTable)
	servers := s.servers()
	s.run(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(2, 8080, []int{4})}))
	s.set("web/80/node-b", "--mode", "reject")
	s.must(servers[0].Kill())
	read := func(args ...string) string {
		var list []events.Event
		s.must(s.gate.JSON(t.Context(), &list, append([]string{"events"}, args...)...))
		var texts []string
		for _, e := range list {
			texts = append(texts, string(e.Kind)+" "+e.Text)
		}
		return strings.Join(texts, "\n")
	}
	want := []string{
		"health web/80/node-a is UP",
		"changed web/80/node-b: mode accept → reject",
		"health web/80/node-a is DOWN: ",
		"tier web/80 (" + s.star.VIP(4).String() + "): new flows are refused",
	}
	inOrder := func(text string) bool {
		for _, w := range want {
			_, after, found := strings.Cut(text, w)
			if !found {
				return false
			}
			text = after
		}
		return true
	}
	var told string
	poll(t, soon, "all of it is told", func() bool { told = read(); return inOrder(told) })
	if !strings.Contains(told, "daemon ready: ") { // before or after the first checks
		t.Errorf("the start is not told:\n%s", told)
	}
	if only := read("--kind", "changed", "--node", "web/80/node-b"); only != want[1] {
		t.Errorf("of one kind and node: %q", only)
	}
	s.must(s.gate.Stop())
	if kept := read("--state-dir", s.gate.StateDir); !inOrder(kept) || !strings.HasSuffix(kept, "daemon stopping; the data path goes on forwarding") {
		t.Errorf("on the disk:\n%s", kept)
	}
}
