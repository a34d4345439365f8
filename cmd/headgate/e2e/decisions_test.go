package e2e

import (
	"strings"
	"testing"
)

// What a mode, a check and an override do to each other, for new and for existing connections.
func TestModesChecksAndOverrides(t *testing.T) {
	t.Parallel()
	s := newCheckable(t, 2)
	s.run(s.yaml(
		conf{port: 80, extra: checkedOn, nodes: members(2, 8080, []int{4})},
		conf{port: 81, extra: "algorithm: source\n" + checkedOn, nodes: members(2, 8080, []int{4})},
	))
	from := s.addClients(20)
	set := func(args ...string) {
		s.set("web/80/node-a", args...)
		s.set("web/81/node-a", args...)
	}
	wants := func(t *testing.T, what string, takesNew bool) {
		t.Helper()
		want := map[string]int{"b": 4}
		if takesNew {
			want = map[string]int{"a": 2, "b": 2}
		}
		wantShares(t, what, s.exchanges("tcp", 4, 80, 4), want)
		if n := s.node("web/80/node-a"); n.TakesNew != takesNew {
			t.Errorf("%s: %+v", what, n)
		}
	}

	t.Run("E13 drain without stickiness takes no new flows", func(t *testing.T) {
		before := s.chosen("tcp", 4, 81, from)
		held := s.hold("tcp", 4, 80, 2)
		set("--mode", "drain")
		wants(t, "in turn", false)
		for client, node := range s.chosen("tcp", 4, 81, from) {
			if node != "b" {
				t.Errorf("by hash, which is no stickiness: %s, that was at %s, is at %s", client, before[client], node)
			}
		}
		s.pulse(held)
		wantShares(t, "connections from before", s.finish(held), map[string]int{"a": 2, "b": 2})
	})

	t.Run("E16 a draining node that recovers is draining again", func(t *testing.T) {
		s.down(0)
		s.await(0, "DOWN")
		s.up(0)
		s.await(0, "UP")
		wants(t, "recovered", false)
		if n := s.node("web/80/node-a"); n.Mode != "drain" {
			t.Errorf("its mode is %s", n.Mode)
		}
	})

	t.Run("E26 precedence", func(t *testing.T) {
		set("--override", "up")
		wants(t, "drain over override", false)
		set("--mode", "backup")
		wants(t, "backup over override", false)
		set("--mode", "reject")
		wants(t, "reject over override", false)
		if n := s.node("web/80/node-a"); n.Health != "DOWN" || !strings.Contains(n.Reason, "admin") {
			t.Errorf("in reject, with override up: %s %s", n.Health, n.Reason)
		}
		set("--mode", "accept", "--override", "none")
		s.await(0, "UP")
		set("--override", "down")
		wants(t, "override over health that is UP", false)
		set("--override", "up")
		s.down(0)
		poll(t, soon, "the checks of a fail", func() bool { return s.examine("web/80/node-a").Streak < -3 })
		wants(t, "override over health that is DOWN", true)
		held := s.hold("tcp", 4, 80, 2)
		s.cli("node", "remove", "web/80/node-a", "--yes", "--wait")
		wantShares(t, "removed over all", s.exchanges("tcp", 4, 80, 4), map[string]int{"b": 4})
		s.pulse(held)
		wantShares(t, "connections from before", s.finish(held), map[string]int{"a": 2, "b": 2})
	})
	s.checkCounts()
}
