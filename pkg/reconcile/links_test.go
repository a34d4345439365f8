package reconcile

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/netdev"
)

func TestFlowsOfRemovedNodesFollowTheirHop(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	w.flow("b", 1000)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	h := w.hops[address("b").Addr()]
	h.DstMAC = [6]byte{2, 9, 9, 9, 9, 9}
	w.hops[address("b").Addr()] = h
	w.setHops()
	w.apply()
	if got := w.node("b").Hop.MAC; got != h.DstMAC {
		t.Errorf("hop of b goes to %x, want %x", got, h.DstMAC)
	}
}

func TestUnresolvedHopIsLeftToTheKernel(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	h := w.hops[address("a").Addr()]
	h.Resolved, h.Reason = false, "neighbour does not answer"
	w.hops[address("a").Addr()] = h
	w.setHops()
	w.apply()
	if n := w.node("a"); n.Hop.Resolved() || w.tableOf() != "a" {
		t.Errorf("hop %s, table %q; want unresolved, and still in the table", n.Hop, w.tableOf())
	}
}

func TestLostRedirectIsRepaired(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	index := w.node("a").Hop.Link
	w.tables.LosePort(index)
	w.apply()
	if l, _ := w.tables.ReadLink(index); l.Stale {
		t.Errorf("link %d is stale", index)
	}
}

func TestAChangedMTUIsWritten(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	links := slices.Clone(hostLinks)
	links[0].MTU = 1300
	if done, err := w.r.Apply(w.state.View(), links); err != nil || done.Writes != 1 {
		t.Errorf("%d writes, %v; want one", done.Writes, err)
	}
	index := w.node("a").Hop.Link
	if l, err := w.tables.ReadLink(index); err != nil || l.MTU != 1300 {
		t.Errorf("link %d: %+v, %v; want MTU 1300", index, l, err)
	}
}

func TestTooManyLinksLeaveThoseOfNodes(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	links := slices.Clone(hostLinks)
	for i := range 20 { // all of them want the entries of eth0
		l := hostLinks[0]
		l.Index, l.Name = 2+256*(i+2), "other"
		links = append([]netdev.Link{l}, links...)
	}
	done, err := w.r.Apply(w.state.View(), links)
	if err != nil || !w.node("a").Hop.Resolved() {
		t.Errorf("hop %s, error %v; want resolved", w.node("a").Hop, err)
	}
	if len(done.Warnings) == 0 || !strings.Contains(done.Warnings[0], "interface other") {
		t.Errorf("warnings %q, want those links named that have no room", done.Warnings)
	}
}

func TestLinkStaysWhileRepliesLeaveByIt(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	n, eth1 := w.node("a"), maps.LinkSlot(3, 0)
	err := w.tables.AddFlowFrom(maps.Flow{
		Protocol: lb.TCP, Class: maps.Established, NodeID: n.ID, Node: n.Address,
		Client: netip.MustParseAddrPort("198.51.100.1:1000"), VIP: netip.MustParseAddrPort("203.0.113.10:80"),
		Source: netip.MustParseAddrPort("10.0.0.254:2000"),
	}, maps.Hop{Link: eth1, MAC: [6]byte{2}})
	if err != nil {
		t.Fatal(err)
	}
	settle := func() {
		for range 8 {
			if _, err := w.r.Apply(w.state.View(), hostLinks[:1]); err != nil { // eth1 is gone
				t.Fatal(err)
			}
			w.clock.advance(time.Minute)
		}
	}
	settle()
	if l, _ := w.tables.ReadLink(eth1); l.IfIndex != 3 {
		t.Errorf("link %d is %+v, but a flow's replies leave by it", eth1, l)
	}
	w.tables.EndFlows(n.ID)
	settle()
	if l, _ := w.tables.ReadLink(eth1); l.IfIndex != 0 {
		t.Errorf("link %d is %+v, but nobody needs it", eth1, l)
	}
}

func TestLinkStaysWhileARemovedNodeLeavesByIt(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	w.flow("a", 1000)
	w.desire()
	w.hops = nil
	w.setHops()
	for range 8 {
		if _, err := w.r.Apply(w.state.View(), nil); err != nil {
			t.Fatal(err)
		}
		w.clock.advance(time.Minute)
	}
	if n := w.node("a"); !n.Hop.Resolved() {
		t.Errorf("hop %s, want the last that was known", n.Hop)
	}
}
