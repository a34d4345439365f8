package e2e

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// clients are addresses of the client by family.
type clients map[int][]netip.Addr

// addClients gives the client n more addresses of each family.
func (s *site) addClients(n int) clients {
	s.t.Helper()
	v4, v6, err := s.star.AddClients(n)
	s.must(err)
	return clients{4: v4, 6: v6}
}

// chosen makes one connection, or UDP session, from each client and returns the node that answered it.
func (s *site) chosen(network string, family, port int, from clients) map[netip.Addr]string {
	s.t.Helper()
	r := s.load(peer.Load{Network: network, Address: s.vip(family, port), Sources: from[family], Workers: len(from[family]), Count: 1})
	if r.Failed != 0 || len(r.Sources) != len(from[family]) {
		s.t.Fatalf("%s over IPv%d: %d of %d clients were answered, %d failed: %v", network, family, len(r.Sources), len(from[family]), r.Failed, r.Failures)
	}
	return r.Sources
}

// checkable is a site whose nodes' health is what the test wants it to be; their traffic ports stay as they are.
type checkable struct {
	*site
	listeners []*lab.Process // on checkPort, by node; nil: closed
}

// checkedOn is a check on the port that only checks talk to.
var checkedOn = quickCheck + fmt.Sprintf("check_port: %d\n", checkPort)

func newCheckable(t *testing.T, nodes int) *checkable {
	t.Helper()
	s := &checkable{site: newSite(t, nodes, smallTable), listeners: make([]*lab.Process, nodes)}
	s.servers()
	for i := range nodes {
		s.up(i)
	}
	return s
}

func (s *checkable) up(i int) {
	s.t.Helper()
	var err error
	s.listeners[i], err = peer.StartListener(s.star.Nodes[i], fmt.Sprintf("[::]:%d", checkPort))
	s.must(err)
}

func (s *checkable) down(i int) {
	s.t.Helper()
	s.must(s.listeners[i].Kill())
	s.listeners[i] = nil
}

// await waits until node i has this health everywhere, applied.
func (s *checkable) await(i int, health string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("node %s is %s", nodeName(i), health), func(st api.Status) bool {
		return st.Applied == st.Desired && !slices.ContainsFunc(st.Nodes(), func(n api.Node) bool {
			return strings.HasSuffix(n.Name, "-"+nodeName(i)) && n.Health != health
		})
	})
}

// hashed is the two ways by hash over both families.
var hashed = []combo{{"tcp", 4, 80}, {"tcp", 6, 80}, {"udp", 4, 53}, {"udp", 6, 53}}

func (s *site) hashYAML(weights ...int) string {
	n := len(weights)
	return s.yaml(
		conf{port: 80, extra: "algorithm: source\n" + checkedOn, nodes: members(n, 8080, both, weights...)},
		conf{port: 53, proto: "udp", extra: "algorithm: ring_hash\nudp_idle: 1s\n" + checkedOn, nodes: members(n, 5353, both, weights...)},
	)
}

