package netdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// pair is a balancer with a node on its link, both families.
func pair(t *testing.T) (lb, node *host) {
	t.Helper()
	lb, node = newHost(t), newHost(t)
	cable(t, lb, "hg0", node, "hgn")
	lb.addr(t, "hg0", "10.7.0.1/24")
	lb.addr(t, "hg0", "fd07::1/64")
	node.addr(t, "hgn", "10.7.0.9/24")
	node.addr(t, "hgn", "fd07::9/64")
	return lb, node
}

func TestOnLinkNodeResolvesFromNothing(t *testing.T) {
	lb, node := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9", "fd07::9")
	for target, source := range map[string]string{"10.7.0.9": "10.7.0.1", "fd07::9": "fd07::1"} {
		got := await(t, r, target, resolved)
		want := NextHop{
			Resolved: true, IfIndex: got.IfIndex, IfName: "hg0", MTU: 1500,
			SrcMAC: lb.mac(t, "hg0"), DstMAC: node.mac(t, "hgn"),
			Source: netip.MustParseAddr(source), Via: netip.MustParseAddr(target),
		}
		if got != want {
			t.Errorf("hop to %s\n got %+v\nwant %+v", target, got, want)
		}
		if l := must(linkIn(lb, t, "hg0"))(t); l.Index != got.IfIndex {
			t.Errorf("hop to %s leaves by link %d; hg0 is %d", target, got.IfIndex, l.Index)
		}
	}
}

func linkIn(h *host, t *testing.T, name string) (l Link, err error) {
	h.do(t, func() { l, err = LinkByName(name) })
	return l, err
}

func TestNodeBehindGatewayIsReachedThroughIt(t *testing.T) {
	lb, gw := pair(t)
	lb.route(t, "", netlink.Route{Dst: cidr("10.99.0.0/16"), Gw: net.ParseIP("10.7.0.9"), MTU: 1400})
	lb.route(t, "", netlink.Route{Dst: cidr("fd99::/32"), Gw: net.ParseIP("fd07::9")})
	lb.route(t, "hg0", netlink.Route{Dst: cidr("10.98.0.0/16"), Via: &netlink.Via{
		AddrFamily: netlink.FAMILY_V6, Addr: net.ParseIP("fd07::9")}})
	r := lb.resolve(t, fast, "10.99.1.1", "fd99::1", "10.98.1.1")
	for _, c := range []struct {
		target, via string
		mtu         int
	}{
		{"10.99.1.1", "10.7.0.9", 1400},
		{"fd99::1", "fd07::9", 1500},
		{"10.98.1.1", "fd07::9", 1500},
	} {
		hop := await(t, r, c.target, resolved)
		if hop.Via != netip.MustParseAddr(c.via) || hop.DstMAC != gw.mac(t, "hgn") || hop.MTU != c.mtu {
			t.Errorf("hop to %s: %+v, want via %s with mtu %d", c.target, hop, c.via, c.mtu)
		}
	}
}

func TestLinkLocalNodeWithZone(t *testing.T) {
	lb, node := pair(t)
	node.addr(t, "hgn", "fe80::9/64")
	r := lb.resolve(t, fast, "fe80::9%hg0", "fe80::9%nope")
	if hop := await(t, r, "fe80::9%hg0", resolved); hop.Via != netip.MustParseAddr("fe80::9") {
		t.Errorf("via %s", hop.Via)
	}
	await(t, r, "fe80::9%nope", because("no link nope for fe80::9%nope"))
}

func TestUnreachableTargetsSayWhy(t *testing.T) {
	lb, _ := pair(t)
	for kind, last := range map[int]string{unix.RTN_BLACKHOLE: "1", unix.RTN_UNREACHABLE: "2", unix.RTN_PROHIBIT: "3"} {
		lb.route(t, "", netlink.Route{Dst: cidr("10.66.0." + last + "/32"), Type: kind})
		lb.route(t, "lo", netlink.Route{Dst: cidr("fd66::" + last + "/128"), Type: kind})
	}
	want := map[string]string{
		"10.66.0.1":  "the route to 10.66.0.1 is of type blackhole",
		"10.66.0.2":  "the route to 10.66.0.2 is of type unreachable",
		"10.66.0.3":  "the route to 10.66.0.3 is of type prohibit",
		"fd66::1":    "the route to fd66::1 is of type blackhole",
		"fd66::2":    "the route to fd66::2 is of type unreachable",
		"fd66::3":    "the route to fd66::3 is of type prohibit",
		"10.7.0.1":   "10.7.0.1 is an address of this host",
		"fd07::1":    "fd07::1 is an address of this host",
		"127.0.0.1":  "127.0.0.1 is an address of this host",
		"10.7.0.255": "10.7.0.255 is a broadcast, anycast or multicast address",
		"10.67.0.1":  "no route to 10.67.0.1",
		"fd67::1":    "no route to fd67::1",
		"10.7.0.50":  "neighbour 10.7.0.50 on hg0 does not answer",
		"fd07::50":   "neighbour fd07::50 on hg0 does not answer",
	}
	var targets []string
	for target := range want {
		targets = append(targets, target)
	}
	r := lb.resolve(t, fast, targets...)
	for target, reason := range want {
		if hop := await(t, r, target, because(reason)); hop.Pending {
			t.Errorf("%s: nothing more is to be expected: %+v", target, hop)
		}
	}
}

