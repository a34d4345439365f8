package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// Deadlines that a test can wait for: one that is not over before a few commands have been given, and one that outlasts
// two starts of the daemon. Machines may be slow.
const (
	deadlineSoon  = 5 * time.Second
	deadlineLater = 15 * time.Second
)

// newEnding makes a site whose nodes a and b serve TCP and UDP over both families, with this deadline for all that
// ends a node's flows.
func newEnding(t *testing.T, deadline time.Duration) *site {
	t.Helper()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.endingYAML(2, deadline))
	return s
}

// endingYAML is the file with the first so many nodes.
func (s *site) endingYAML(nodes int, deadline time.Duration) string {
	extra := fmt.Sprintf("drain_deadline: %[1]s\nreject_deadline: %[1]s\nremove_deadline: %[1]s\nudp_idle: 5m\n", deadline)
	return s.yaml(
		conf{port: 80, extra: extra, nodes: members(nodes, 8080, both)},
		conf{port: 53, proto: "udp", extra: extra, nodes: members(nodes, 5353, both)},
	)
}

// holdAll opens two flows in each combo, one on each node.
func (s *site) holdAll() map[combo]*peer.Client {
	s.t.Helper()
	held := map[combo]*peer.Client{}
	for _, c := range combos {
		held[c] = s.hold(c.network, c.family, c.port, 2)
	}
	return held
}

// checkBefore uses the flows before the deadline falls: they stay where they are.
func (s *site) checkBefore(t *testing.T, held map[combo]*peer.Client) {
	t.Helper()
	for _, c := range combos {
		if r := s.pulse(held[c]); r.Failed != 0 || r.Nodes["a"] != 2 || r.Nodes["b"] != 2 {
			t.Errorf("%v, before the deadline: %+v", c, r)
		}
	}
}

// checkAfter uses the flows after the deadline of node b fell: TCP is reset, UDP goes to a.
func (s *site) checkAfter(t *testing.T, held map[combo]*peer.Client) {
	t.Helper()
	for _, c := range combos {
		r := s.pulse(held[c])
		switch {
		case c.network == "tcp" && (r.Failed != 1 || r.Failures["reset"] != 1 || r.Nodes["a"] != 3):
			t.Errorf("%v, after the deadline: %+v, want one reset", c, r)
		case c.network == "udp" && (r.Failed != 0 || r.Nodes["a"] != 4):
			t.Errorf("%v, after the deadline: %+v, want all at a", c, r)
		}
		s.finish(held[c])
	}
}

// awaitEnd waits until the flows of node b are counted out, without a packet of theirs.
func (s *site) awaitEnd() {
	s.t.Helper()
	s.eventually("no flow of node b is counted any more", func(st api.Status) bool {
		for _, n := range st.Nodes() {
			if strings.HasSuffix(n.Label, "-b") && n.ActiveFlows > 0 {
				return false
			}
		}
		return true
	})
}

// setB sets the mode of node b in all combos.
func (s *site) setB(mode string) {
	s.t.Helper()
	for _, c := range combos {
		s.set(c.node(1), "--mode", mode)
	}
}

// E11: the flows of a node in drain or reject end at its deadline at the latest, counted from when the mode was
// set; also those that nobody speaks on. A node that is set back in time keeps them.
func TestE11DeadlinesOfDrainAndReject(t *testing.T) {
	t.Parallel()
	s := newEnding(t, deadlineSoon)
	for _, mode := range []string{"drain", "reject"} {
		t.Run(mode, func(t *testing.T) {
			held := s.holdAll()
			s.setB(mode)
			s.setB("accept")
			set := time.Now()
			poll(t, soon, "the deadline that was cancelled is over", func() bool { return time.Since(set) > deadlineSoon+time.Second })
			s.checkBefore(t, held)
			for _, c := range combos {
				s.finish(held[c])
			}

			held = s.holdAll()
			s.setB(mode)
			s.checkBefore(t, held)
			s.awaitEnd()
			s.checkAfter(t, held)
			s.setB("accept")
		})
	}
	s.checkCounts()
}

// The node speaks, and the client only listens, when the deadline falls: the client learns of it at once.
func TestE11DeadlineDuringADownload(t *testing.T) {
	t.Parallel()
	s := newEnding(t, deadlineSoon)
	for _, family := range both {
		s.set("web/80/"+nodeLabel(0, family), "--mode", "drain") // so that b serves
		download, err := peer.StartDownload(t.Context(), s.star.Client, s.vip(family, 80), 8<<20, time.Minute)
		s.must(err)
		begin := time.Now()
		s.set("web/80/"+nodeLabel(0, family), "--mode", "accept")
		s.set("web/80/"+nodeLabel(1, family), "--mode", "drain")
		err = download.Wait(t.Context())
		if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), "reset") || took < deadlineSoon || took > deadlineSoon+2*time.Second {
			t.Errorf("IPv%d: the download ended after %v with %v, want a reset after %v", family, took, err, deadlineSoon)
		}
		s.set("web/80/"+nodeLabel(1, family), "--mode", "accept")
	}
	s.checkCounts()
}

