package e2e

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/events"
)

// A node that has all the flows that it may have is told of, for people and for machines, and in the log.
func TestEventsTellOfLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(2, 8080, []int{4})}))
	s.set("web/80/node-b", "--mode", "drain")
	s.set("web/80/node-a", "--max-conns", "2")
	held := s.hold("tcp", 4, 80, 2)
	defer s.finish(held)
	var list []events.Event
	poll(t, soon, "the limit is told of", func() bool {
		s.must(s.gate.JSON(t.Context(), &list, "events", "--kind", "limit"))
		return len(list) > 0
	})
	e := list[0]
	if e.Limit != events.MaxConns || e.Config != "web/80" || e.Node != "web/80/node-a" || e.From != "free" || e.To != "full" || len(list) > 1 {
		t.Errorf("%+v", list)
	}
	says := "web/80/node-a is full with 2 flows (max_conns 2): new ones go to other nodes, or are refused (nodes_full) where there is none"
	if text := s.cli("events", "--kind", "limit"); !strings.Contains(text, says) {
		t.Errorf("%s", text)
	}
	if log := s.gate.Log(); !strings.Contains(log, says) || !strings.Contains(log, "limit=max_conns") {
		t.Errorf("the log:\n%s", log)
	}
}

// What happened is told while the daemon runs, and after it has stopped.
func TestEventsTellWhatHappened(t *testing.T) {
	t.Parallel()
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