func TestOnlyANeighbourThatWasJustAskedIsPending(t *testing.T) {
	node := netip.MustParseAddr("10.7.0.2")
	key := neighKey{3, node}
	for _, c := range []struct {
		name    string
		up      bool
		neigh   neighbour
		silent  bool
		pending bool
	}{
		{"asked", true, neighbour{state: netlink.NUD_INCOMPLETE}, false, true},
		{"asked again in vain", true, neighbour{state: netlink.NUD_INCOMPLETE}, true, false},
		{"answered", true, neighbour{state: netlink.NUD_REACHABLE, hasMAC: true}, false, false},
		{"link down", false, neighbour{}, false, false},
	} {
		w := &world{
			links:  map[int]link{3: {Link: Link{Index: 3, Name: "eth0", Up: c.up}, ethernet: true}},
			neighs: map[neighKey]neighbour{key: c.neigh},
		}
		hop := w.hop(&target{addr: node, path: path{ifindex: 3, via: node}, gateway: &gateway{key: key, silent: c.silent}})
		if hop.Pending != c.pending || hop.Resolved == (hop.Reason != "") {
			t.Errorf("%s: %+v", c.name, hop)
		}
	}
}

func TestRouteChangeMovesTheHop(t *testing.T) {
	lb, gw1 := pair(t)
	gw2 := newHost(t)
	cable(t, lb, "hg1", gw2, "hgn")
	lb.addr(t, "hg1", "10.8.0.1/24")
	gw2.addr(t, "hgn", "10.8.0.9/24")
	r := lb.resolve(t, fast, "10.99.0.1")
	await(t, r, "10.99.0.1", because("no route to 10.99.0.1"))
	through := func(gw *host, source string) {
		t.Helper()
		mac := gw.mac(t, "hgn")
		await(t, r, "10.99.0.1", func(h NextHop) bool {
			return h.Resolved && h.DstMAC == mac && h.Source == netip.MustParseAddr(source)
		})
	}

	lb.route(t, "", netlink.Route{Dst: cidr("10.99.0.0/16"), Gw: net.ParseIP("10.7.0.9")})
	through(gw1, "10.7.0.1")
	lb.route(t, "", netlink.Route{Dst: cidr("10.99.0.0/24"), Gw: net.ParseIP("10.8.0.9")})
	through(gw2, "10.8.0.1")
	lb.do(t, func() {
		check(t, netlink.RouteDel(&netlink.Route{Dst: cidr("10.99.0.0/24"), Gw: net.ParseIP("10.8.0.9")}))
	})
	through(gw1, "10.7.0.1")

	lb.route(t, "", netlink.Route{Table: 77, Dst: cidr("0.0.0.0/0"), Gw: net.ParseIP("10.8.0.9")})
	rule := netlink.NewRule()
	rule.Table, rule.Priority, rule.Dst = 77, 100, cidr("10.99.0.1/32")
	lb.do(t, func() { check(t, netlink.RuleAdd(rule)) })
	through(gw2, "10.8.0.1")
	lb.do(t, func() { check(t, netlink.RuleDel(rule)) })
	through(gw1, "10.7.0.1")
}