// A deadline that was set falls at its time although the daemon is dead; one that lives on holds the same deadline.
func TestE11DeadlineOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	s := newEnding(t, deadlineLater)
	held := s.holdAll()
	s.must(s.gate.Stop())
	// The file says it, so that it holds for the next daemon too.
	s.configure(strings.ReplaceAll(s.endingYAML(2, deadlineLater), "b, address", "b, mode: drain, address"))
	s.start()
	begin := time.Now() // the mode was set a little earlier
	s.must(s.gate.Kill())
	s.start()
	s.checkBefore(t, held)
	s.must(s.gate.Kill())
	poll(t, soon, "the deadline fell", func() bool { return time.Since(begin) > deadlineLater+2*time.Second })
	s.checkAfter(t, held)
	s.start()
	s.awaitEnd()
	s.checkCounts()
}

// E18: a removed node takes no new flows, keeps those that it has until remove_deadline, and its id rests as long.
func TestE18RemovedNode(t *testing.T) {
	t.Parallel()
	s := newEnding(t, deadlineSoon)
	held := s.holdAll()
	s.cli("apply", "-f", s.writeFile("one.yaml", s.endingYAML(1, deadlineSoon)), "--wait")
	t.Run("row 10 removed", func(t *testing.T) {
		for _, c := range combos {
			if r := s.exchanges(c.network, c.family, c.port, 5); r.Failed != 0 || r.Nodes["a"] != 5 {
				t.Errorf("%v, new flows: %+v, want a alone", c, r)
			}
		}
		s.checkBefore(t, held)
		for _, c := range combos {
			if n := s.node(c.node(1)); n.Lifecycle != api.Removed || n.ActiveFlows != 1 || n.TakesNew {
				t.Errorf("%v: shown as %+v", c, n)
			}
		}
		s.awaitEnd()
		s.checkAfter(t, held)
	})
	if nodes := s.cli("maps", "dump", "nodes"); strings.Count(nodes, "/tcp removed ") != len(both) {
		t.Errorf("while closed connections still point to them, the ids of b are its own:\n%s", nodes)
	}
	s.checkCounts()
}

// E19: a changed address is another node, the old one ends as a removed one; a changed label, weight or mode is
// the same node, and nothing of it ends.
func TestE19ChangedAddressIsAnotherNode(t *testing.T) {
	t.Parallel()
	s := newEnding(t, deadlineSoon)
	held := s.holdAll()
	id := s.node("web/80/node-b").ID
	s.cli("apply", "-f", s.writeFile("renamed.yaml", strings.ReplaceAll(s.endingYAML(2, deadlineSoon), "node-b, address", "node-z, weight: 7, address")), "--wait")
	if n := s.node("web/80/node-z"); n.ID != id || n.Weight != 7 {
		t.Errorf("after a change of label and weight: node %d with weight %d, want node %d with 7", n.ID, n.Weight, id)
	}
	s.checkBefore(t, held)

	// Both nodes at another port, where nobody serves: existing flows stay at the old ones.
	moved := strings.NewReplacer(":8080", ":8081", ":5353", ":5354").Replace(s.endingYAML(2, deadlineSoon))
	s.cli("apply", "-f", s.writeFile("moved.yaml", moved), "--wait")
	if n := s.node("web/80/node-b"); n.ID == id || n.Lifecycle != api.Present {
		t.Errorf("after a change of the port: %+v, want another node than %d", n, id)
	}
	if r := s.exchanges("tcp", 4, 80, 2); r.Failures["refused"] != 2 {
		t.Errorf("new connections: %+v, want them at the new port, where nobody listens", r)
	}
	for _, c := range combos {
		if r := s.pulse(held[c]); r.Failed != 0 || r.Done != 6 {
			t.Errorf("%v: existing flows after a change of the port: %+v", c, r)
		}
	}
	s.eventually("the old incarnations end", func(st api.Status) bool {
		for _, n := range st.Nodes() {
			if n.Lifecycle == api.Removed && n.ActiveFlows > 0 {
				return false
			}
		}
		return true
	})
	if r := s.pulse(held[combos[0]]); r.Failures["reset"] != 2 {
		t.Errorf("%v: existing flows after remove_deadline: %+v, want both reset", combos[0], r)
	}
	s.checkCounts()
}

// E12: a drain is observable: remaining flows, the oldest of them, when the deadline falls, and when the last ended.
func TestE12DrainIsObservable(t *testing.T) {
	t.Parallel()
	s := newEnding(t, deadlineSoon)
	held := s.hold("tcp", 4, 80, 2)
	const name = "web/80/node-b"
	set := time.Now()
	s.set(name, "--mode", "drain")
	n := s.node(name)
	if n.ActiveFlows != 1 || n.OldestFlowMS == nil || *n.OldestFlowMS <= 0 || n.Deadline == nil || n.Deadline.Sub(set) > deadlineSoon+2*time.Second {
		t.Errorf("%d flows, the oldest %v ms, deadline %v", n.ActiveFlows, n.OldestFlowMS, n.Deadline)
	}
	if out := s.cli("node", "show", name); !strings.Contains(out, "deadline         in ") || !strings.Contains(out, "active flows     1\n") {
		t.Errorf("node show:\n%s", out)
	}
	if out := s.cli("status"); !strings.Contains(out, "last flows, for ") {
		t.Errorf("status:\n%s", out)
	}
	s.finish(held)
	poll(t, soon, "the event that it is drained", func() bool {
		return strings.Contains(s.cli("events"), name+" (drain): drained, no flow is left")
	})
	if out := s.cli("status"); !strings.Contains(out, "drained") {
		t.Errorf("status:\n%s", out)
	}
}
