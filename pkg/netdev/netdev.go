// Package netdev knows the host's network: its links, and for every node the way there — which
// link, which MAC addresses, which source address. It asks the kernel and follows its changes
// through netlink, and it is the only package that does. It decides nothing about traffic.
package netdev

import (
	"net/netip"
)

// NextHop is the way to one target address.
type NextHop struct {
	// Resolved says that a frame can be sent: IfIndex, SrcMAC and DstMAC are good. When it is false,
	// the fields that are known nevertheless are set, and Reason says in words what is missing.
	Resolved bool
	IfIndex  int    // of the outgoing link
	IfName   string // of the outgoing link
	Parent   string // name of the link that frames leave by where the outgoing one is a VLAN link; else empty
	SrcMAC   [6]byte
	DstMAC   [6]byte
	Source   netip.Addr // the address that the kernel would send from
	Via      netip.Addr // the neighbour to send to: the gateway, or the target itself
	MTU      int        // of the route, in bytes; the link's where the route has none
	Reason   string     // why it is not resolved; empty when it is
	Pending  bool       // it is not resolved yet: the neighbour was asked and may answer at any moment
}

// Link is one network interface.
type Link struct {
	Index int
	Name  string
	Kind  string // as the kernel calls it: "veth", "vlan", "bridge"; "device" for hardware
	MAC   [6]byte
	MTU   int          // bytes
	Up    bool         // set up and with carrier
	Addrs []netip.Addr // usable ones, in the kernel's order; no tentative or duplicate IPv6 addresses

	// Of a VLAN link: the link below it that frames leave by, and the tags that they have, the outer one first.
	// Parent is 0 where that is in another network namespace, or would be more than two tags; and for other links.
	Parent int
	Tags   []Tag

	Master   int            // index of the link that it is a part of, as of a bond or a bridge; 0: none
	Prefixes []netip.Prefix // on-link through its addresses; kept by IPv4 while the link is down
}