// TestE23OnlyTheClientsOfTheNodeThatChangesMove lets a node go DOWN, into drain (where no algorithm is stickiness: E13)
// and into reject, and come back, under a hundred clients.
func TestE23OnlyTheClientsOfTheNodeThatChangesMove(t *testing.T) {
	t.Parallel()
	s := newCheckable(t, 3)
	from := s.addClients(100)
	s.run(s.hashYAML(50, 30, 20))
	before := map[combo]map[netip.Addr]string{}
	for _, c := range hashed {
		before[c] = s.chosen(c.network, c.family, c.port, from)
		if again := s.chosen(c.network, c.family, c.port, from); !maps.Equal(again, before[c]) {
			t.Errorf("%s: clients do not come to the same node again", c)
		}
	}
	mode := func(m string) {
		for _, c := range hashed {
			s.set(c.node(1), "--mode", m)
		}
	}
	for _, step := range []struct {
		name     string
		out, in_ func()
	}{
		{"DOWN", func() { s.down(1); s.await(1, "DOWN") }, func() { s.up(1); s.await(1, "UP") }},
		{"drain", func() { mode("drain") }, func() { mode("accept") }},
		{"reject", func() { mode("reject") }, func() { mode("accept"); s.await(1, "UP") }},
	} {
		step.out()
		for _, c := range hashed {
			moved := 0
			for client, node := range s.chosen(c.network, c.family, c.port, from) {
				switch was := before[c][client]; {
				case node == "b", was != "b" && node != was:
					t.Errorf("%s, %s: client %s moves from %s to %s", step.name, c, client, was, node)
				case was == "b":
					moved++
				}
			}
			if moved < 10 || moved > 55 { // 30 of a hundred, more or less
				t.Errorf("%s, %s: %d clients were at node b", step.name, c, moved)
			}
		}
		step.in_()
		for _, c := range hashed {
			if back := s.chosen(c.network, c.family, c.port, from); !maps.Equal(back, before[c]) {
				t.Errorf("after %s, %s: not every client is where it was", step.name, c)
			}
		}
	}
	s.checkCounts()
}

// TestE24TwoBalancersChooseTheSameNode has two networks that are alike, each with a balancer of its own. The second
// lists its nodes in another order and has had other nodes before.
func TestE24TwoBalancersChooseTheSameNode(t *testing.T) {
	t.Parallel()
	var chosen [2]map[combo]map[netip.Addr]string
	for i := range chosen {
		s := newCheckable(t, 3)
		from := s.addClients(60)
		file := s.hashYAML(50, 30, 20)
		if i == 1 {
			s.run(s.yaml(conf{port: 80, nodes: members(1, 8080, both)}))
			lines := strings.Split(file, "\n")
			for at := 0; at < len(lines); at++ { // each run of nodes is turned round
				end := at
				for end < len(lines) && strings.Contains(lines[end], "- {label") {
					end++
				}
				slices.Reverse(lines[at:end])
				at = end
			}
			s.cli("apply", "-f", s.writeFile("turned.yaml", strings.Join(lines, "\n")), "--wait")
			s.await(0, "UP")
			s.await(1, "UP")
			s.await(2, "UP")
		} else {
			s.run(file)
		}
		chosen[i] = map[combo]map[netip.Addr]string{}
		for _, c := range hashed {
			chosen[i][c] = s.chosen(c.network, c.family, c.port, from)
		}
	}
	for _, c := range hashed {
		if !maps.Equal(chosen[0][c], chosen[1][c]) {
			t.Errorf("%s: the balancers choose %v and %v", c, chosen[0][c], chosen[1][c])
		}
	}
}

// TestLeastConnectionsEvenOut holds connections on one node, and wants new ones on the other until both have as many
// for their weight.
func TestLeastConnectionsEvenOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(conf{port: 80, extra: "algorithm: leastconn", nodes: members(2, 8080, both, 20, 40)}))
	s.set("web/80/node-b", "--mode", "drain")
	first := s.hold("tcp", 4, 80, 20)
	s.set("web/80/node-b", "--mode", "accept")
	second := s.hold("tcp", 4, 80, 40)
	if r := s.finish(second); r.Nodes["b"] != 40 {
		t.Errorf("20 connections are at a, of half b's weight; the next 40 went %v", r.Nodes)
	}
	s.finish(first)
	third := s.hold("tcp", 4, 80, 90)
	if r := s.finish(third); r.Nodes["a"] < 28 || r.Nodes["a"] > 32 {
		t.Errorf("90 connections at the same time: %v, want 30 and 60", r.Nodes)
	}
	s.checkCounts()
}

