package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Port is one end of a veth pair.
type Port struct {
	Namespace *Namespace
	Name      string         // of the interface
	Addresses []netip.Prefix // with the length of the on-link prefix
	Queues    int            // in each direction; 0: one, and room for as many as there are CPUs
}

// indexes gives one end of each veth pair an interface index that no other end has. The kernel takes
// up to a second to start an interface whose peer has the same index in its own namespace, and drops
// what is sent meanwhile.
var indexes atomic.Int32

func init() { indexes.Store(1000) }

// carrierWithin bounds the wait for both ends of a veth pair to work.
const carrierWithin = 5 * time.Second

// Connect joins two namespaces by a veth pair, gives both ends their addresses, sets them up and
// waits until they work. IPv6 addresses are usable at once: duplicate address detection is left out.
func (l *Lab) Connect(a, b Port) error {
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{
			Name: a.Name, Index: int(indexes.Add(1)), Namespace: netlink.NsFd(a.Namespace.fd), NumTxQueues: a.Queues, NumRxQueues: a.Queues,
		},
		PeerName:        b.Name,
		PeerNamespace:   netlink.NsFd(b.Namespace.fd),
		PeerNumTxQueues: uint32(b.Queues),
		PeerNumRxQueues: uint32(b.Queues),
	}
	if err := a.Namespace.nl.LinkAdd(veth); err != nil {
		return fmt.Errorf("veth %s/%s - %s/%s: %w", a.Namespace.name, a.Name, b.Namespace.name, b.Name, err)
	}
	for _, p := range []Port{a, b} {
		if err := p.Namespace.Sysctl("net/ipv6/conf/"+p.Name+"/accept_dad", "0"); err != nil {
			return err
		}
		for _, addr := range p.Addresses {
			if err := p.Namespace.AddAddress(p.Name, addr); err != nil {
				return err
			}
		}
		if err := p.Namespace.LinkUp(p.Name); err != nil {
			return err
		}
	}
	for _, p := range []Port{a, b} {
		if err := p.Namespace.AwaitCarrier(p.Name); err != nil {
			return err
		}
	}
	return nil
}

// Bridge makes a bridge of interfaces of the namespace, a switch between what is behind them.
func (n *Namespace) Bridge(name string, ports ...string) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := n.nl.LinkAdd(bridge); err != nil {
		return fmt.Errorf("bridge %s/%s: %w", n.name, name, err)
	}
	for _, p := range ports {
		err := n.onLink(p, "bridge", func(l netlink.Link) error { return n.nl.LinkSetMaster(l, bridge) })
		if err != nil {
			return err
		}
	}
	return n.LinkUp(name)
}

// AwaitCarrier waits until an interface that was set up works.
func (n *Namespace) AwaitCarrier(ifname string) error {
	for deadline := time.Now().Add(carrierWithin); ; time.Sleep(time.Millisecond) {
		link, err := n.link(ifname)
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("interface %s/%s is %v, not up, after %v", n.name, ifname, link.Attrs().OperState, carrierWithin)
		}
	}
}

// PrepareForXDP sets an interface whose veth peer runs XDP natively, as real interfaces are anyway:
// generic receive offload on, or what the peer's program redirects here is lost without a word;
// checksums written by software, or the program sees and forwards unfinished ones. What the program
// returns by XDP_TX still waits in this interface's ring for the next redirected frame, unless this
// interface has an XDP program of its own.
func (n *Namespace) PrepareForXDP(ifname string) error {
	return n.SetFeatures(ifname, map[string]bool{"rx-gro": true, "tx-checksum-ip-generic": false})
}

// SetFeatures switches offload features, by the names that `ethtool -k` shows in the kernel's words.
func (n *Namespace) SetFeatures(ifname string, features map[string]bool) error {
	return n.Do(func() error {
		tool, err := ethtool.NewEthtool()
		if err != nil {
			return fmt.Errorf("ethtool: %w", err)
		}
		defer tool.Close()
		if err := tool.Change(ifname, features); err != nil {
			return fmt.Errorf("features of %s/%s: %w", n.name, ifname, err)
		}
		return nil
	})
}

// Features returns an interface's offload features.
func (n *Namespace) Features(ifname string) (features map[string]bool, err error) {
	err = n.Do(func() error {
		tool, err := ethtool.NewEthtool()
		if err != nil {
			return fmt.Errorf("ethtool: %w", err)
		}
		defer tool.Close()
		features, err = tool.Features(ifname)
		return err
	})
	return features, err
}

// AddAddress adds an address with its on-link prefix.
func (n *Namespace) AddAddress(ifname string, addr netip.Prefix) error {
	link, err := n.link(ifname)
	if err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: ipNet(addr)}
	if addr.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if err := n.nl.AddrAdd(link, a); err != nil {
		return fmt.Errorf("add %v to %s/%s: %w", addr, n.name, ifname, err)
	}
	return nil
}

// LinkUp sets an interface up.
func (n *Namespace) LinkUp(ifname string) error { return n.onLink(ifname, "up", n.nl.LinkSetUp) }

// LinkDown sets an interface down.
func (n *Namespace) LinkDown(ifname string) error { return n.onLink(ifname, "down", n.nl.LinkSetDown) }

// DeleteLink removes an interface, and with it its peer.
func (n *Namespace) DeleteLink(ifname string) error { return n.onLink(ifname, "delete", n.nl.LinkDel) }

