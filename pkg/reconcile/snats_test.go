package reconcile

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/lb"
)

func TestSourceAddressFollowsTheRouteForNewFlows(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	w.flow("a", 1000)
	h := w.hops[address("a").Addr()]
	h.Source = netip.MustParseAddr("10.0.0.253")
	w.hops[address("a").Addr()] = h
	w.setHops()
	w.settle()
	if got, _ := w.tables.ReadSNAT(w.node("a").SNATs.First); got != h.Source {
		t.Errorf("new flows come from %s, want %s", got, h.Source)
	}
	if !w.tables.isOurs(netip.MustParseAddr("10.0.0.254")) {
		t.Error("replies to the old source address are not ours any more, but a flow uses it")
	}
}

func TestConfiguredSourceAddressesAreAllUsed(t *testing.T) {
	w := newWorld(t)
	w.snat = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("10.0.0.2")}
	w.r = New(w.tables, w.options())
	w.desire(w.balancer(lb.TCP, "a", "b"))
	w.apply()
	a, b := w.node("a").SNATs, w.node("b").SNATs
	if a.Count != 2 || a != b {
		t.Errorf("ranges %+v and %+v, want one of two addresses", a, b)
	}
}

func TestNodeWithoutSourceAddressIsLeftOutAndNamed(t *testing.T) {
	w := newWorld(t)
	delete(w.hops, address("b").Addr())
	w.setHops()
	w.desire(w.balancer(lb.TCP, "a", "b"))
	done := w.apply()
	if got := w.tableOf(); got != "a" {
		t.Errorf("table %q, want a alone", got)
	}
	if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "web/80/b") {
		t.Errorf("warnings %q, want one that names web/80/b", done.Warnings)
	}
}

func TestSourceAddressRestsBeforeItsEntryIsCleared(t *testing.T) {
	w := newWorld(t)
	w.desire(w.balancer(lb.TCP, "a"))
	w.apply()
	old := w.node("a").SNATs.First
	w.route(func(_ *int, source *netip.Addr) { *source = netip.MustParseAddr("10.0.0.253") })
	for range 3 {
		w.apply()
	}
	if a, _ := w.tables.ReadSNAT(old); !a.IsValid() {
		t.Error("cleared at once, but packets may still read it")
	}
	w.clock.advance(time.Second)
	w.apply()
	if a, _ := w.tables.ReadSNAT(old); a.IsValid() {
		t.Errorf("%s is still there, but no node names it", a)
	}
}