// TestE25MaxConns fills the nodes of a TCP and a UDP config.
func TestE25MaxConns(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, smallTable)
	s.servers()
	file := s.yaml(
		conf{port: 80, nodes: []member{{i: 0, port: 8080}, {i: 1, port: 8080}, {i: 2, port: 8080, mode: "backup"}}},
		conf{port: 53, proto: "udp", extra: "algorithm: ring_hash\nudp_idle: 5m", nodes: []member{{i: 0, port: 5353}, {i: 1, port: 5353}}},
	)
	file = strings.NewReplacer(`:8080", mode`, `:8080", mode`, `:8080"}`, `:8080", max_conns: 3}`, `:5353"}`, `:5353", max_conns: 2}`).Replace(file)
	s.run(file)

	held := s.hold("tcp", 4, 80, 6)
	s.eventually("both nodes are full", func(st api.Status) bool {
		return slices.Equal(fullNodes(st), []string{"web/80/node-a", "web/80/node-b"})
	})
	if r := s.exchanges("tcp", 4, 80, 5); r.Failures["refused"] != 5 {
		t.Errorf("all are full: %+v", r)
	}
	if show := s.cli("node", "show", "web/80/node-a"); !strings.Contains(show, "no: full: 3 of 3 connections") {
		t.Errorf("node show:\n%s", show)
	}
	if st := s.status(); !slices.ContainsFunc(st.Refused, func(r api.Reason) bool { return r.Name == "nodes_full" && r.Packets == 5 }) {
		t.Errorf("refused: %+v", st.Refused)
	}
	s.set("web/80/node-b", "--max-conns", "4")
	more := s.hold("tcp", 4, 80, 1)
	if r := s.finish(more); r.Nodes["b"] != 1 {
		t.Errorf("b may have one more: %v", r.Nodes)
	}
	if r := s.finish(held); r.Nodes["a"] != 3 || r.Nodes["b"] != 3 {
		t.Errorf("six connections: %v", r.Nodes)
	}
	if r := s.exchanges("tcp", 4, 80, 10); r.Failed != 0 || r.Nodes["c"] != 0 {
		t.Errorf("with room again: %+v", r)
	}

	sessions := s.hold("udp", 4, 53, 4) // of one client, for whom one node is meant
	if r := s.exchanges("udp", 4, 53, 1); r.Failures["refused"] != 1 {
		t.Errorf("a fifth session: %+v", r)
	}
	if r := s.finish(sessions); r.Nodes["a"] != 2 || r.Nodes["b"] != 2 {
		t.Errorf("four sessions: %v", r.Nodes)
	}
	s.checkCounts()
}

// fullNodes names those that are.
func fullNodes(st api.Status) (names []string) {
	for _, n := range st.Nodes() {
		if strings.Contains(n.Why, "full") {
			names = append(names, n.Name)
		}
	}
	return names
}

// TestE22SlowStart lets a node recover under clients that connect all the time.
func TestE22SlowStart(t *testing.T) {
	t.Parallel()
	s := newCheckable(t, 2)
	s.run(s.yaml(conf{port: 80, extra: "slow_start: 4s\n" + checkedOn, nodes: members(2, 8080, []int{4})}))
	wantShares(t, "at the start", s.exchanges("tcp", 4, 80, 20), map[string]int{"a": 10, "b": 10})
	s.down(1)
	s.await(1, "DOWN")
	s.up(1)
	s.await(1, "UP")
	r, n := s.exchanges("tcp", 4, 80, 22), s.node("web/80/node-b")
	if !strings.Contains(n.Why, "slow start: ") {
		t.Fatalf("after %d connections it is no slow start any more: %s", r.Done, n.Why)
	}
	if r.Failed != 0 || r.Nodes["b"] < 1 || r.Nodes["b"] > 9 { // a tenth of a's at first, as many as a at last
		t.Errorf("while it starts (%s): %v, %d failed", n.Why, r.Nodes, r.Failed)
	}
	s.nodeEventually("web/80/node-b", "has all of its weight", func(n api.Node) bool { return n.Why == "takes new flows: UP" })
	wantShares(t, "after it", s.exchanges("tcp", 4, 80, 20), map[string]int{"a": 10, "b": 10})
}
