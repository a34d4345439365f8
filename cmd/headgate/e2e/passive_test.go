package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// nft runs a command in a namespace.
func (s *site) nft(ns *lab.Namespace, rules string) {
	s.t.Helper()
	_, err := ns.Run(s.t.Context(), "nft", rules)
	s.must(err)
}

// input has packets that come into a namespace and match meet a verdict, until "delete table ip fault".
func input(match, verdict string) string {
	return fmt.Sprintf("add table ip fault; add chain ip fault in { type filter hook input priority 0; }; add rule ip fault in %s %s", match, verdict)
}

const noFault = "delete table ip fault"

// isEjected waits until a node is DOWN for the connections that it fails, and says so.
func (s *site) isEjected(node, how string) {
	s.t.Helper()
	s.nodeEventually(node, "is ejected", func(n api.Node) bool { return n.Health == "DOWN" })
	n := s.examine(node)
	if !strings.HasPrefix(n.Reason, "ejected for ") || !strings.HasSuffix(n.Reason, how) || n.Passive == nil || n.Passive.Ejected == nil {
		s.t.Errorf("%s is DOWN (%s), %+v; want ejected, the last connection %s", node, n.Reason, n.Passive, how)
	}
}

// Nodes that nobody checks, and that clients' connections say are not well.
func TestNodesThatFailConnectionsAreEjectedAndComeBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable)
	servers := s.servers()
	all := members(3, 8080, []int{4})
	s.run(s.yaml(conf{port: 80, nodes: all}, conf{port: 81, nodes: all[1:]}, conf{port: 82, nodes: all[1:]}))
	tries := func(port, workers, count int, timeout time.Duration) peer.Report {
		t.Helper()
		return s.load(peer.Load{Network: "tcp", Address: s.vip(4, port), Workers: workers, Count: count, Interval: 20 * time.Millisecond, Timeout: timeout})
	}

	s.must(servers[0].Kill())
	killed := time.Now()
	if r := tries(80, 1, 30, time.Second); r.Failures["refused"] < 3 {
		t.Fatalf("a server is gone, and yet: %+v", r)
	}
	s.isEjected("web/80/node-a", "was refused")
	if r := tries(80, 1, 12, time.Second); r.Failed != 0 || r.Nodes["a"] != 0 {
		t.Errorf("while it is ejected: %+v", r)
	}
	if out := s.cli("status"); !strings.Contains(out, "web/80/node-a is ejected for ") {
		t.Errorf("status says nothing of it:\n%s", out)
	}
	if out := s.cli("health", "web/80/node-a"); !strings.Contains(out, "ejected          for ") || !strings.Contains(out, "refused, 0 unanswered") {
		t.Errorf("health says nothing of it:\n%s", out)
	}

	s.nft(s.star.Nodes[2], input("tcp dport 8080", "reject with icmp type host-prohibited"))
	tries(81, 3, 4, 300*time.Millisecond)
	s.isEjected("web/81/node-c", "did not reach the node")
	s.nft(s.star.Nodes[2], noFault)

	s.nft(s.star.Nodes[1], input("tcp dport 8080", "drop"))
	tries(82, 12, 1, 4*time.Second) // a SYN is repeated after one second, and after three
	s.isEjected("web/82/node-b", "was unanswered")
	s.nft(s.star.Nodes[1], noFault)

	s.server(0)
	s.nodeEventually("web/80/node-a", "is back", func(n api.Node) bool { return n.Health != "DOWN" && n.TakesNew })
	if out := time.Since(killed); out < 10*time.Second {
		t.Errorf("it was out for less than %s, want ten seconds", out)
	}
	if r := tries(80, 1, 12, time.Second); r.Failed != 0 || r.Nodes["a"] == 0 {
		t.Errorf("when it is back: %+v", r)
	}
}

// TestE26HalfOfTheNodesStayWhateverConnectionsSay: a fault that seems to be all nodes' must not end the service.
func TestE26HalfOfTheNodesStayWhateverConnectionsSay(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable) // no server runs
	s.run(s.yaml(conf{port: 80, nodes: members(3, 8080, []int{4})}))
	load := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 3, Interval: 20 * time.Millisecond, Timeout: time.Second})
	s.eventually("one is ejected, two are spared", func(st api.Status) bool {
		down := 0
		for _, n := range st.Nodes() {
			if n.Health == "DOWN" {
				down++
			}
		}
		if down > 1 {
			t.Fatalf("%d of 3 nodes are out", down)
		}
		return down == 1 && strings.Count(strings.Join(st.Warnings, "\n"), "but is not ejected: no more than half may be out for that") == 2
	})
	s.servers()
	poll(t, soon, "clients are served", func() bool {
		r, err := load.Report()
		s.must(err)
		return r.Done > 10
	})
	s.finish(load)
}

// A client is not believed against a node that has answered it: it may vanish, hear nothing or reset.
func TestClientsThatVanishOrResetSpeakAgainstNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, nodes: members(2, 8080, []int{4})}))
	for name, verdict := range map[string]string{"resets what is answered": "reject with tcp reset", "hears no answer": "drop"} {
		s.nft(s.star.Client, input("tcp sport 80", verdict))
		if r := s.load(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 12, Count: 1, Timeout: 4 * time.Second}); r.Done != 0 {
			t.Fatalf("a client that %s: %+v", name, r)
		}
		s.nft(s.star.Client, noFault)
	}
	for _, node := range []string{"web/80/node-a", "web/80/node-b"} {
		n := s.examine(node)
		if p := n.Passive; n.Health == "DOWN" || p == nil || p.Refused+p.Unanswered+p.Unreachable != 0 {
			t.Errorf("%s is %s (%s), %+v", node, n.Health, n.Reason, p)
		}
	}
	if r := s.exchanges("tcp", 4, 80, 12); r.Failed != 0 || r.Nodes["a"] != 6 {
		t.Errorf("afterwards: %+v", r)
	}
}

// A node that is checked once in a minute is DOWN seconds after a client met its fault.
func TestReportsMakeCheckedNodesDOWNLongBeforeTheirInterval(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	servers := s.servers()
	const minute = "check: connection\ncheck_interval: 60s\ncheck_timeout: 1s\n"
	s.run(s.yaml(
		conf{port: 80, extra: minute, nodes: members(2, 8080, []int{4})},
		conf{port: 81, extra: minute + "check_attempts: 4\ncheck_passive: false\n", nodes: members(2, 8080, []int{4})}, // so it is a check of its own
	))
	s.must(servers[0].Kill())
	died := time.Now()
	for _, port := range []int{80, 81} {
		if r := s.exchanges("tcp", 4, port, 4); r.Failed == 0 {
			t.Fatalf("no connection met the fault: %+v", r)
		}
	}
	s.nodeEventually("web/80/node-a", "is DOWN", func(n api.Node) bool { return n.Health == "DOWN" && n.Reason == "connection refused" })
	if took := time.Since(died); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := s.node("web/81/node-a"); n.Health != "UP" {
		t.Errorf("without check_passive it is %s (%s) by now", n.Health, n.Reason)
	}
}