// Rename gives a link another name; it must be down.
func (n *Namespace) Rename(ifname, name string) error {
	return n.onLink(ifname, "rename", func(l netlink.Link) error { return n.nl.LinkSetName(l, name) })
}

// SetMTU changes an interface's MTU, in bytes.
func (n *Namespace) SetMTU(ifname string, mtu int) error {
	return n.onLink(ifname, "MTU", func(l netlink.Link) error { return n.nl.LinkSetMTU(l, mtu) })
}

// MTU returns an interface's MTU, in bytes.
func (n *Namespace) MTU(ifname string) (int, error) {
	link, err := n.link(ifname)
	if err != nil {
		return 0, err
	}
	return link.Attrs().MTU, nil
}

// SetMAC changes an interface's hardware address.
func (n *Namespace) SetMAC(ifname string, mac net.HardwareAddr) error {
	return n.onLink(ifname, "MAC", func(l netlink.Link) error { return n.nl.LinkSetHardwareAddr(l, mac) })
}

// Index returns an interface's index in this namespace.
func (n *Namespace) Index(ifname string) (int, error) {
	link, err := n.link(ifname)
	if err != nil {
		return 0, err
	}
	return link.Attrs().Index, nil
}

// MAC returns an interface's hardware address.
func (n *Namespace) MAC(ifname string) (net.HardwareAddr, error) {
	link, err := n.link(ifname)
	if err != nil {
		return nil, err
	}
	return link.Attrs().HardwareAddr, nil
}

// XDP says whether an XDP program is attached to an interface, and which: the program's id.
func (n *Namespace) XDP(ifname string) (attached bool, program uint32, err error) {
	link, err := n.link(ifname)
	if err != nil {
		return false, 0, err
	}
	xdp := link.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return false, 0, nil
	}
	return true, xdp.ProgId, nil
}

// AddRoute adds a route to dst by gateway via; the zero via makes it on-link on ifname.
func (n *Namespace) AddRoute(dst netip.Prefix, via netip.Addr, ifname string) error {
	return n.route("add", dst, via, ifname, n.nl.RouteAdd)
}

// AddLocal makes all addresses of a prefix the namespace's own: it answers for each of them.
func (n *Namespace) AddLocal(prefix netip.Prefix) error {
	return n.route("add local", prefix, netip.Addr{}, "lo", func(r *netlink.Route) error {
		r.Type, r.Table, r.Scope = unix.RTN_LOCAL, unix.RT_TABLE_LOCAL, netlink.SCOPE_HOST
		return n.nl.RouteAdd(r)
	})
}

// ReplaceRoute puts a route in the place of the one to the same destination.
func (n *Namespace) ReplaceRoute(dst netip.Prefix, via netip.Addr, ifname string) error {
	return n.route("replace", dst, via, ifname, n.nl.RouteReplace)
}

// DeleteRoute removes a route.
func (n *Namespace) DeleteRoute(dst netip.Prefix, via netip.Addr, ifname string) error {
	return n.route("delete", dst, via, ifname, n.nl.RouteDel)
}

// FlushNeighbours forgets every neighbour on an interface.
func (n *Namespace) FlushNeighbours(ifname string) error {
	link, err := n.link(ifname)
	if err != nil {
		return err
	}
	neighbours, err := n.nl.NeighList(link.Attrs().Index, nl.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("neighbours of %s/%s: %w", n.name, ifname, err)
	}
	for _, nb := range neighbours {
		if err := n.nl.NeighDel(&nb); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("forget neighbour %v of %s/%s: %w", nb.IP, n.name, ifname, err)
		}
	}
	return nil
}

// ExemptNeighbours lists the neighbours of an interface that the kernel's garbage collection leaves alone.
func (n *Namespace) ExemptNeighbours(ifname string) ([]netip.Addr, error) {
	link, err := n.link(ifname)
	if err != nil {
		return nil, err
	}
	neighbours, err := n.nl.NeighList(link.Attrs().Index, nl.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("neighbours of %s/%s: %w", n.name, ifname, err)
	}
	var exempt []netip.Addr
	for _, nb := range neighbours {
		if addr, ok := netip.AddrFromSlice(nb.IP); ok && nb.Flags&netlink.NTF_EXT_LEARNED != 0 {
			exempt = append(exempt, addr.Unmap())
		}
	}
	return exempt, nil
}

func (n *Namespace) route(verb string, dst netip.Prefix, via netip.Addr, ifname string, apply func(*netlink.Route) error) error {
	link, err := n.link(ifname)
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(dst)}
	if via.IsValid() {
		r.Gw = via.AsSlice()
	}
	if err := apply(r); err != nil {
		return fmt.Errorf("%s route %v via %v dev %s/%s: %w", verb, dst, via, n.name, ifname, err)
	}
	return nil
}

func (n *Namespace) onLink(ifname, what string, apply func(netlink.Link) error) error {
	link, err := n.link(ifname)
	if err != nil {
		return err
	}
	if err := apply(link); err != nil {
		return fmt.Errorf("%s of %s/%s: %w", what, n.name, ifname, err)
	}
	return nil
}

func (n *Namespace) link(ifname string) (netlink.Link, error) {
	link, err := n.nl.LinkByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("interface %s/%s: %w", n.name, ifname, err)
	}
	return link, nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
