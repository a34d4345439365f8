package netdev

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestWhoIsAnsweredForByTheKernel compares with what a neighbour finds that asks.
func TestWhoIsAnsweredForByTheKernel(t *testing.T) {
	here, there := newHost(t), newHost(t)
	cable(t, here, "eth0", there, "eth0")
	for _, a := range []string{"10.9.0.1/24", "fd09::1/64"} {
		here.addr(t, "eth0", a)
	}
	for _, a := range []string{"10.9.0.2/24", "fd09::2/64"} {
		there.addr(t, "eth0", a)
	}
	here.addr(t, "lo", "10.9.0.11/32")
	here.addr(t, "lo", "fd09::11/128")
	_, routed, err := net.ParseCIDR("10.9.0.12/32")
	check(t, err)
	here.route(t, "lo", netlink.Route{Dst: routed, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
	here.sysctl(t, "ipv4/neigh/eth0/proxy_delay", "0")
	here.sysctl(t, "ipv6/neigh/eth0/proxy_delay", "0")
	here.sysctl(t, "ipv6/conf/eth0/proxy_ndp", "1")
	here.sysctl(t, "ipv6/conf/eth0/forwarding", "1")
	here.sysctl(t, "ipv4/conf/eth0/forwarding", "1")
	cable(t, here, "eth1", newHost(t), "eth0")
	_, elsewhere, err := net.ParseCIDR("10.9.0.14/32")
	check(t, err)
	here.route(t, "eth1", netlink.Route{Dst: elsewhere, Scope: netlink.SCOPE_LINK})
	here.do(t, func() {
		index := must(netlink.LinkByName("eth0"))(t).Attrs().Index
		for _, a := range []string{"10.9.0.13", "10.9.0.14", "fd09::13"} {
			family := netlink.FAMILY_V6
			if netip.MustParseAddr(a).Is4() {
				family = netlink.FAMILY_V4
			}
			check(t, netlink.NeighAdd(&netlink.Neigh{LinkIndex: index, Family: family, Flags: netlink.NTF_PROXY, IP: net.ParseIP(a)}))
		}
	})
	asker := there.resolve(t, fast)
	for a, want := range map[string]bool{
		"10.9.0.1": true, "fd09::1": true, // its own
		"10.9.0.11": true, "fd09::11": false, // another link's
		"10.9.0.12": true,                                       // routed to it
		"10.9.0.13": false, "10.9.0.14": true, "fd09::13": true, // by proxy, of IPv4 what is elsewhere
		"10.9.0.99": false, "fd09::99": false,
	} {
		addr := netip.MustParseAddr(a)
		var got bool
		here.do(t, func() {
			r := must(New(quiet()))(t)
			defer r.Close()
			l := must(LinkByName("eth0"))(t)
			got = must(r.Answers(&l, addr))(t)
		})
		if got != want {
			t.Errorf("%s: said to be answered for: %v", a, got)
		}
		asker.MoveTargets([]netip.Addr{addr}, nil)
		found := await(t, asker, a, func(h NextHop) bool { return h.Resolved || h.Reason == "neighbour "+a+" on eth0 does not answer" }).Resolved
		if found != want {
			t.Errorf("%s: a neighbour that asks finds somebody: %v, want %v", a, found, want)
		}
	}
}
