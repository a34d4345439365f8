package netdev

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoLink is matched by the error of LinkByName when there is no such interface.
var ErrNoLink = errors.New("no such interface")

// LinkByName reads one link of the calling thread's network namespace. The error for a name that does
// not exist matches ErrNoLink and lists the names that do.
func LinkByName(name string) (Link, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return Link{}, fmt.Errorf("interface %s: open netlink: %w", name, err)
	}
	defer h.Close()
	links, err := readLinks(h)
	if err != nil {
		return Link{}, fmt.Errorf("interface %s: %w", name, err)
	}
	for _, l := range links {
		if l.Name == name {
			return l.Link, nil
		}
	}
	return Link{}, fmt.Errorf("interface %s: %w (have: %s)", name, ErrNoLink, strings.Join(linkNames(links), ", "))
}

func linkNames(links map[int]link) []string {
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return names
}

// link is a Link with what only this package needs to know of it.
type link struct {
	Link
	ethernet bool  // frames on it have Ethernet addresses
	vlan     *vlan // nil: it is none
}

// dumpTries is how often a dump is asked for again that the kernel says was interrupted by a change.
const dumpTries = 5

// dump calls read until the kernel was not interrupted by a change while it answered.
func dump[T any](what string, read func() ([]T, error)) ([]T, error) {
	for try := 1; ; try++ {
		list, err := read()
		if err == nil {
			return list, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) || try == dumpTries {
			return nil, fmt.Errorf("list %s: %w", what, err)
		}
	}
}

// readLinks reads all links with their addresses, by index.
func readLinks(h *netlink.Handle) (map[int]link, error) {
	found, err := dump("links", h.LinkList)
	if err != nil {
		return nil, err
	}
	addrs, err := dump("addresses", func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, err
	}
	links := make(map[int]link, len(found))
	for _, l := range found {
		links[l.Attrs().Index] = newLink(l)
	}
	resolveVLANs(links)
	for _, a := range addrs {
		l, ok := links[a.LinkIndex]
		if !ok || a.IPNet == nil {
			continue // the link came or went between the two dumps; the event of that is under way
		}
		l.addAddr(a)
		links[a.LinkIndex] = l
	}
	return links, nil
}

func newLink(l netlink.Link) link {
	attrs := l.Attrs()
	const ready = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
	n := link{
		Link: Link{
			Index: attrs.Index,
			Name:  attrs.Name,
			Kind:  l.Type(),
			MTU:   attrs.MTU,
			Up:    attrs.RawFlags&ready == ready,

			Master: attrs.MasterIndex,
		},
		ethernet: attrs.EncapType == "ether" && len(attrs.HardwareAddr) == 6,
		vlan:     vlanOf(l),
	}
	if n.ethernet {
		copy(n.MAC[:], attrs.HardwareAddr)
	}
	return n
}

func (l *link) addAddr(a netlink.Addr) {
	addr, ok := fromIP(a.IP)
	if !ok || addr.IsMulticast() { // a group that was joined
		return
	}
	ones, _ := a.Mask.Size()
	if p, err := addr.Prefix(ones); err == nil {
		l.Prefixes = append(l.Prefixes, p)
	}
	// A tentative address cannot be sent from, unless it is used optimistically; a duplicate never.
	unusable := a.Flags&unix.IFA_F_DADFAILED != 0 ||
		a.Flags&unix.IFA_F_TENTATIVE != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0
	if !unusable {
		l.Addrs = append(l.Addrs, addr)
	}
}

// sortedLinks is the list for the outside, in the order of the indices.
func sortedLinks(links map[int]link) []Link {
	list := make([]Link, 0, len(links))
	for _, l := range links {
		list = append(list, l.Link)
	}
	slices.SortFunc(list, func(a, b Link) int { return a.Index - b.Index })
	return list
}

func equalLinks(a, b Link) bool {
	return a.Index == b.Index && a.Name == b.Name && a.Kind == b.Kind && a.MAC == b.MAC &&
		a.MTU == b.MTU && a.Up == b.Up && slices.Equal(a.Addrs, b.Addrs) &&
		a.Master == b.Master && a.Parent == b.Parent && slices.Equal(a.Tags, b.Tags) && slices.Equal(a.Prefixes, b.Prefixes)
}

// fromIP is the address without the detour of IPv4 in IPv6.
func fromIP(ip net.IP) (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}
