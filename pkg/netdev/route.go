package netdev

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// path is the kernel's answer to "how do you get there": the route, not yet the neighbour.
type path struct {
	ifindex int
	via     netip.Addr // gateway, or the target itself when it is on-link
	source  netip.Addr
	mtu     int // 0: the link's
	// reason says why there is no way. noRoute tells the plain lack of a route from one that refuses:
	// the lack may be the consequence of a link that is down.
	reason  string
	noRoute bool
}

// lookupPath asks the kernel for the route to dst (RTM_GETROUTE), with its rules, metrics and
// multipath choice, so nothing of that is repeated here.
func lookupPath(h *netlink.Handle, dst netip.Addr, zone int) path {
	routes, err := h.RouteGetWithOptions(dst.AsSlice(), &netlink.RouteGetOptions{OifIndex: zone})
	switch {
	case err != nil:
		return refusedPath(dst, err)
	case len(routes) == 0:
		return path{noRoute: true, reason: fmt.Sprintf("no route to %s", dst)}
	}
	return routePath(dst, &routes[0])
}

// refusedPath translates the error of a lookup. Which route type answers with which error is fib_props
// in net/ipv4/fib_semantics.c and ip6_rt_type_to_error in net/ipv6/route.c.
func refusedPath(dst netip.Addr, err error) path {
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return path{noRoute: true, reason: fmt.Sprintf("no route to %s", dst)}
	case errors.Is(err, unix.EHOSTUNREACH):
		return path{reason: fmt.Sprintf("the route to %s is of type unreachable", dst)}
	case errors.Is(err, unix.EACCES):
		return path{reason: fmt.Sprintf("the route to %s is of type prohibit", dst)}
	case errors.Is(err, unix.EINVAL):
		return path{reason: fmt.Sprintf("the route to %s is of type blackhole", dst)}
	}
	return path{reason: fmt.Sprintf("look up the route to %s: %v", dst, err)}
}

func routePath(dst netip.Addr, r *netlink.Route) path {
	switch r.Type {
	case unix.RTN_UNICAST:
	case unix.RTN_LOCAL:
		return path{reason: fmt.Sprintf("%s is an address of this host", dst)}
	case unix.RTN_BROADCAST, unix.RTN_ANYCAST, unix.RTN_MULTICAST:
		return path{reason: fmt.Sprintf("%s is a broadcast, anycast or multicast address", dst)}
	default:
		return path{reason: fmt.Sprintf("the route to %s is of type %d, which forwards nowhere", dst, r.Type)}
	}
	if r.Encap != nil {
		return path{reason: fmt.Sprintf("the route to %s encapsulates (%s), which the data path does not", dst, r.Encap)}
	}
	p := path{ifindex: r.LinkIndex, via: dst.WithZone(""), mtu: r.MTU}
	p.source, _ = fromIP(r.Src)
	if via, ok := fromIP(r.Gw); ok {
		p.via = via
	} else if v, ok := r.Via.(*netlink.Via); ok { // an IPv4 route through an IPv6 gateway
		p.via, _ = fromIP(v.Addr)
	}
	return p
}
