package netdev

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Answers says whether the kernel answers those who ask on a link for the MAC of an address: because the host has it,
// or answers for others, as a host does that forwards. It asks the network namespace of the calling thread.
func (r *Resolver) Answers(l *Link, a netip.Addr) (bool, error) {
	switch {
	case slices.Contains(l.Addrs, a):
		return true, nil
	case a.Is6(): // of other links' addresses it answers for none: ndisc_recv_ns in net/ipv6/ndisc.c
		return proxied(l, a, netlink.FAMILY_V6)
	}
	// What is routed to the host is answered for on every link, and by proxy what is not on that link itself:
	// arp_process in net/ipv4/arp.c.
	routes, err := netlink.RouteGet(a.AsSlice())
	switch {
	case err != nil || len(routes) == 0: // there is no route to it, or one that refuses
		return false, nil
	case routes[0].Type == unix.RTN_LOCAL:
		return true, nil
	case routes[0].LinkIndex == l.Index:
		return false, nil
	}
	return proxied(l, a, netlink.FAMILY_V4)
}

func proxied(l *Link, a netip.Addr, family int) (bool, error) {
	list, err := dump("proxied neighbours", func() ([]netlink.Neigh, error) { return netlink.NeighProxyList(l.Index, family) })
	if err != nil {
		return false, fmt.Errorf("who answers for %s on %s: %w", a, l.Name, err)
	}
	return slices.ContainsFunc(list, func(n netlink.Neigh) bool {
		addr, ok := fromIP(n.IP)
		return ok && addr == a
	}), nil
}