func TestSourceFollowsTheAddresses(t *testing.T) {
	lb, _ := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9")
	await(t, r, "10.7.0.9", resolved)
	lb.addr(t, "hg0", "10.7.0.2/24")
	lb.addr(t, "hg0", "-10.7.0.1/24")
	lb.addr(t, "hg0", "10.7.0.3/24") // the secondary address went with its primary, unless promoted
	await(t, r, "10.7.0.9", func(h NextHop) bool { return h.Resolved && h.Source == netip.MustParseAddr("10.7.0.3") })
	if links := r.Links(); len(links) != 2 || links[1].Name != "hg0" || links[1].Addrs[0] != netip.MustParseAddr("10.7.0.3") {
		t.Errorf("links: %+v", links)
	}
}

func TestAddressThatBecomesLocalIsNoTargetAnyMore(t *testing.T) {
	lb, _ := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9")
	await(t, r, "10.7.0.9", resolved)
	lb.addr(t, "lo", "10.7.0.9/32")
	await(t, r, "10.7.0.9", because("10.7.0.9 is an address of this host"))
	lb.addr(t, "lo", "-10.7.0.9/32")
	await(t, r, "10.7.0.9", resolved)
}

func TestLinkDownAndUp(t *testing.T) {
	lb, node := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9", "fd07::9")
	await(t, r, "10.7.0.9", resolved)
	await(t, r, "fd07::9", resolved)

	t.Run("its own end", func(t *testing.T) {
		lb.setUp(t, "hg0", false)
		await(t, r, "10.7.0.9", because("no route to 10.7.0.9: link hg0 is down"))
		await(t, r, "fd07::9", because("no route to fd07::9: link hg0 is down"))
		lb.setUp(t, "hg0", true)
		lb.addr(t, "hg0", "fd07::1/64") // IPv6 loses its addresses with the link
		await(t, r, "10.7.0.9", resolved)
		await(t, r, "fd07::9", resolved)
	})
	t.Run("the carrier", func(t *testing.T) {
		node.setUp(t, "hgn", false)
		await(t, r, "10.7.0.9", because("link hg0 is down"))
		node.setUp(t, "hgn", true)
		await(t, r, "10.7.0.9", resolved)
	})
	t.Run("gone", func(t *testing.T) {
		lb.do(t, func() { check(t, netlink.LinkDel(must(netlink.LinkByName("hg0"))(t))) })
		await(t, r, "10.7.0.9", because("no route to 10.7.0.9"))
		if links := r.Links(); len(links) != 1 {
			t.Errorf("links after one was deleted: %+v", links)
		}
	})
}

func TestLinkThatReturnsIsUsedWithoutWaitingForARetry(t *testing.T) {
	lb, node := pair(t)
	slow := fast
	slow.retry = time.Hour
	r := lb.resolve(t, slow, "10.7.0.9")
	await(t, r, "10.7.0.9", resolved)
	node.setUp(t, "hgn", false)
	await(t, r, "10.7.0.9", because("link hg0 is down"))
	node.setUp(t, "hgn", true)
	await(t, r, "10.7.0.9", resolved)
}

func TestTargetOnALinkThatWasNeverUpNamesIt(t *testing.T) {
	lb, _ := pair(t)
	lb.setUp(t, "hg0", false)
	r := lb.resolve(t, fast, "10.7.0.9")
	await(t, r, "10.7.0.9", because("no route to 10.7.0.9: link hg0 is down"))
}

func TestOwnMACChange(t *testing.T) {
	lb, _ := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9")
	await(t, r, "10.7.0.9", resolved)
	lb.setMAC(t, "hg0", "02:00:00:00:77:01")
	await(t, r, "10.7.0.9", func(h NextHop) bool { return h.Resolved && h.SrcMAC == [6]byte{2, 0, 0, 0, 0x77, 1} })
}

func TestManyTargetsShareTheirGateway(t *testing.T) {
	lb, _ := pair(t)
	lb.route(t, "", netlink.Route{Dst: cidr("10.99.0.0/16"), Gw: net.ParseIP("10.7.0.9")})
	targets := spread("10.99.%d.%d", 10_000)
	r := lb.resolve(t, fast, targets...)
	for _, target := range targets {
		await(t, r, target, resolved)
	}
	lb.do(t, func() {
		neighs := must(r.neigh.list())(t)
		for key := range neighs {
			if strings.HasPrefix(key.addr.String(), "10.") && key.addr != netip.MustParseAddr("10.7.0.9") {
				t.Errorf("neighbour %s beside the gateway", key.addr)
			}
		}
	})
	start := time.Now()
	lb.setMAC(t, "hg0", "02:00:00:00:77:02")
	await(t, r, targets[len(targets)-1], func(h NextHop) bool { return h.SrcMAC[5] == 2 })
	t.Logf("%d targets followed a change of the link in %v", len(targets), time.Since(start))
}

