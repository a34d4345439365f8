package e2e

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// sticks is `headgate sticky list`.
func (s *site) sticks() []api.Stick {
	s.t.Helper()
	var all []api.Stick
	s.must(s.gate.JSON(s.t.Context(), &all, "sticky", "list"))
	return all
}

// byNode makes a new flow from each client and returns those that came to each node.
func (s *sticky) byNode(c combo, clients []netip.Addr) map[string][]netip.Addr {
	s.t.Helper()
	got := map[string][]netip.Addr{}
	for _, from := range clients {
		node := s.flows(c, from, 1)
		got[node] = append(got[node], from)
	}
	return got
}

// checkApart has two clients that stuck to the same node make a new flow each: if their entries still held, both
// would come to the same node, and scheduled in turn they do not.
func (s *sticky) checkApart(c combo, clients []netip.Addr) {
	s.t.Helper()
	if first, second := s.flows(c, clients[0], 1), s.flows(c, clients[1], 1); first == second {
		s.t.Errorf("%v: clients whose entries should be dead both came to %s", c, first)
	}
}

// E5: with the node that goes DOWN its entries end, also those that nobody looked at meanwhile; E12 counts them.
func TestE5ClientsDoNotComeBackToANodeThatWasDown(t *testing.T) {
	t.Parallel()
	s := newSticky(t, "", "accept", "accept")
	before := map[combo]map[string][]netip.Addr{}
	for _, c := range combos {
		before[c] = s.byNode(c, s.clients[c.family])
		if len(before[c]["a"]) < 2 || len(before[c]["b"]) < 2 {
			t.Fatalf("%v: five clients came to %v", c, before[c])
		}
	}
	for _, c := range combos {
		for i, name := range []string{"a", "b"} {
			want := len(before[c][name])
			s.nodeEventually(c.node(i), "has the entries of its clients", func(n api.Node) bool { return int(n.StickEntries) == want })
		}
	}
	s.health(0, false)
	s.await("DOWN", "UP")
	for _, c := range combos {
		s.nodeEventually(c.node(0), "has no entries", func(n api.Node) bool { return n.StickEntries == 0 })
	}
	s.health(0, true)
	s.await("UP", "UP")
	for _, c := range combos {
		s.checkApart(c, before[c]["a"])
		if got := s.byNode(c, before[c]["b"]); len(got["b"]) != len(before[c]["b"]) {
			t.Errorf("%v: clients of the node that was UP throughout came to %v", c, got)
		}
	}
}

// E6: what the backups made holds during their turn, and not in the next.
func TestE6EntriesOfTheBackupsEndWithTheirTurn(t *testing.T) {
	t.Parallel()
	s := newSticky(t, "", "accept", "backup", "backup")
	s.health(0, false)
	s.await("DOWN", "UP", "UP")
	first := map[combo]map[string][]netip.Addr{}
	for _, c := range combos {
		first[c] = s.byNode(c, s.clients[c.family])
		if got := s.byNode(c, first[c]["b"]); len(got["b"]) != len(first[c]["b"]) {
			t.Errorf("%v: in the same turn, clients of b came to %v", c, got)
		}
	}
	s.health(0, true)
	s.await("UP", "UP", "UP")
	for _, c := range combos {
		if got := s.flows(c, first[c]["c"][0], 3); got != "a" {
			t.Errorf("%v: with the primary back, a client of c came to %s", c, got)
		}
	}
	s.health(0, false)
	s.await("DOWN", "UP", "UP")
	for _, c := range combos {
		s.checkApart(c, first[c]["b"])
	}
}

// E8: a client's time begins when its entry is made, or anew with each of its flows, and with no packet of a flow.
func TestE8StickTime(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	s.run(s.yaml(
		conf{port: 80, extra: "stickiness: table\nstick_ttl: 2s\n", nodes: members(2, 8080, both)},
		conf{port: 81, extra: "stickiness: table\nstick_ttl: 2s\nstick_refresh: true\n", nodes: members(2, 8080, both)},
	))
	// One client alone in its family: scheduled again it comes to the other node.
	coming, where := map[int]*peer.Client{}, map[int]string{}
	for _, family := range both {
		for _, port := range []int{80, 81} {
			coming[port+family] = s.startLoad(peer.Load{Network: "tcp", Address: s.vip(family, port), Workers: 1, Interval: 100 * time.Millisecond})
		}
	}
	for _, family := range both {
		poll(t, soon, "the client that keeps coming has moved", func() bool {
			r, err := coming[80+family].Report()
			s.must(err)
			return r.Nodes["a"] > 3 && r.Nodes["b"] > 3
		})
		fixed, sliding := s.finish(coming[80+family]), s.finish(coming[81+family])
		if fixed.Failed != 0 || fixed.Done < 15 {
			t.Errorf("IPv%d: %+v", family, fixed)
		}
		if sliding.Failed != 0 || len(sliding.Nodes) != 1 || sliding.Done < 15 {
			t.Fatalf("IPv%d, with stick_refresh: %+v, want one node", family, sliding)
		}
		where[family] = slices.Collect(maps.Keys(sliding.Nodes))[0]
	}
	held := []*peer.Client{s.hold("tcp", 4, 81, 1), s.hold("tcp", 6, 81, 1)}
	poll(t, soon, "the entries have ended although flows live by them", func() bool {
		for _, c := range held {
			s.pulse(c)
		}
		return len(s.sticks()) == 0
	})
	for i, family := range both {
		if r := s.finish(held[i]); r.Failed != 0 || len(r.Nodes) != 1 || r.Nodes[where[family]] == 0 {
			t.Errorf("IPv%d: held: %+v, want all at %s", family, r, where[family])
		}
		if r := s.exchanges("tcp", family, 81, 1); r.Done != 1 || r.Nodes[where[family]] != 0 {
			t.Errorf("IPv%d: after its time the client came again to %s: %+v", family, where[family], r)
		}
	}
}

// Entries are the data path's own: they hold with the daemon dead and after it is back, and are listed and taken
// away without it.
func TestStickEntriesOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	s := newSticky(t, "", "accept", "accept")
	before := map[combo]map[string][]netip.Addr{}
	check := func(when string) {
		t.Helper()
		for _, c := range combos {
			for node, clients := range before[c] {
				if got := s.byNode(c, clients); len(got[node]) != len(clients) {
					t.Errorf("%s, %v: the clients %v of %s came to %v", when, c, clients, node, got)
				}
			}
		}
	}
	for _, c := range combos {
		before[c] = s.byNode(c, s.clients[c.family])
	}
	s.must(s.gate.Kill())
	check("with the daemon dead")
	if n := len(s.sticks()); n != 4*5 {
		t.Errorf("with the daemon dead %d entries are listed, want 20", n)
	}
	// Who is let go is scheduled in turn, and so are two in a row not to the same node.
	tcp := combos[0]
	gone := before[tcp]["a"]
	for _, client := range gone {
		s.cli("sticky", "remove", "--config", "web/80", "--client", client.String())
	}
	if n := len(s.sticks()); n != 4*5-len(gone) {
		t.Errorf("%d entries are left of 20, %d were taken away", n, len(gone))
	}
	s.checkApart(tcp, gone)
	before[tcp] = s.byNode(tcp, s.clients[4])
	s.start()
	s.settled()
	check("after the new start")
}
