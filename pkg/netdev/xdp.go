package netdev

import "github.com/vishvananda/netlink"

// XDPLinkName returns the name of the link with that index in the calling thread's network namespace,
// if it runs the XDP program with that id. Where it does not, the index is most probably one of
// another namespace.
func XDPLinkName(index int, program uint32) (name string, ok bool) {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return "", false
	}
	a := l.Attrs()
	return a.Name, program != 0 && a.Xdp != nil && a.Xdp.Attached && a.Xdp.ProgId == program
}

// XDPProgram returns the id of the XDP program on the link with that index in the calling thread's network
// namespace; not ok when there is none.
func XDPProgram(index int) (id uint32, ok bool) {
	l, err := netlink.LinkByIndex(index)
	if err != nil || l.Attrs().Xdp == nil || !l.Attrs().Xdp.Attached {
		return 0, false
	}
	return l.Attrs().Xdp.ProgId, true
}