// The kernel's tables hold 1,024 entries by default; more of them on one link must not push each other out.
func TestMoreNodesOnLinkThanTheKernelsTableHolds(t *testing.T) {
	lb, node := pair(t)
	lb.addr(t, "hg0", "10.20.0.1/16")
	node.route(t, "lo", netlink.Route{Dst: cidr("10.20.128.0/17"), Type: unix.RTN_LOCAL, Table: 255, Scope: netlink.SCOPE_HOST})
	targets := spread("10.20.%d.%d", 10_000)
	r := lb.resolve(t, defaultTiming, targets...)
	start := time.Now()
	for _, target := range targets {
		await(t, r, target, resolved)
	}
	t.Logf("%d nodes on one link resolved in %v", len(targets), time.Since(start))
	lb.setMAC(t, "hg0", "02:00:00:00:77:03") // every hop is published anew, with all still there
	await(t, r, targets[0], func(h NextHop) bool { return h.SrcMAC[5] == 3 })
	for _, target := range targets {
		await(t, r, target, resolved)
	}
}

// spread makes n addresses in the upper half of a /16.
func spread(format string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(format, 128+i/250, 1+i%250))
	}
	return list
}

func TestTargetsAreReplaced(t *testing.T) {
	lb, _ := pair(t)
	r := lb.resolve(t, fast, "10.7.0.9")
	await(t, r, "10.7.0.9", resolved)
	before := r.Hops()
	r.MoveTargets(addrs("fd07::9", "fd07::9"), addrs("10.7.0.9"))
	await(t, r, "fd07::9", resolved)
	if hops := r.Hops(); hops.Len() != 1 {
		t.Errorf("hops after the targets were replaced: %v", hops)
	}
	if _, ok := before.To(netip.MustParseAddr("10.7.0.9")); !ok || before.Len() != 1 {
		t.Errorf("a snapshot changed under its holder: %v", before)
	}
	r.MoveTargets(nil, addrs("fd07::9"))
	eventually(t, "no hops without targets", func() bool { return r.Hops().Len() == 0 })
}

// With a buffer of a few messages, a burst overflows it. What was lost must be found nevertheless.
func TestLostNotificationsAreReadAgain(t *testing.T) {
	lb, _ := pair(t)
	lb.route(t, "", netlink.Route{Dst: cidr("10.99.0.0/16"), Gw: net.ParseIP("10.7.0.9")})
	var log strings.Builder
	r := overflowing(t, lb, &log)
	r.MoveTargets(addrs("10.99.0.1"), nil)
	stop := run(t, r)
	await(t, r, "10.99.0.1", resolved)
	lb.do(t, func() {
		l := must(netlink.LinkByName("hg0"))(t)
		for i := range 3000 {
			check(t, netlink.NeighSet(&netlink.Neigh{
				LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT,
				IP: net.IPv4(10, 7, byte(1+i/250), byte(i%250)), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 1, byte(i)},
			}))
			if i == 2000 { // its notification is among those that drown
				lb.route(t, "", netlink.Route{Dst: cidr("10.99.0.0/24"), Gw: net.ParseIP("10.7.0.77")})
				check(t, netlink.NeighSet(&netlink.Neigh{
					LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT,
					IP: net.ParseIP("10.7.0.77"), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 77},
				}))
			}
		}
	})
	await(t, r, "10.99.0.1", func(h NextHop) bool { return h.Resolved && h.DstMAC[5] == 77 })
	stop()
	if !strings.Contains(log.String(), "reading all anew") {
		t.Error("nothing was lost; the test proves nothing")
	}
}

func TestRunEndsWithItsContextAndOnlyOnce(t *testing.T) {
	lb, _ := pair(t)
	var r *Resolver
	lb.do(t, func() { r = must(New(quiet()))(t) })
	if len(r.Links()) != 2 {
		t.Errorf("links before Run: %+v", r.Links())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Errorf("Run with its context ended: %v", err)
	}
	if err := r.Run(ctx); !errors.Is(err, errRunTwice) {
		t.Errorf("second Run: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close after Run: %v", err)
	}
}

// overflowing is a Resolver whose subscription holds only a few messages.
func overflowing(t *testing.T, h *host, log *strings.Builder) (r *Resolver) {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(log, nil)) // written to by Run's goroutine only
	h.do(t, func() { r = must(open(logger, fast, 4096))(t) })
	return r
}
