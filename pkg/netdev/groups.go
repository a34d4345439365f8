package netdev

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// JoinGroup has the kernel take part in an IPv6 multicast group on a link, as for an address of its own: the network
// card lets frames to the group in, and switches that follow who listens (MLD) send them here. It outlives the
// process, which a socket's membership would not, because it is an address of the link (`ip addr` shows it with
// autojoin); it is gone when the link is set down. To join again changes nothing.
func JoinGroup(ifindex int, group netip.Addr) error {
	err := groupAddress(ifindex, group, netlink.AddrAdd)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("join %s on interface %d: %w", group, ifindex, err)
	}
	return nil
}

// LeaveGroup ends what JoinGroup began on a link, or on the one that it is a part of. Where there is nothing to end,
// it does nothing.
func LeaveGroup(ifindex int, group netip.Addr) error {
	for ifindex != 0 {
		err := groupAddress(ifindex, group, netlink.AddrDel)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("leave %s on interface %d: %w", group, ifindex, err)
		}
		link, err := netlink.LinkByIndex(ifindex)
		if err != nil {
			return nil // it is gone, and its groups with it
		}
		ifindex = link.Attrs().MasterIndex
	}
	return nil
}

func groupAddress(ifindex int, group netip.Addr, change func(netlink.Link, *netlink.Addr) error) error {
	link := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
	return change(link, &netlink.Addr{
		IPNet: &net.IPNet{IP: group.AsSlice(), Mask: net.CIDRMask(128, 128)},
		Flags: unix.IFA_F_MCAUTOJOIN | unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE,
	})
}
